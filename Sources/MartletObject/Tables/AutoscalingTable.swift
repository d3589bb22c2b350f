extension SchemaTables {
    /// The fields of the scale subresource.
    static let autoscaling = """
        package io.k8s.api.autoscaling.v1 autoscaling/v1
        Scale kind
          metadata 1 ObjectMeta
          spec 2 ScaleSpec
          status 3 ScaleStatus
        ScaleSpec
          replicas 1 int32
        ScaleStatus
          replicas 1 int32 !
          selector 2 string
        """
}
