extension SchemaTables {
    /// The fields of evictions.
    static let policy = """
        package io.k8s.api.policy.v1 policy/v1
        Eviction kind
          metadata ObjectMeta
          deleteOptions DeleteOptions
        """
}
