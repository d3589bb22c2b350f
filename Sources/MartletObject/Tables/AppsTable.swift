extension SchemaTables {
    /// The fields of deployments and replica sets.
    static let apps = """
        package io.k8s.api.apps.v1 apps/v1
        Deployment kind
          metadata ObjectMeta
          spec DeploymentSpec
          status DeploymentStatus
        DeploymentSpec
          replicas int32 =1
          selector LabelSelector !
          template PodTemplateSpec !
          strategy DeploymentStrategy retainKeys ={}
          minReadySeconds int32
          revisionHistoryLimit int32 =10
          paused bool
          progressDeadlineSeconds int32 =600
        DeploymentStrategy
          type DeploymentStrategyType ~"RollingUpdate"
          rollingUpdate RollingUpdateDeployment
        RollingUpdateDeployment
          maxUnavailable intOrString
          maxSurge intOrString
        DeploymentStatus
          observedGeneration int64
          replicas int32
          updatedReplicas int32
          readyReplicas int32
          availableReplicas int32
          unavailableReplicas int32
          terminatingReplicas int32
          conditions []DeploymentCondition map=type merge=type
          collisionCount int32
        DeploymentCondition
          type DeploymentConditionType !
          status ConditionStatus !
          lastUpdateTime time
          lastTransitionTime time
          reason string
          message string
        DeploymentList kind
          metadata ListMeta
          items []Deployment !
        ReplicaSet kind
          metadata ObjectMeta
          spec ReplicaSetSpec
          status ReplicaSetStatus
        ReplicaSetList kind
          metadata ListMeta
          items []ReplicaSet !
        ReplicaSetSpec
          replicas int32 =1
          minReadySeconds int32
          selector LabelSelector !
          template PodTemplateSpec
        ReplicaSetStatus
          replicas int32 !
          fullyLabeledReplicas int32
          readyReplicas int32
          availableReplicas int32
          terminatingReplicas int32
          observedGeneration int64
          conditions []ReplicaSetCondition map=type merge=type
        ReplicaSetCondition
          type ReplicaSetConditionType !
          status ConditionStatus !
          lastTransitionTime time
          reason string
          message string
        DeploymentConditionType: string
        DeploymentStrategyType: enum Recreate RollingUpdate
        ReplicaSetConditionType: string
        """
}
