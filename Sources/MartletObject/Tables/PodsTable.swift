extension SchemaTables {
    /// The fields of pods and all beneath them.
    static let pods = """
        package io.k8s.api.core.v1 v1
        ContainerPort
          name 1 string
          hostPort 2 int32
          containerPort 3 int32 !
          protocol 4 Protocol ~"TCP"
          hostIP 5 string
        VolumeMount
          name 1 string !
          readOnly 2 bool
          recursiveReadOnly 7 *RecursiveReadOnlyMode
          mountPath 3 string !
          subPath 4 string
          mountPropagation 5 *MountPropagationMode
          subPathExpr 6 string
        VolumeDevice
          name 1 string !
          devicePath 2 string !
        EnvVar
          name 1 string !
          value 2 string
          valueFrom 3 EnvVarSource
        EnvVarSource
          fieldRef 1 ObjectFieldSelector
          resourceFieldRef 2 ResourceFieldSelector
          configMapKeyRef 3 ConfigMapKeySelector
          secretKeyRef 4 SecretKeySelector
          fileKeyRef 5 FileKeySelector
        FileKeySelector
          volumeName 1 string !
          path 2 string !
          key 3 string !
          optional 4 *bool =false
        ObjectFieldSelector
          apiVersion 1 string ~"v1"
          fieldPath 2 string !
        ResourceFieldSelector
          containerName 1 string
          resource 2 string !
          divisor 3 quantity
        ConfigMapKeySelector
          name 1.1 string
          key 2 string !
          optional 3 *bool
        SecretKeySelector
          name 1.1 string
          key 2 string !
          optional 3 *bool
        EnvFromSource
          prefix 1 string
          configMapRef 2 ConfigMapEnvSource
          secretRef 3 SecretEnvSource
        ConfigMapEnvSource
          name 1.1 string
          optional 2 *bool
        SecretEnvSource
          name 1.1 string
          optional 2 *bool
        HTTPHeader
          name 1 string !
          value 2 string !
        HTTPGetAction
          path 1 string ~"/"
          port 2 intOrString !
          host 3 string
          scheme 4 URIScheme ~"HTTP"
          httpHeaders 5 []HTTPHeader
        TCPSocketAction
          port 1 intOrString !
          host 2 string
        GRPCAction
          port 1 int32 !
          service 2 *string =""
        ExecAction
          command 1 []string
        SleepAction
          seconds 1 int64 !
        Probe
          exec 1.1 ExecAction
          httpGet 1.2 HTTPGetAction
          tcpSocket 1.3 TCPSocketAction
          grpc 1.4 GRPCAction
          initialDelaySeconds 2 int32
          timeoutSeconds 3 int32 ~1
          periodSeconds 4 int32 ~10
          successThreshold 5 int32 ~1
          failureThreshold 6 int32 ~3
          terminationGracePeriodSeconds 7 *int64
        ContainerResizePolicy
          resourceName 1 ResourceName !
          restartPolicy 2 ResourceResizeRestartPolicy !
        Capabilities
          add 1 []Capability
          drop 2 []Capability
        ResourceRequirements
          limits 1 ResourceList
          requests 2 ResourceList
          claims 3 []ResourceClaim map=name
        ResourceClaim
          name 1 string !
          request 2 string
        Container
          name 1 string !
          image 2 string
          command 3 []string
          args 4 []string
          workingDir 5 string
          ports 6 []ContainerPort map=containerPort,protocol merge=containerPort
          envFrom 19 []EnvFromSource
          env 7 []EnvVar map=name merge=name
          resources 8 ResourceRequirements ={}
          resizePolicy 23 []ContainerResizePolicy
          restartPolicy 24 *ContainerRestartPolicy
          restartPolicyRules 25 []ContainerRestartRule
          volumeMounts 9 []VolumeMount map=mountPath merge=mountPath
          volumeDevices 21 []VolumeDevice map=devicePath merge=devicePath
          livenessProbe 10 Probe
          readinessProbe 11 Probe
          startupProbe 22 Probe
          lifecycle 12 Lifecycle
          terminationMessagePath 13 string ~"/dev/termination-log"
          terminationMessagePolicy 20 TerminationMessagePolicy ~"File"
          imagePullPolicy 14 PullPolicy
          securityContext 15 SecurityContext
          stdin 16 bool
          stdinOnce 17 bool
          tty 18 bool
        LifecycleHandler
          exec 1 ExecAction
          httpGet 2 HTTPGetAction
          tcpSocket 3 TCPSocketAction
          sleep 4 SleepAction
        Lifecycle
          postStart 1 LifecycleHandler
          preStop 2 LifecycleHandler
          stopSignal 3 *Signal
        ContainerStateWaiting
          reason 1 string
          message 2 string
        ContainerStateRunning
          startedAt 1 time
        ContainerStateTerminated
          exitCode 1 int32 !
          signal 2 int32
          reason 3 string
          message 4 string
          startedAt 5 time
          finishedAt 6 time
          containerID 7 string
        ContainerState
          waiting 1 ContainerStateWaiting
          running 2 ContainerStateRunning
          terminated 3 ContainerStateTerminated
        ContainerStatus
          name 1 string !
          state 2 ContainerState
          lastState 3 ContainerState
          ready 4 bool !
          restartCount 5 int32 !
          image 6 string !
          imageID 7 string !
          containerID 8 string
          started 9 *bool
          allocatedResources 10 ResourceList
          resources 11 ResourceRequirements
          volumeMounts 12 []VolumeMountStatus map=mountPath merge=mountPath
          user 13 ContainerUser
          allocatedResourcesStatus 14 []ResourceStatus map=name merge=name
          stopSignal 15 *Signal
        ResourceStatus
          name 1 ResourceName !
          resources 2 []ResourceHealth map=resourceID
        ResourceHealth
          resourceID 1 ResourceID !
          health 2 ResourceHealthStatus
          message 6 *string
        ContainerUser
          linux 1 LinuxContainerUser
        LinuxContainerUser
          uid 1 int64 !
          gid 2 int64 !
          supplementalGroups 3 []int64
        PodCondition
          type 1 PodConditionType !
          observedGeneration 7 int64
          status 2 ConditionStatus !
          lastProbeTime 3 time
          lastTransitionTime 4 time
          reason 5 string
          message 6 string
        VolumeMountStatus
          name 1 string !
          mountPath 2 string !
          readOnly 3 bool
          recursiveReadOnly 4 *RecursiveReadOnlyMode
          volumeStatus 5 VolumeStatus
        VolumeStatus
          image 1 ImageVolumeStatus
        ImageVolumeStatus
          imageRef 1 string !
        ContainerRestartRule
          action 1 ContainerRestartRuleAction !
          exitCodes 2 ContainerRestartRuleOnExitCodes
        ContainerRestartRuleOnExitCodes
          operator 1 ContainerRestartRuleOnExitCodesOperator !
          values 2 []int32 set
        NodeSelector
          nodeSelectorTerms 1 []NodeSelectorTerm !
        NodeSelectorTerm
          matchExpressions 1 []NodeSelectorRequirement
          matchFields 2 []NodeSelectorRequirement
        NodeSelectorRequirement
          key 1 string !
          operator 2 NodeSelectorOperator !
          values 3 []string
        Affinity
          nodeAffinity 1 NodeAffinity
          podAffinity 2 PodAffinity
          podAntiAffinity 3 PodAntiAffinity
        PodAffinity
          requiredDuringSchedulingIgnoredDuringExecution 1 []PodAffinityTerm
          preferredDuringSchedulingIgnoredDuringExecution 2 []WeightedPodAffinityTerm
        PodAntiAffinity
          requiredDuringSchedulingIgnoredDuringExecution 1 []PodAffinityTerm
          preferredDuringSchedulingIgnoredDuringExecution 2 []WeightedPodAffinityTerm
        WeightedPodAffinityTerm
          weight 1 int32 !
          podAffinityTerm 2 PodAffinityTerm !
        PodAffinityTerm
          labelSelector 1 LabelSelector
          namespaces 2 []string
          topologyKey 3 string !
          namespaceSelector 4 LabelSelector
          matchLabelKeys 5 []string
          mismatchLabelKeys 6 []string
        NodeAffinity
          requiredDuringSchedulingIgnoredDuringExecution 1 NodeSelector
          preferredDuringSchedulingIgnoredDuringExecution 2 []PreferredSchedulingTerm
        PreferredSchedulingTerm
          weight 1 int32 !
          preference 2 NodeSelectorTerm !
        Toleration
          key 1 string
          operator 2 TolerationOperator
          value 3 string
          effect 4 TaintEffect
          tolerationSeconds 5 *int64
        PodReadinessGate
          conditionType 1 PodConditionType !
        PodSpec
          volumes 1 []Volume map=name merge=name retainKeys
          initContainers 20 []Container map=name merge=name
          containers 2 []Container ! map=name merge=name
          ephemeralContainers 34 []EphemeralContainer map=name merge=name
          restartPolicy 3 RestartPolicy ~"Always"
          terminationGracePeriodSeconds 4 *int64 =30
          activeDeadlineSeconds 5 *int64
          dnsPolicy 6 DNSPolicy ~"ClusterFirst"
          nodeSelector 7 {}string atomic
          serviceAccountName 8 string
          serviceAccount 9 string
          automountServiceAccountToken 21 *bool
          nodeName 10 string
          hostNetwork 11 bool
          hostPID 12 bool
          hostIPC 13 bool
          shareProcessNamespace 27 *bool
          securityContext 14 PodSecurityContext ={}
          imagePullSecrets 15 []LocalObjectReference map=name merge=name
          hostname 16 string
          subdomain 17 string
          affinity 18 Affinity
          schedulerName 19 string ~"default-scheduler"
          tolerations 22 []Toleration
          hostAliases 23 []HostAlias map=ip merge=ip
          priorityClassName 24 string
          priority 25 *int32
          dnsConfig 26 PodDNSConfig
          readinessGates 28 []PodReadinessGate
          runtimeClassName 29 *string
          enableServiceLinks 30 *bool
          preemptionPolicy 31 *PreemptionPolicy
          overhead 32 ResourceList
          topologySpreadConstraints 33 []TopologySpreadConstraint map=topologyKey,whenUnsatisfiable merge=topologyKey
          setHostnameAsFQDN 35 *bool
          os 36 PodOS
          hostUsers 37 *bool
          schedulingGates 38 []PodSchedulingGate map=name merge=name
          resourceClaims 39 []PodResourceClaim map=name merge=name retainKeys
          resources 40 ResourceRequirements
          hostnameOverride 41 *string
          schedulingGroup 43 PodSchedulingGroup
        PodResourceClaim
          name 1 string !
          resourceClaimName 3 *string
          resourceClaimTemplateName 4 *string
        PodResourceClaimStatus
          name 1 string !
          resourceClaimName 2 *string
        PodExtendedResourceClaimStatus
          requestMappings 1 []ContainerExtendedResourceRequest !
          resourceClaimName 2 string !
        ContainerExtendedResourceRequest
          containerName 1 string !
          resourceName 2 string !
          requestName 3 string !
        PodOS
          name 1 OSName !
        PodSchedulingGate
          name 1 string !
        PodSchedulingGroup
          podGroupName 1 *string
        TopologySpreadConstraint
          maxSkew 1 int32 !
          topologyKey 2 string !
          whenUnsatisfiable 3 UnsatisfiableConstraintAction !
          labelSelector 4 LabelSelector
          minDomains 5 *int32
          nodeAffinityPolicy 6 *NodeInclusionPolicy
          nodeTaintsPolicy 7 *NodeInclusionPolicy
          matchLabelKeys 8 []string
        HostAlias
          ip 1 string !
          hostnames 2 []string
        PodSecurityContext
          seLinuxOptions 1 SELinuxOptions
          windowsOptions 8 WindowsSecurityContextOptions
          runAsUser 2 *int64
          runAsGroup 6 *int64
          runAsNonRoot 3 *bool
          supplementalGroups 4 []int64
          supplementalGroupsPolicy 12 *SupplementalGroupsPolicy
          fsGroup 5 *int64
          sysctls 7 []Sysctl
          fsGroupChangePolicy 9 *PodFSGroupChangePolicy
          seccompProfile 10 SeccompProfile
          appArmorProfile 11 AppArmorProfile
          seLinuxChangePolicy 13 *PodSELinuxChangePolicy
        SeccompProfile
          type 1 SeccompProfileType !
          localhostProfile 2 *string
        AppArmorProfile
          type 1 AppArmorProfileType !
          localhostProfile 2 *string
        PodDNSConfig
          nameservers 1 []string
          searches 2 []string
          options 3 []PodDNSConfigOption
        PodDNSConfigOption
          name 1 string
          value 2 *string
        PodIP
          ip 1 string !
        HostIP
          ip 1 string !
        EphemeralContainer
          name 1.1 string !
          image 1.2 string
          command 1.3 []string
          args 1.4 []string
          workingDir 1.5 string
          ports 1.6 []ContainerPort map=containerPort,protocol merge=containerPort
          envFrom 1.19 []EnvFromSource
          env 1.7 []EnvVar map=name merge=name
          resources 1.8 ResourceRequirements ={}
          resizePolicy 1.23 []ContainerResizePolicy
          restartPolicy 1.24 *ContainerRestartPolicy
          restartPolicyRules 1.25 []ContainerRestartRule
          volumeMounts 1.9 []VolumeMount map=mountPath merge=mountPath
          volumeDevices 1.21 []VolumeDevice map=devicePath merge=devicePath
          livenessProbe 1.10 Probe
          readinessProbe 1.11 Probe
          startupProbe 1.22 Probe
          lifecycle 1.12 Lifecycle
          terminationMessagePath 1.13 string ~"/dev/termination-log"
          terminationMessagePolicy 1.20 TerminationMessagePolicy ~"File"
          imagePullPolicy 1.14 PullPolicy
          securityContext 1.15 SecurityContext
          stdin 1.16 bool
          stdinOnce 1.17 bool
          tty 1.18 bool
          targetContainerName 2 string
        PodStatus
          observedGeneration 17 int64
          phase 1 PodPhase
          conditions 2 []PodCondition map=type merge=type
          message 3 string
          reason 4 string
          nominatedNodeName 11 string
          hostIP 5 string
          hostIPs 16 []HostIP merge=ip
          podIP 6 string
          podIPs 12 []PodIP map=ip merge=ip
          startTime 7 time
          initContainerStatuses 10 []ContainerStatus
          containerStatuses 8 []ContainerStatus
          qosClass 9 PodQOSClass
          ephemeralContainerStatuses 13 []ContainerStatus
          resize 14 PodResizeStatus
          resourceClaimStatuses 15 []PodResourceClaimStatus map=name merge=name retainKeys
          extendedResourceClaimStatus 18 PodExtendedResourceClaimStatus
          allocatedResources 19 ResourceList
          resources 20 ResourceRequirements
          nodeAllocatableResourceClaimStatuses 21 []NodeAllocatableResourceClaimStatus
        Pod kind
          metadata 1 ObjectMeta
          spec 2 PodSpec
          status 3 PodStatus
        PodList kind
          metadata 1 ListMeta
          items 2 []Pod !
        PodTemplateSpec
          metadata 1 ObjectMeta
          spec 2 PodSpec
        NamespaceSpec
          finalizers 1 []FinalizerName
        NamespaceStatus
          phase 1 NamespacePhase
          conditions 2 []NamespaceCondition map=type merge=type
        NamespaceCondition
          type 1 NamespaceConditionType !
          status 2 ConditionStatus !
          lastTransitionTime 4 time
          reason 5 string
          message 6 string
        Namespace kind
          metadata 1 ObjectMeta
          spec 2 NamespaceSpec
          status 3 NamespaceStatus
        SecurityContext
          capabilities 1 Capabilities
          privileged 2 *bool
          seLinuxOptions 3 SELinuxOptions
          windowsOptions 10 WindowsSecurityContextOptions
          runAsUser 4 *int64
          runAsGroup 8 *int64
          runAsNonRoot 5 *bool
          readOnlyRootFilesystem 6 *bool
          allowPrivilegeEscalation 7 *bool
          procMount 9 *ProcMountType
          seccompProfile 11 SeccompProfile
          appArmorProfile 12 AppArmorProfile
        SELinuxOptions
          user 1 string
          role 2 string
          type 3 string
          level 4 string
        WindowsSecurityContextOptions
          gmsaCredentialSpecName 1 *string
          gmsaCredentialSpec 2 *string
          runAsUserName 3 *string
          hostProcess 4 *bool
        Sysctl
          name 1 string !
          value 2 string !
        NodeAllocatableResourceClaimStatus
          resourceClaimName 1 string !
          containers 2 []string set
          resources 3 {}quantity !
        AppArmorProfileType: enum Localhost RuntimeDefault Unconfined
        Capability: string
        ConditionStatus: enum False True Unknown
        ContainerRestartPolicy: enum Always Never OnFailure
        ContainerRestartRuleAction: string
        ContainerRestartRuleOnExitCodesOperator: string
        DNSPolicy: enum ClusterFirst ClusterFirstWithHostNet Default None
        FinalizerName: string
        MountPropagationMode: enum Bidirectional HostToContainer None
        NamespaceConditionType: string
        NamespacePhase: string
        NodeInclusionPolicy: enum Honor Ignore
        NodeSelectorOperator: enum DoesNotExist Exists Gt In Lt NotIn
        OSName: enum linux windows
        PodConditionType: string
        PodFSGroupChangePolicy: enum Always OnRootMismatch
        PodPhase: string
        PodQOSClass: string
        PodResizeStatus: string
        PodSELinuxChangePolicy: string
        PreemptionPolicy: enum Never PreemptLowerPriority
        ProcMountType: enum Default Unmasked
        Protocol: enum SCTP TCP UDP
        PullPolicy: enum Always IfNotPresent Never
        RecursiveReadOnlyMode: enum Disabled Enabled IfPossible
        ResourceHealthStatus: string
        ResourceID: string
        ResourceList: {}quantity
        ResourceName: string
        ResourceResizeRestartPolicy: enum NotRequired RestartContainer
        RestartPolicy: enum Always Never OnFailure
        SeccompProfileType: enum Localhost RuntimeDefault Unconfined
        Signal: string
        SupplementalGroupsPolicy: enum Merge Strict
        TaintEffect: enum NoExecute NoSchedule PreferNoSchedule
        TerminationMessagePolicy: enum FallbackToLogsOnError File
        TolerationOperator: enum Equal Exists Gt Lt
        URIScheme: enum HTTP HTTPS
        UnsatisfiableConstraintAction: enum DoNotSchedule ScheduleAnyway
        """
}
