extension SchemaTables {
    /// The fields of ingresses and their classes.
    static let networking = """
        package io.k8s.api.networking.v1 networking.k8s.io/v1
        Ingress kind
          metadata 1 ObjectMeta
          spec 2 IngressSpec
          status 3 IngressStatus
        IngressList kind
          metadata 1 ListMeta
          items 2 []Ingress !
        IngressSpec
          ingressClassName 4 *string
          defaultBackend 1 IngressBackend
          tls 2 []IngressTLS
          rules 3 []IngressRule
        IngressTLS
          hosts 1 []string
          secretName 2 string
        IngressStatus
          loadBalancer 1 IngressLoadBalancerStatus
        IngressLoadBalancerStatus
          ingress 1 []IngressLoadBalancerIngress
        IngressLoadBalancerIngress
          ip 1 string
          hostname 2 string
          ports 4 []IngressPortStatus
        IngressPortStatus
          port 1 int32 !
          protocol 2 Protocol !
          error 3 *string
        IngressRule
          host 1 string
          http 2.1 HTTPIngressRuleValue
        HTTPIngressRuleValue
          paths 1 []HTTPIngressPath !
        HTTPIngressPath
          path 1 string
          pathType 3 *PathType !
          backend 2 IngressBackend !
        IngressBackend
          service 4 IngressServiceBackend
          resource 3 TypedLocalObjectReference
        IngressServiceBackend
          name 1 string !
          port 2 ServiceBackendPort
        ServiceBackendPort
          name 1 string
          number 2 int32
        IngressClass kind
          metadata 1 ObjectMeta
          spec 2 IngressClassSpec
        IngressClassSpec
          controller 1 string
          parameters 2 IngressClassParametersReference
        IngressClassParametersReference
          apiGroup 1 *string
          kind 2 string !
          name 3 string !
          scope 4 *string ="Cluster"
          namespace 5 *string
        IngressClassList kind
          metadata 1 ListMeta
          items 2 []IngressClass !
        PathType: enum Exact ImplementationSpecific Prefix
        """
}
