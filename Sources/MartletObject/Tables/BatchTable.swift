extension SchemaTables {
    /// The fields of jobs and cron jobs.
    static let batch = """
        package io.k8s.api.batch.v1 batch/v1
        Job kind
          metadata 1 ObjectMeta
          spec 2 JobSpec
          status 3 JobStatus
        JobList kind
          metadata 1 ListMeta
          items 2 []Job !
        PodFailurePolicyOnExitCodesRequirement
          containerName 1 *string
          operator 2 PodFailurePolicyOnExitCodesOperator !
          values 3 []int32 ! set
        PodFailurePolicyOnPodConditionsPattern
          type 1 PodConditionType !
          status 2 ConditionStatus ~"True"
        PodFailurePolicyRule
          action 1 PodFailurePolicyAction !
          onExitCodes 2 PodFailurePolicyOnExitCodesRequirement
          onPodConditions 3 []PodFailurePolicyOnPodConditionsPattern
        PodFailurePolicy
          rules 1 []PodFailurePolicyRule !
        SuccessPolicy
          rules 1 []SuccessPolicyRule !
        SuccessPolicyRule
          succeededIndexes 1 *string
          succeededCount 2 *int32
        JobSpec
          parallelism 1 *int32
          completions 2 *int32
          activeDeadlineSeconds 3 *int64
          podFailurePolicy 11 PodFailurePolicy
          successPolicy 16 SuccessPolicy
          backoffLimit 7 *int32
          backoffLimitPerIndex 12 *int32
          maxFailedIndexes 13 *int32
          selector 4 LabelSelector
          manualSelector 5 *bool
          template 6 PodTemplateSpec !
          ttlSecondsAfterFinished 8 *int32
          completionMode 9 *CompletionMode
          suspend 10 *bool
          podReplacementPolicy 14 *PodReplacementPolicy
          managedBy 15 *string
        JobStatus
          conditions 1 []JobCondition merge=type
          startTime 2 time
          completionTime 3 time
          active 4 int32
          succeeded 5 int32
          failed 6 int32
          terminating 11 *int32
          completedIndexes 7 string
          failedIndexes 10 *string
          uncountedTerminatedPods 8 UncountedTerminatedPods
          ready 9 *int32
        UncountedTerminatedPods
          succeeded 1 []string set
          failed 2 []string set
        JobCondition
          type 1 JobConditionType !
          status 2 ConditionStatus !
          lastProbeTime 3 time
          lastTransitionTime 4 time
          reason 5 string
          message 6 string
        JobTemplateSpec
          metadata 1 ObjectMeta
          spec 2 JobSpec
        CronJob kind
          metadata 1 ObjectMeta
          spec 2 CronJobSpec !
          status 3 CronJobStatus
        CronJobList kind
          metadata 1 ListMeta
          items 2 []CronJob !
        CronJobSpec
          schedule 1 string !
          timeZone 8 *string
          startingDeadlineSeconds 2 *int64
          concurrencyPolicy 3 ConcurrencyPolicy ~"Allow"
          suspend 4 *bool =false
          jobTemplate 5 JobTemplateSpec !
          successfulJobsHistoryLimit 6 *int32 =3
          failedJobsHistoryLimit 7 *int32 =1
        CronJobStatus
          active 1 []ObjectReference
          lastScheduleTime 4 time
          lastSuccessfulTime 5 time
        CompletionMode: enum Indexed NonIndexed
        ConcurrencyPolicy: enum Allow Forbid Replace
        JobConditionType: string
        PodFailurePolicyAction: enum Count FailIndex FailJob Ignore
        PodFailurePolicyOnExitCodesOperator: enum In NotIn
        PodReplacementPolicy: enum Failed TerminatingOrFailed
        """
}
