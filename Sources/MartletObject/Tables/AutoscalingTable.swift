extension SchemaTables {
    /// The fields of the scale subresource.
    static let autoscaling = """
        package io.k8s.api.autoscaling.v1 autoscaling/v1
        Scale kind
          metadata ObjectMeta
          spec ScaleSpec
          status ScaleStatus
        ScaleSpec
          replicas int32
        ScaleStatus
          replicas int32 !
          selector string
        """
}
