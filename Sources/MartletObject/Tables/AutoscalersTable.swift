extension SchemaTables {
    /// The fields of pod autoscalers in both versions.
    static let autoscalers = """
        package io.k8s.api.autoscaling.v1 autoscaling/v1
        CrossVersionObjectReference
          kind 1 string !
          name 2 string !
          apiVersion 3 string
        HorizontalPodAutoscalerSpec
          scaleTargetRef 1 CrossVersionObjectReference !
          minReplicas 2 *int32 =1
          maxReplicas 3 int32 !
          targetCPUUtilizationPercentage 4 *int32
        HorizontalPodAutoscalerStatus
          observedGeneration 1 *int64
          lastScaleTime 2 time
          currentReplicas 3 int32 !
          desiredReplicas 4 int32 !
          currentCPUUtilizationPercentage 5 *int32
        HorizontalPodAutoscaler kind
          metadata 1 ObjectMeta
          spec 2 HorizontalPodAutoscalerSpec !
          status 3 HorizontalPodAutoscalerStatus
        HorizontalPodAutoscalerList kind
          metadata 1 ListMeta
          items 2 []HorizontalPodAutoscaler !
        package io.k8s.api.autoscaling.v2 autoscaling/v2
        HorizontalPodAutoscaler kind
          metadata 1 ObjectMeta
          spec 2 HorizontalPodAutoscalerSpec !
          status 3 HorizontalPodAutoscalerStatus
        HorizontalPodAutoscalerSpec
          scaleTargetRef 1 CrossVersionObjectReference !
          minReplicas 2 *int32 =1
          maxReplicas 3 int32 !
          metrics 4 []MetricSpec
          behavior 5 HorizontalPodAutoscalerBehavior
        CrossVersionObjectReference
          kind 1 string !
          name 2 string !
          apiVersion 3 string
        MetricSpec
          type 1 MetricSourceType !
          object 2 ObjectMetricSource
          pods 3 PodsMetricSource
          resource 4 ResourceMetricSource
          containerResource 7 ContainerResourceMetricSource
          external 5 ExternalMetricSource
        HorizontalPodAutoscalerBehavior
          scaleUp 1 HPAScalingRules
          scaleDown 2 HPAScalingRules
        HPAScalingRules
          stabilizationWindowSeconds 3 *int32
          selectPolicy 1 *ScalingPolicySelect
          policies 2 []HPAScalingPolicy
          tolerance 4 quantity
        HPAScalingPolicy
          type 1 HPAScalingPolicyType !
          value 2 int32 !
          periodSeconds 3 int32 !
        ObjectMetricSource
          describedObject 1 CrossVersionObjectReference !
          target 2 MetricTarget !
          metric 3 MetricIdentifier !
        PodsMetricSource
          metric 1 MetricIdentifier !
          target 2 MetricTarget !
        ResourceMetricSource
          name 1 ResourceName !
          target 2 MetricTarget !
        ContainerResourceMetricSource
          name 1 ResourceName !
          target 2 MetricTarget !
          container 3 string !
        ExternalMetricSource
          metric 1 MetricIdentifier !
          target 2 MetricTarget !
        MetricIdentifier
          name 1 string !
          selector 2 LabelSelector
        MetricTarget
          type 1 MetricTargetType !
          value 2 quantity
          averageValue 3 quantity
          averageUtilization 4 *int32
        HorizontalPodAutoscalerStatus
          observedGeneration 1 *int64
          lastScaleTime 2 time
          currentReplicas 3 int32
          desiredReplicas 4 int32 !
          currentMetrics 5 []MetricStatus
          conditions 6 []HorizontalPodAutoscalerCondition map=type merge=type
        HorizontalPodAutoscalerCondition
          type 1 HorizontalPodAutoscalerConditionType !
          status 2 ConditionStatus !
          lastTransitionTime 3 time
          reason 4 string
          message 5 string
        MetricStatus
          type 1 MetricSourceType !
          object 2 ObjectMetricStatus
          pods 3 PodsMetricStatus
          resource 4 ResourceMetricStatus
          containerResource 7 ContainerResourceMetricStatus
          external 5 ExternalMetricStatus
        ObjectMetricStatus
          metric 1 MetricIdentifier !
          current 2 MetricValueStatus !
          describedObject 3 CrossVersionObjectReference !
        PodsMetricStatus
          metric 1 MetricIdentifier !
          current 2 MetricValueStatus !
        ResourceMetricStatus
          name 1 ResourceName !
          current 2 MetricValueStatus !
        ContainerResourceMetricStatus
          name 1 ResourceName !
          current 2 MetricValueStatus !
          container 3 string !
        ExternalMetricStatus
          metric 1 MetricIdentifier !
          current 2 MetricValueStatus !
        MetricValueStatus
          value 1 quantity
          averageValue 2 quantity
          averageUtilization 3 *int32
        HorizontalPodAutoscalerList kind
          metadata 1 ListMeta
          items 2 []HorizontalPodAutoscaler !
        HPAScalingPolicyType: enum Percent Pods
        HorizontalPodAutoscalerConditionType: string
        MetricSourceType: enum ContainerResource External Object Pods Resource
        MetricTargetType: enum AverageValue Utilization Value
        ScalingPolicySelect: enum Disabled Max Min
        """
}
