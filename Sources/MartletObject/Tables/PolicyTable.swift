extension SchemaTables {
    /// The fields of evictions.
    static let policy = """
        package io.k8s.api.policy.v1 policy/v1
        Eviction kind
          metadata 1 ObjectMeta
          deleteOptions 2 DeleteOptions
        """
}
