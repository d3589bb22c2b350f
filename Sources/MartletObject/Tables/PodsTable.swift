extension SchemaTables {
    /// The fields of pods and all beneath them.
    static let pods = """
        package io.k8s.api.core.v1 v1
        ContainerPort
          name string
          hostPort int32
          containerPort int32 !
          protocol Protocol ~"TCP"
          hostIP string
        VolumeMount
          name string !
          readOnly bool
          recursiveReadOnly RecursiveReadOnlyMode
          mountPath string !
          subPath string
          mountPropagation MountPropagationMode
          subPathExpr string
        VolumeDevice
          name string !
          devicePath string !
        EnvVar
          name string !
          value string
          valueFrom EnvVarSource
        EnvVarSource
          fieldRef ObjectFieldSelector
          resourceFieldRef ResourceFieldSelector
          configMapKeyRef ConfigMapKeySelector
          secretKeyRef SecretKeySelector
          fileKeyRef FileKeySelector
        FileKeySelector
          volumeName string !
          path string !
          key string !
          optional bool =false
        ObjectFieldSelector
          apiVersion string ~"v1"
          fieldPath string !
        ResourceFieldSelector
          containerName string
          resource string !
          divisor quantity
        ConfigMapKeySelector
          name string
          key string !
          optional bool
        SecretKeySelector
          name string
          key string !
          optional bool
        EnvFromSource
          prefix string
          configMapRef ConfigMapEnvSource
          secretRef SecretEnvSource
        ConfigMapEnvSource
          name string
          optional bool
        SecretEnvSource
          name string
          optional bool
        HTTPHeader
          name string !
          value string !
        HTTPGetAction
          path string ~"/"
          port intOrString !
          host string
          scheme URIScheme ~"HTTP"
          httpHeaders []HTTPHeader
        TCPSocketAction
          port intOrString !
          host string
        GRPCAction
          port int32 !
          service string =""
        ExecAction
          command []string
        SleepAction
          seconds int64 !
        Probe
          exec ExecAction
          httpGet HTTPGetAction
          tcpSocket TCPSocketAction
          grpc GRPCAction
          initialDelaySeconds int32
          timeoutSeconds int32 ~1
          periodSeconds int32 ~10
          successThreshold int32 ~1
          failureThreshold int32 ~3
          terminationGracePeriodSeconds int64
        ContainerResizePolicy
          resourceName ResourceName !
          restartPolicy ResourceResizeRestartPolicy !
        Capabilities
          add []Capability
          drop []Capability
        ResourceRequirements
          limits ResourceList
          requests ResourceList
          claims []ResourceClaim map=name
        ResourceClaim
          name string !
          request string
        Container
          name string !
          image string
          command []string
          args []string
          workingDir string
          ports []ContainerPort map=containerPort,protocol merge=containerPort
          envFrom []EnvFromSource
          env []EnvVar map=name merge=name
          resources ResourceRequirements ={}
          resizePolicy []ContainerResizePolicy
          restartPolicy ContainerRestartPolicy
          restartPolicyRules []ContainerRestartRule
          volumeMounts []VolumeMount map=mountPath merge=mountPath
          volumeDevices []VolumeDevice map=devicePath merge=devicePath
          livenessProbe Probe
          readinessProbe Probe
          startupProbe Probe
          lifecycle Lifecycle
          terminationMessagePath string ~"/dev/termination-log"
          terminationMessagePolicy TerminationMessagePolicy ~"File"
          imagePullPolicy PullPolicy
          securityContext SecurityContext
          stdin bool
          stdinOnce bool
          tty bool
        LifecycleHandler
          exec ExecAction
          httpGet HTTPGetAction
          tcpSocket TCPSocketAction
          sleep SleepAction
        Lifecycle
          postStart LifecycleHandler
          preStop LifecycleHandler
          stopSignal Signal
        ContainerStateWaiting
          reason string
          message string
        ContainerStateRunning
          startedAt time
        ContainerStateTerminated
          exitCode int32 !
          signal int32
          reason string
          message string
          startedAt time
          finishedAt time
          containerID string
        ContainerState
          waiting ContainerStateWaiting
          running ContainerStateRunning
          terminated ContainerStateTerminated
        ContainerStatus
          name string !
          state ContainerState
          lastState ContainerState
          ready bool !
          restartCount int32 !
          image string !
          imageID string !
          containerID string
          started bool
          allocatedResources ResourceList
          resources ResourceRequirements
          volumeMounts []VolumeMountStatus map=mountPath merge=mountPath
          user ContainerUser
          allocatedResourcesStatus []ResourceStatus map=name merge=name
          stopSignal Signal
        ResourceStatus
          name ResourceName !
          resources []ResourceHealth map=resourceID
        ResourceHealth
          resourceID ResourceID !
          health ResourceHealthStatus
          message string
        ContainerUser
          linux LinuxContainerUser
        LinuxContainerUser
          uid int64 !
          gid int64 !
          supplementalGroups []int64
        PodCondition
          type PodConditionType !
          observedGeneration int64
          status ConditionStatus !
          lastProbeTime time
          lastTransitionTime time
          reason string
          message string
        VolumeMountStatus
          name string !
          mountPath string !
          readOnly bool
          recursiveReadOnly RecursiveReadOnlyMode
          volumeStatus VolumeStatus
        VolumeStatus
          image ImageVolumeStatus
        ImageVolumeStatus
          imageRef string !
        ContainerRestartRule
          action ContainerRestartRuleAction !
          exitCodes ContainerRestartRuleOnExitCodes
        ContainerRestartRuleOnExitCodes
          operator ContainerRestartRuleOnExitCodesOperator !
          values []int32 set
        NodeSelector
          nodeSelectorTerms []NodeSelectorTerm !
        NodeSelectorTerm
          matchExpressions []NodeSelectorRequirement
          matchFields []NodeSelectorRequirement
        NodeSelectorRequirement
          key string !
          operator NodeSelectorOperator !
          values []string
        Affinity
          nodeAffinity NodeAffinity
          podAffinity PodAffinity
          podAntiAffinity PodAntiAffinity
        PodAffinity
          requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm
          preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm
        PodAntiAffinity
          requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm
          preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm
        WeightedPodAffinityTerm
          weight int32 !
          podAffinityTerm PodAffinityTerm !
        PodAffinityTerm
          labelSelector LabelSelector
          namespaces []string
          topologyKey string !
          namespaceSelector LabelSelector
          matchLabelKeys []string
          mismatchLabelKeys []string
        NodeAffinity
          requiredDuringSchedulingIgnoredDuringExecution NodeSelector
          preferredDuringSchedulingIgnoredDuringExecution []PreferredSchedulingTerm
        PreferredSchedulingTerm
          weight int32 !
          preference NodeSelectorTerm !
        Toleration
          key string
          operator TolerationOperator
          value string
          effect TaintEffect
          tolerationSeconds int64
        PodReadinessGate
          conditionType PodConditionType !
        PodSpec
          volumes []Volume map=name merge=name retainKeys
          initContainers []Container map=name merge=name
          containers []Container ! map=name merge=name
          ephemeralContainers []EphemeralContainer map=name merge=name
          restartPolicy RestartPolicy ~"Always"
          terminationGracePeriodSeconds int64 =30
          activeDeadlineSeconds int64
          dnsPolicy DNSPolicy ~"ClusterFirst"
          nodeSelector {}string atomic
          serviceAccountName string
          serviceAccount string
          automountServiceAccountToken bool
          nodeName string
          hostNetwork bool
          hostPID bool
          hostIPC bool
          shareProcessNamespace bool
          securityContext PodSecurityContext ={}
          imagePullSecrets []LocalObjectReference map=name merge=name
          hostname string
          subdomain string
          affinity Affinity
          schedulerName string ~"default-scheduler"
          tolerations []Toleration
          hostAliases []HostAlias map=ip merge=ip
          priorityClassName string
          priority int32
          dnsConfig PodDNSConfig
          readinessGates []PodReadinessGate
          runtimeClassName string
          enableServiceLinks bool
          preemptionPolicy PreemptionPolicy
          overhead ResourceList
          topologySpreadConstraints []TopologySpreadConstraint map=topologyKey,whenUnsatisfiable merge=topologyKey
          setHostnameAsFQDN bool
          os PodOS
          hostUsers bool
          schedulingGates []PodSchedulingGate map=name merge=name
          resourceClaims []PodResourceClaim map=name merge=name retainKeys
          resources ResourceRequirements
          hostnameOverride string
          schedulingGroup PodSchedulingGroup
        PodResourceClaim
          name string !
          resourceClaimName string
          resourceClaimTemplateName string
        PodResourceClaimStatus
          name string !
          resourceClaimName string
        PodExtendedResourceClaimStatus
          requestMappings []ContainerExtendedResourceRequest !
          resourceClaimName string !
        ContainerExtendedResourceRequest
          containerName string !
          resourceName string !
          requestName string !
        PodOS
          name OSName !
        PodSchedulingGate
          name string !
        PodSchedulingGroup
          podGroupName string
        TopologySpreadConstraint
          maxSkew int32 !
          topologyKey string !
          whenUnsatisfiable UnsatisfiableConstraintAction !
          labelSelector LabelSelector
          minDomains int32
          nodeAffinityPolicy NodeInclusionPolicy
          nodeTaintsPolicy NodeInclusionPolicy
          matchLabelKeys []string
        HostAlias
          ip string !
          hostnames []string
        PodSecurityContext
          seLinuxOptions SELinuxOptions
          windowsOptions WindowsSecurityContextOptions
          runAsUser int64
          runAsGroup int64
          runAsNonRoot bool
          supplementalGroups []int64
          supplementalGroupsPolicy SupplementalGroupsPolicy
          fsGroup int64
          sysctls []Sysctl
          fsGroupChangePolicy PodFSGroupChangePolicy
          seccompProfile SeccompProfile
          appArmorProfile AppArmorProfile
          seLinuxChangePolicy PodSELinuxChangePolicy
        SeccompProfile
          type SeccompProfileType !
          localhostProfile string
        AppArmorProfile
          type AppArmorProfileType !
          localhostProfile string
        PodDNSConfig
          nameservers []string
          searches []string
          options []PodDNSConfigOption
        PodDNSConfigOption
          name string
          value string
        PodIP
          ip string !
        HostIP
          ip string !
        EphemeralContainer
          name string !
          image string
          command []string
          args []string
          workingDir string
          ports []ContainerPort map=containerPort,protocol merge=containerPort
          envFrom []EnvFromSource
          env []EnvVar map=name merge=name
          resources ResourceRequirements ={}
          resizePolicy []ContainerResizePolicy
          restartPolicy ContainerRestartPolicy
          restartPolicyRules []ContainerRestartRule
          volumeMounts []VolumeMount map=mountPath merge=mountPath
          volumeDevices []VolumeDevice map=devicePath merge=devicePath
          livenessProbe Probe
          readinessProbe Probe
          startupProbe Probe
          lifecycle Lifecycle
          terminationMessagePath string ~"/dev/termination-log"
          terminationMessagePolicy TerminationMessagePolicy ~"File"
          imagePullPolicy PullPolicy
          securityContext SecurityContext
          stdin bool
          stdinOnce bool
          tty bool
          targetContainerName string
        PodStatus
          observedGeneration int64
          phase PodPhase
          conditions []PodCondition map=type merge=type
          message string
          reason string
          nominatedNodeName string
          hostIP string
          hostIPs []HostIP merge=ip
          podIP string
          podIPs []PodIP map=ip merge=ip
          startTime time
          initContainerStatuses []ContainerStatus
          containerStatuses []ContainerStatus
          qosClass PodQOSClass
          ephemeralContainerStatuses []ContainerStatus
          resize PodResizeStatus
          resourceClaimStatuses []PodResourceClaimStatus map=name merge=name retainKeys
          extendedResourceClaimStatus PodExtendedResourceClaimStatus
          allocatedResources ResourceList
          resources ResourceRequirements
          nodeAllocatableResourceClaimStatuses []NodeAllocatableResourceClaimStatus
        Pod kind
          metadata ObjectMeta
          spec PodSpec
          status PodStatus
        PodList kind
          metadata ListMeta
          items []Pod !
        PodTemplateSpec
          metadata ObjectMeta
          spec PodSpec
        NamespaceSpec
          finalizers []FinalizerName
        NamespaceStatus
          phase NamespacePhase
          conditions []NamespaceCondition map=type merge=type
        NamespaceCondition
          type NamespaceConditionType !
          status ConditionStatus !
          lastTransitionTime time
          reason string
          message string
        Namespace kind
          metadata ObjectMeta
          spec NamespaceSpec
          status NamespaceStatus
        SecurityContext
          capabilities Capabilities
          privileged bool
          seLinuxOptions SELinuxOptions
          windowsOptions WindowsSecurityContextOptions
          runAsUser int64
          runAsGroup int64
          runAsNonRoot bool
          readOnlyRootFilesystem bool
          allowPrivilegeEscalation bool
          procMount ProcMountType
          seccompProfile SeccompProfile
          appArmorProfile AppArmorProfile
        SELinuxOptions
          user string
          role string
          type string
          level string
        WindowsSecurityContextOptions
          gmsaCredentialSpecName string
          gmsaCredentialSpec string
          runAsUserName string
          hostProcess bool
        Sysctl
          name string !
          value string !
        NodeAllocatableResourceClaimStatus
          resourceClaimName string !
          containers []string set
          resources {}quantity !
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
