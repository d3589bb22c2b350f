extension SchemaTables {
    /// The fields of endpoint slices.
    static let discovery = """
        package io.k8s.api.discovery.v1 discovery.k8s.io/v1
        EndpointSlice kind
          metadata 1 ObjectMeta
          addressType 4 AddressType !
          endpoints 2 []Endpoint
          ports 3 []EndpointPort
        Endpoint
          addresses 1 []string ! set
          conditions 2 EndpointConditions
          hostname 3 *string
          targetRef 4 ObjectReference
          deprecatedTopology 5 {}string
          nodeName 6 *string
          zone 7 *string
          hints 8 EndpointHints
        EndpointConditions
          ready 1 *bool
          serving 2 *bool
          terminating 3 *bool
        EndpointHints
          forZones 1 []ForZone
          forNodes 2 []ForNode
        ForZone
          name 1 string !
        ForNode
          name 1 string !
        EndpointPort
          name 1 *string =""
          protocol 2 *Protocol ="TCP"
          port 3 *int32
          appProtocol 4 *string
        EndpointSliceList kind
          metadata 1 ListMeta
          items 2 []EndpointSlice !
        AddressType: enum FQDN IPv4 IPv6
        """
}
