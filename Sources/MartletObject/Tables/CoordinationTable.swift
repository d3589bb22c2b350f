extension SchemaTables {
    /// The fields of leases.
    static let coordination = """
        package io.k8s.api.coordination.v1 coordination.k8s.io/v1
        Lease kind
          metadata 1 ObjectMeta
          spec 2 LeaseSpec
        LeaseSpec
          holderIdentity 1 *string
          leaseDurationSeconds 2 *int32
          acquireTime 3 microTime
          renewTime 4 microTime
          leaseTransitions 5 *int32
          strategy 6 *CoordinatedLeaseStrategy
          preferredHolder 7 *string
        LeaseList kind
          metadata 1 ListMeta
          items 2 []Lease !
        CoordinatedLeaseStrategy: string
        """
}
