extension SchemaTables {
    /// The fields of network policies, IP addresses and service networks.
    static let networkPolicy = """
        package io.k8s.api.networking.v1 networking.k8s.io/v1
        NetworkPolicy kind
          metadata 1 ObjectMeta
          spec 2 NetworkPolicySpec
        NetworkPolicySpec
          podSelector 1 LabelSelector
          ingress 2 []NetworkPolicyIngressRule
          egress 3 []NetworkPolicyEgressRule
          policyTypes 4 []PolicyType
        NetworkPolicyIngressRule
          ports 1 []NetworkPolicyPort
          from 2 []NetworkPolicyPeer
        NetworkPolicyEgressRule
          ports 1 []NetworkPolicyPort
          to 2 []NetworkPolicyPeer
        NetworkPolicyPort
          protocol 1 *Protocol ="TCP"
          port 2 intOrString
          endPort 3 *int32
        IPBlock
          cidr 1 string !
          except 2 []string
        NetworkPolicyPeer
          podSelector 1 LabelSelector
          namespaceSelector 2 LabelSelector
          ipBlock 3 IPBlock
        NetworkPolicyList kind
          metadata 1 ListMeta
          items 2 []NetworkPolicy !
        IPAddress kind
          metadata 1 ObjectMeta
          spec 2 IPAddressSpec !
        IPAddressSpec
          parentRef 1 ParentReference !
        ParentReference
          group 1 string
          resource 2 string !
          namespace 3 string
          name 4 string !
        IPAddressList kind
          metadata 1 ListMeta
          items 2 []IPAddress !
        ServiceCIDR kind
          metadata 1 ObjectMeta
          spec 2 ServiceCIDRSpec
          status 3 ServiceCIDRStatus
        ServiceCIDRSpec
          cidrs 1 []string
        ServiceCIDRStatus
          conditions 1 []Condition map=type merge=type
        ServiceCIDRList kind
          metadata 1 ListMeta
          items 2 []ServiceCIDR !
        PolicyType: enum Egress Ingress
        """
}
