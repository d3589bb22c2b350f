extension SchemaTables {
    /// The fields of namespaces, nodes, services, secrets, config maps, events and service accounts.
    static let core = """
        package io.k8s.api.core.v1 v1
        Taint
          key string !
          value string
          effect TaintEffect !
          timeAdded time
        SessionAffinityConfig
          clientIP ClientIPConfig
        ClientIPConfig
          timeoutSeconds int32
        ServiceStatus
          loadBalancer LoadBalancerStatus
          conditions []Condition map=type merge=type
        LoadBalancerStatus
          ingress []LoadBalancerIngress
        LoadBalancerIngress
          ip string
          hostname string
          ipMode LoadBalancerIPMode
          ports []PortStatus
        ServiceSpec
          ports []ServicePort map=port,protocol merge=port
          selector {}string atomic
          clusterIP string
          clusterIPs []string
          type ServiceType ~"ClusterIP"
          externalIPs []string
          sessionAffinity ServiceAffinity ~"None"
          loadBalancerIP string
          loadBalancerSourceRanges []string
          externalName string
          externalTrafficPolicy ServiceExternalTrafficPolicy
          healthCheckNodePort int32
          publishNotReadyAddresses bool
          sessionAffinityConfig SessionAffinityConfig
          ipFamilies []IPFamily
          ipFamilyPolicy IPFamilyPolicy
          allocateLoadBalancerNodePorts bool
          loadBalancerClass string
          internalTrafficPolicy ServiceInternalTrafficPolicy
          trafficDistribution string
        ServicePort
          name string
          protocol Protocol ~"TCP"
          appProtocol string
          port int32 !
          targetPort intOrString
          nodePort int32
        Service kind
          metadata ObjectMeta
          spec ServiceSpec
          status ServiceStatus
        ServiceList kind
          metadata ListMeta
          items []Service !
        ServiceAccount kind
          metadata ObjectMeta
          secrets []ObjectReference map=name merge=name
          imagePullSecrets []LocalObjectReference
          automountServiceAccountToken bool
        ServiceAccountList kind
          metadata ListMeta
          items []ServiceAccount !
        NodeSpec
          podCIDR string
          podCIDRs []string set merge
          providerID string
          unschedulable bool
          taints []Taint
          configSource NodeConfigSource
          externalID string
        NodeConfigSource
          configMap ConfigMapNodeConfigSource
        ConfigMapNodeConfigSource
          namespace string !
          name string !
          uid string
          resourceVersion string
          kubeletConfigKey string !
        DaemonEndpoint
          Port int32 !
        NodeDaemonEndpoints
          kubeletEndpoint DaemonEndpoint
        NodeRuntimeHandlerFeatures
          recursiveReadOnlyMounts bool
          userNamespaces bool
        NodeRuntimeHandler
          name string
          features NodeRuntimeHandlerFeatures
        NodeFeatures
          supplementalGroupsPolicy bool
        NodeSystemInfo
          machineID string !
          systemUUID string !
          bootID string !
          kernelVersion string !
          osImage string !
          containerRuntimeVersion string !
          kubeletVersion string !
          kubeProxyVersion string !
          operatingSystem string !
          architecture string !
          swap NodeSwapStatus
        NodeSwapStatus
          capacity int64
        NodeConfigStatus
          assigned NodeConfigSource
          active NodeConfigSource
          lastKnownGood NodeConfigSource
          error string
        NodeStatus
          capacity ResourceList
          allocatable ResourceList
          phase NodePhase
          conditions []NodeCondition map=type merge=type
          addresses []NodeAddress map=type merge=type
          daemonEndpoints NodeDaemonEndpoints
          nodeInfo NodeSystemInfo
          images []ContainerImage
          volumesInUse []UniqueVolumeName
          volumesAttached []AttachedVolume
          config NodeConfigStatus
          runtimeHandlers []NodeRuntimeHandler
          features NodeFeatures
          declaredFeatures []string
        AttachedVolume
          name UniqueVolumeName !
          devicePath string !
        ContainerImage
          names []string
          sizeBytes int64
        NodeCondition
          type NodeConditionType !
          status ConditionStatus !
          lastHeartbeatTime time
          lastTransitionTime time
          reason string
          message string
        NodeAddress
          type NodeAddressType !
          address string !
        Node kind
          metadata ObjectMeta
          spec NodeSpec
          status NodeStatus
        NodeList kind
          metadata ListMeta
          items []Node !
        NamespaceList kind
          metadata ListMeta
          items []Namespace !
        Binding kind
          metadata ObjectMeta
          target ObjectReference !
        ObjectReference
          kind string
          namespace string
          name string
          uid string
          apiVersion string
          resourceVersion string
          fieldPath string
        EventSource
          component string
          host string
        Event kind
          metadata ObjectMeta !
          involvedObject ObjectReference !
          reason string
          message string
          source EventSource
          firstTimestamp time
          lastTimestamp time
          count int32
          type string
          eventTime microTime
          series EventSeries
          action string
          related ObjectReference
          reportingComponent string
          reportingInstance string
        EventSeries
          count int32
          lastObservedTime microTime
        EventList kind
          metadata ListMeta
          items []Event !
        Secret kind
          metadata ObjectMeta
          immutable bool
          data {}bytes
          stringData {}string
          type SecretType ~"Opaque"
        SecretList kind
          metadata ListMeta
          items []Secret !
        ConfigMap kind
          metadata ObjectMeta
          immutable bool
          data {}string
          binaryData {}bytes
        ConfigMapList kind
          metadata ListMeta
          items []ConfigMap !
        PortStatus
          port int32 !
          protocol Protocol !
          error string
        IPFamily: enum IPv4 IPv6
        IPFamilyPolicy: enum PreferDualStack RequireDualStack SingleStack
        LoadBalancerIPMode: string
        NodeAddressType: string
        NodeConditionType: string
        NodePhase: string
        SecretType: string
        ServiceAffinity: enum ClientIP None
        ServiceExternalTrafficPolicy: enum Cluster Local
        ServiceInternalTrafficPolicy: enum Cluster Local
        ServiceType: enum ClusterIP ExternalName LoadBalancer NodePort
        UniqueVolumeName: string
        """
}
