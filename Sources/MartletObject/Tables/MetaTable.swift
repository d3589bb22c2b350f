extension SchemaTables {
    /// The fields of what all kinds share: metadata, selectors, Status, options.
    static let meta = """
        package io.k8s.apimachinery.pkg.apis.meta.v1 meta/v1
        ListMeta
          selfLink string
          resourceVersion string
          continue string
          remainingItemCount int64
          shardInfo ShardInfo
        ShardInfo
          selector string !
        ObjectMeta
          name string
          generateName string
          namespace string
          selfLink string
          uid string
          resourceVersion string
          generation int64
          creationTimestamp time
          deletionTimestamp time
          deletionGracePeriodSeconds int64
          labels {}string
          annotations {}string
          ownerReferences []OwnerReference map=uid merge=uid
          finalizers []string set merge
          managedFields []ManagedFieldsEntry
        OwnerReference
          apiVersion string !
          kind string !
          name string !
          uid string !
          controller bool
          blockOwnerDeletion bool
        DeleteOptions kind
          gracePeriodSeconds int64
          preconditions Preconditions
          orphanDependents bool
          propagationPolicy DeletionPropagation
          dryRun []string
          ignoreStoreReadErrorWithClusterBreakingPotential bool
        Preconditions
          uid string
          resourceVersion string
        Status kind
          metadata ListMeta
          status string
          message string
          reason StatusReason
          details StatusDetails
          code int32
        StatusDetails
          name string
          group string
          kind string
          uid string
          causes []StatusCause
          retryAfterSeconds int32
        StatusCause
          reason CauseType
          message string
          field string
        LabelSelector
          matchLabels {}string
          matchExpressions []LabelSelectorRequirement
        LabelSelectorRequirement
          key string !
          operator LabelSelectorOperator !
          values []string
        ManagedFieldsEntry
          manager string
          operation ManagedFieldsOperationType
          apiVersion string
          time time
          fieldsType string
          fieldsV1 any
          subresource string
        Condition
          type string !
          status ConditionStatus !
          observedGeneration int64
          lastTransitionTime time !
          reason string !
          message string !
        WatchEvent
          type string !
          object any !
        CauseType: string
        ConditionStatus: enum False True Unknown
        DeletionPropagation: enum Background Foreground Orphan
        LabelSelectorOperator: enum DoesNotExist Exists In NotIn
        ManagedFieldsOperationType: string
        StatusReason: string
        """
}
