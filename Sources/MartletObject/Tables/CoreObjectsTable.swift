extension SchemaTables {
    /// The fields of pod templates, replication controllers, endpoints, limits and quotas.
    static let coreObjects = """
        package io.k8s.api.core.v1 v1
        PodTemplate kind
          metadata 1 ObjectMeta
          template 2 PodTemplateSpec
        PodTemplateList kind
          metadata 1 ListMeta
          items 2 []PodTemplate !
        ReplicationControllerSpec
          replicas 1 *int32 =1
          minReadySeconds 4 int32
          selector 2 {}string atomic
          template 3 PodTemplateSpec
        ReplicationControllerStatus
          replicas 1 int32 !
          fullyLabeledReplicas 2 int32
          readyReplicas 4 int32
          availableReplicas 5 int32
          observedGeneration 3 int64
          conditions 6 []ReplicationControllerCondition map=type merge=type
        ReplicationControllerCondition
          type 1 ReplicationControllerConditionType !
          status 2 ConditionStatus !
          lastTransitionTime 3 time
          reason 4 string
          message 5 string
        ReplicationController kind
          metadata 1 ObjectMeta
          spec 2 ReplicationControllerSpec
          status 3 ReplicationControllerStatus
        ReplicationControllerList kind
          metadata 1 ListMeta
          items 2 []ReplicationController !
        Endpoints kind
          metadata 1 ObjectMeta
          subsets 2 []EndpointSubset
        EndpointSubset
          addresses 1 []EndpointAddress
          notReadyAddresses 2 []EndpointAddress
          ports 3 []EndpointPort
        EndpointAddress
          ip 1 string !
          hostname 3 string
          nodeName 4 *string
          targetRef 2 ObjectReference
        EndpointPort
          name 1 string
          port 2 int32 !
          protocol 3 Protocol ~"TCP"
          appProtocol 4 *string
        EndpointsList kind
          metadata 1 ListMeta
          items 2 []Endpoints !
        LimitRangeItem
          type 1 LimitType !
          max 2 ResourceList
          min 3 ResourceList
          default 4 ResourceList
          defaultRequest 5 ResourceList
          maxLimitRequestRatio 6 ResourceList
        LimitRangeSpec
          limits 1 []LimitRangeItem !
        LimitRange kind
          metadata 1 ObjectMeta
          spec 2 LimitRangeSpec
        LimitRangeList kind
          metadata 1 ListMeta
          items 2 []LimitRange !
        ResourceQuotaSpec
          hard 1 ResourceList
          scopes 2 []ResourceQuotaScope
          scopeSelector 3 ScopeSelector
        ScopeSelector
          matchExpressions 1 []ScopedResourceSelectorRequirement
        ScopedResourceSelectorRequirement
          scopeName 1 ResourceQuotaScope !
          operator 2 ScopeSelectorOperator !
          values 3 []string
        ResourceQuotaStatus
          hard 1 ResourceList
          used 2 ResourceList
        ResourceQuota kind
          metadata 1 ObjectMeta
          spec 2 ResourceQuotaSpec
          status 3 ResourceQuotaStatus
        ResourceQuotaList kind
          metadata 1 ListMeta
          items 2 []ResourceQuota !
        LimitType: string
        ReplicationControllerConditionType: string
        ResourceQuotaScope: string
        ScopeSelectorOperator: enum DoesNotExist Exists In NotIn
        """
}
