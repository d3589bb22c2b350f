extension SchemaTables {
    /// The fields of deployments and replica sets.
    static let apps = """
        package io.k8s.api.apps.v1 apps/v1
        Deployment kind
          metadata 1 ObjectMeta
          spec 2 DeploymentSpec
          status 3 DeploymentStatus
        DeploymentSpec
          replicas 1 *int32 =1
          selector 2 LabelSelector !
          template 3 PodTemplateSpec !
          strategy 4 DeploymentStrategy retainKeys ={}
          minReadySeconds 5 int32
          revisionHistoryLimit 6 *int32 =10
          paused 7 bool
          progressDeadlineSeconds 9 *int32 =600
        DeploymentStrategy
          type 1 DeploymentStrategyType ~"RollingUpdate"
          rollingUpdate 2 RollingUpdateDeployment
        RollingUpdateDeployment
          maxUnavailable 1 intOrString
          maxSurge 2 intOrString
        DeploymentStatus
          observedGeneration 1 int64
          replicas 2 int32
          updatedReplicas 3 int32
          readyReplicas 7 int32
          availableReplicas 4 int32
          unavailableReplicas 5 int32
          terminatingReplicas 9 *int32
          conditions 6 []DeploymentCondition map=type merge=type
          collisionCount 8 *int32
        DeploymentCondition
          type 1 DeploymentConditionType !
          status 2 ConditionStatus !
          lastUpdateTime 6 time
          lastTransitionTime 7 time
          reason 4 string
          message 5 string
        DeploymentList kind
          metadata 1 ListMeta
          items 2 []Deployment !
        ReplicaSet kind
          metadata 1 ObjectMeta
          spec 2 ReplicaSetSpec
          status 3 ReplicaSetStatus
        ReplicaSetList kind
          metadata 1 ListMeta
          items 2 []ReplicaSet !
        ReplicaSetSpec
          replicas 1 *int32 =1
          minReadySeconds 4 int32
          selector 2 LabelSelector !
          template 3 PodTemplateSpec
        ReplicaSetStatus
          replicas 1 int32 !
          fullyLabeledReplicas 2 int32
          readyReplicas 4 int32
          availableReplicas 5 int32
          terminatingReplicas 7 *int32
          observedGeneration 3 int64
          conditions 6 []ReplicaSetCondition map=type merge=type
        ReplicaSetCondition
          type 1 ReplicaSetConditionType !
          status 2 ConditionStatus !
          lastTransitionTime 3 time
          reason 4 string
          message 5 string
        DeploymentConditionType: string
        DeploymentStrategyType: enum Recreate RollingUpdate
        ReplicaSetConditionType: string
        """
}
