extension SchemaTables {
    /// The fields of what all kinds share: metadata, selectors, Status, options.
    static let meta = """
        package io.k8s.apimachinery.pkg.apis.meta.v1 meta/v1
        ListMeta
          selfLink 1 string
          resourceVersion 2 string
          continue 3 string
          remainingItemCount 4 *int64
          shardInfo 5 ShardInfo
        ShardInfo
          selector 1 string !
        ObjectMeta
          name 1 string
          generateName 2 string
          namespace 3 string
          selfLink 4 string
          uid 5 string
          resourceVersion 6 string
          generation 7 int64
          creationTimestamp 8 time
          deletionTimestamp 9 time
          deletionGracePeriodSeconds 10 *int64
          labels 11 {}string
          annotations 12 {}string
          ownerReferences 13 []OwnerReference map=uid merge=uid
          finalizers 14 []string set merge
          managedFields 17 []ManagedFieldsEntry
        OwnerReference
          apiVersion 5 string !
          kind 1 string !
          name 3 string !
          uid 4 string !
          controller 6 *bool
          blockOwnerDeletion 7 *bool
        DeleteOptions kind
          gracePeriodSeconds 1 *int64
          preconditions 2 Preconditions
          orphanDependents 3 *bool
          propagationPolicy 4 *DeletionPropagation
          dryRun 5 []string
          ignoreStoreReadErrorWithClusterBreakingPotential 6 *bool
        Preconditions
          uid 1 *string
          resourceVersion 2 *string
        Status kind
          metadata 1 ListMeta
          status 2 string
          message 3 string
          reason 4 StatusReason
          details 5 StatusDetails
          code 6 int32
        StatusDetails
          name 1 string
          group 2 string
          kind 3 string
          uid 6 string
          causes 4 []StatusCause
          retryAfterSeconds 5 int32
        StatusCause
          reason 1 CauseType
          message 2 string
          field 3 string
        LabelSelector
          matchLabels 1 {}string
          matchExpressions 2 []LabelSelectorRequirement
        LabelSelectorRequirement
          key 1 string !
          operator 2 LabelSelectorOperator !
          values 3 []string
        ManagedFieldsEntry
          manager 1 string
          operation 2 ManagedFieldsOperationType
          apiVersion 3 string
          time 4 time
          fieldsType 6 string
          fieldsV1 7 any
          subresource 8 string
        Condition
          type 1 string !
          status 2 ConditionStatus !
          observedGeneration 3 int64
          lastTransitionTime 4 time !
          reason 5 string !
          message 6 string !
        WatchEvent
          type 1 string !
          object 2 any !
        CauseType: string
        ConditionStatus: enum False True Unknown
        DeletionPropagation: enum Background Foreground Orphan
        LabelSelectorOperator: enum DoesNotExist Exists In NotIn
        ManagedFieldsOperationType: string
        StatusReason: string
        """
}
