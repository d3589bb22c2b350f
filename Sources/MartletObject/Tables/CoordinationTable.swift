extension SchemaTables {
    /// The fields of leases.
    static let coordination = """
        package io.k8s.api.coordination.v1 coordination.k8s.io/v1
        Lease kind
          metadata ObjectMeta
          spec LeaseSpec
        LeaseSpec
          holderIdentity string
          leaseDurationSeconds int32
          acquireTime microTime
          renewTime microTime
          leaseTransitions int32
          strategy CoordinatedLeaseStrategy
          preferredHolder string
        LeaseList kind
          metadata ListMeta
          items []Lease !
        CoordinatedLeaseStrategy: string
        """
}
