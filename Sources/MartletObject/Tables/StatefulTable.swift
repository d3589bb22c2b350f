extension SchemaTables {
    /// The fields of stateful sets, daemon sets and controller revisions.
    static let stateful = """
        package io.k8s.api.apps.v1 apps/v1
        StatefulSet kind
          metadata 1 ObjectMeta
          spec 2 StatefulSetSpec
          status 3 StatefulSetStatus
        StatefulSetUpdateStrategy
          type 1 StatefulSetUpdateStrategyType ~"RollingUpdate"
          rollingUpdate 2 RollingUpdateStatefulSetStrategy
        RollingUpdateStatefulSetStrategy
          partition 1 *int32
          maxUnavailable 2 intOrString
        StatefulSetPersistentVolumeClaimRetentionPolicy
          whenDeleted 1 PersistentVolumeClaimRetentionPolicyType ~"Retain"
          whenScaled 2 PersistentVolumeClaimRetentionPolicyType ~"Retain"
        StatefulSetOrdinals
          start 1 int32
        StatefulSetSpec
          replicas 1 *int32 =1
          selector 2 LabelSelector !
          template 3 PodTemplateSpec !
          volumeClaimTemplates 4 []PersistentVolumeClaim
          serviceName 5 string
          podManagementPolicy 6 PodManagementPolicyType ~"OrderedReady"
          updateStrategy 7 StatefulSetUpdateStrategy ={}
          revisionHistoryLimit 8 *int32 =10
          minReadySeconds 9 int32
          persistentVolumeClaimRetentionPolicy 10 StatefulSetPersistentVolumeClaimRetentionPolicy ={}
          ordinals 11 StatefulSetOrdinals
        StatefulSetStatus
          observedGeneration 1 int64
          replicas 2 int32 !
          readyReplicas 3 int32
          currentReplicas 4 int32
          updatedReplicas 5 int32
          currentRevision 6 string
          updateRevision 7 string
          collisionCount 9 *int32
          conditions 10 []StatefulSetCondition map=type merge=type
          availableReplicas 11 int32
        StatefulSetCondition
          type 1 StatefulSetConditionType !
          status 2 ConditionStatus !
          lastTransitionTime 3 time
          reason 4 string
          message 5 string
        StatefulSetList kind
          metadata 1 ListMeta
          items 2 []StatefulSet !
        DaemonSetUpdateStrategy
          type 1 DaemonSetUpdateStrategyType ~"RollingUpdate"
          rollingUpdate 2 RollingUpdateDaemonSet
        RollingUpdateDaemonSet
          maxUnavailable 1 intOrString
          maxSurge 2 intOrString
        DaemonSetSpec
          selector 1 LabelSelector !
          template 2 PodTemplateSpec !
          updateStrategy 3 DaemonSetUpdateStrategy ={}
          minReadySeconds 4 int32
          revisionHistoryLimit 6 *int32 =10
        DaemonSetStatus
          currentNumberScheduled 1 int32 !
          numberMisscheduled 2 int32 !
          desiredNumberScheduled 3 int32 !
          numberReady 4 int32 !
          observedGeneration 5 int64
          updatedNumberScheduled 6 int32
          numberAvailable 7 int32
          numberUnavailable 8 int32
          collisionCount 9 *int32
          conditions 10 []DaemonSetCondition map=type merge=type
        DaemonSetCondition
          type 1 DaemonSetConditionType !
          status 2 ConditionStatus !
          lastTransitionTime 3 time
          reason 4 string
          message 5 string
        DaemonSet kind
          metadata 1 ObjectMeta
          spec 2 DaemonSetSpec
          status 3 DaemonSetStatus
        DaemonSetList kind
          metadata 1 ListMeta
          items 2 []DaemonSet !
        ControllerRevision kind
          metadata 1 ObjectMeta
          data 2 any
          revision 3 int64 !
        ControllerRevisionList kind
          metadata 1 ListMeta
          items 2 []ControllerRevision !
        DaemonSetConditionType: string
        DaemonSetUpdateStrategyType: enum OnDelete RollingUpdate
        PersistentVolumeClaimRetentionPolicyType: enum Delete Retain
        PodManagementPolicyType: string
        StatefulSetConditionType: string
        StatefulSetUpdateStrategyType: string
        """
}
