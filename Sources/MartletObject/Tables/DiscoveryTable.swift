extension SchemaTables {
    /// The fields of endpoint slices.
    static let discovery = """
        package io.k8s.api.discovery.v1 discovery.k8s.io/v1
        EndpointSlice kind
          metadata ObjectMeta
          addressType AddressType !
          endpoints []Endpoint
          ports []EndpointPort
        Endpoint
          addresses []string ! set
          conditions EndpointConditions
          hostname string
          targetRef ObjectReference
          deprecatedTopology {}string
          nodeName string
          zone string
          hints EndpointHints
        EndpointConditions
          ready bool
          serving bool
          terminating bool
        EndpointHints
          forZones []ForZone
          forNodes []ForNode
        ForZone
          name string !
        ForNode
          name string !
        EndpointPort
          name string =""
          protocol Protocol ="TCP"
          port int32
          appProtocol string
        EndpointSliceList kind
          metadata ListMeta
          items []EndpointSlice !
        AddressType: enum FQDN IPv4 IPv6
        """
}
