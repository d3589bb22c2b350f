extension SchemaTables {
    /// The fields of disruption budgets.
    static let disruption = """
        package io.k8s.api.policy.v1 policy/v1
        PodDisruptionBudgetSpec
          minAvailable 1 intOrString
          selector 2 LabelSelector
          maxUnavailable 3 intOrString
          unhealthyPodEvictionPolicy 4 *UnhealthyPodEvictionPolicyType
        PodDisruptionBudgetStatus
          observedGeneration 1 int64
          disruptedPods 2 {}time
          disruptionsAllowed 3 int32
          currentHealthy 4 int32
          desiredHealthy 5 int32
          expectedPods 6 int32
          conditions 7 []Condition map=type merge=type
        PodDisruptionBudget kind
          metadata 1 ObjectMeta
          spec 2 PodDisruptionBudgetSpec
          status 3 PodDisruptionBudgetStatus
        PodDisruptionBudgetList kind
          metadata 1 ListMeta
          items 2 []PodDisruptionBudget !
        UnhealthyPodEvictionPolicyType: enum AlwaysAllow IfHealthyBudget
        """
}
