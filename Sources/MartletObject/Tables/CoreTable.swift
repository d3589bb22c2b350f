extension SchemaTables {
    /// The fields of namespaces, nodes, services, secrets, config maps, events and service accounts.
    static let core = """
        package io.k8s.api.core.v1 v1
        Taint
          key 1 string !
          value 2 string
          effect 3 TaintEffect !
          timeAdded 4 time
        SessionAffinityConfig
          clientIP 1 ClientIPConfig
        ClientIPConfig
          timeoutSeconds 1 *int32
        ServiceStatus
          loadBalancer 1 LoadBalancerStatus
          conditions 2 []Condition map=type merge=type
        LoadBalancerStatus
          ingress 1 []LoadBalancerIngress
        LoadBalancerIngress
          ip 1 string
          hostname 2 string
          ipMode 3 *LoadBalancerIPMode
          ports 4 []PortStatus
        ServiceSpec
          ports 1 []ServicePort map=port,protocol merge=port
          selector 2 {}string atomic
          clusterIP 3 string
          clusterIPs 18 []string
          type 4 ServiceType ~"ClusterIP"
          externalIPs 5 []string
          sessionAffinity 7 ServiceAffinity ~"None"
          loadBalancerIP 8 string
          loadBalancerSourceRanges 9 []string
          externalName 10 string
          externalTrafficPolicy 11 ServiceExternalTrafficPolicy
          healthCheckNodePort 12 int32
          publishNotReadyAddresses 13 bool
          sessionAffinityConfig 14 SessionAffinityConfig
          ipFamilies 19 []IPFamily
          ipFamilyPolicy 17 *IPFamilyPolicy
          allocateLoadBalancerNodePorts 20 *bool
          loadBalancerClass 21 *string
          internalTrafficPolicy 22 *ServiceInternalTrafficPolicy
          trafficDistribution 23 *string
        ServicePort
          name 1 string
          protocol 2 Protocol ~"TCP"
          appProtocol 6 *string
          port 3 int32 !
          targetPort 4 intOrString
          nodePort 5 int32
        Service kind
          metadata 1 ObjectMeta
          spec 2 ServiceSpec
          status 3 ServiceStatus
        ServiceList kind
          metadata 1 ListMeta
          items 2 []Service !
        ServiceAccount kind
          metadata 1 ObjectMeta
          secrets 2 []ObjectReference map=name merge=name
          imagePullSecrets 3 []LocalObjectReference
          automountServiceAccountToken 4 *bool
        ServiceAccountList kind
          metadata 1 ListMeta
          items 2 []ServiceAccount !
        NodeSpec
          podCIDR 1 string
          podCIDRs 7 []string set merge
          providerID 3 string
          unschedulable 4 bool
          taints 5 []Taint
          configSource 6 NodeConfigSource
          externalID 2 string
        NodeConfigSource
          configMap 2 ConfigMapNodeConfigSource
        ConfigMapNodeConfigSource
          namespace 1 string !
          name 2 string !
          uid 3 string
          resourceVersion 4 string
          kubeletConfigKey 5 string !
        DaemonEndpoint
          Port 1 int32 !
        NodeDaemonEndpoints
          kubeletEndpoint 1 DaemonEndpoint
        NodeRuntimeHandlerFeatures
          recursiveReadOnlyMounts 1 *bool
          userNamespaces 2 *bool
        NodeRuntimeHandler
          name 1 string
          features 2 NodeRuntimeHandlerFeatures
        NodeFeatures
          supplementalGroupsPolicy 1 *bool
        NodeSystemInfo
          machineID 1 string !
          systemUUID 2 string !
          bootID 3 string !
          kernelVersion 4 string !
          osImage 5 string !
          containerRuntimeVersion 6 string !
          kubeletVersion 7 string !
          kubeProxyVersion 8 string !
          operatingSystem 9 string !
          architecture 10 string !
          swap 11 NodeSwapStatus
        NodeSwapStatus
          capacity 1 *int64
        NodeConfigStatus
          assigned 1 NodeConfigSource
          active 2 NodeConfigSource
          lastKnownGood 3 NodeConfigSource
          error 4 string
        NodeStatus
          capacity 1 ResourceList
          allocatable 2 ResourceList
          phase 3 NodePhase
          conditions 4 []NodeCondition map=type merge=type
          addresses 5 []NodeAddress map=type merge=type
          daemonEndpoints 6 NodeDaemonEndpoints
          nodeInfo 7 NodeSystemInfo
          images 8 []ContainerImage
          volumesInUse 9 []UniqueVolumeName
          volumesAttached 10 []AttachedVolume
          config 11 NodeConfigStatus
          runtimeHandlers 12 []NodeRuntimeHandler
          features 13 NodeFeatures
          declaredFeatures 14 []string
        AttachedVolume
          name 1 UniqueVolumeName !
          devicePath 2 string !
        ContainerImage
          names 1 []string
          sizeBytes 2 int64
        NodeCondition
          type 1 NodeConditionType !
          status 2 ConditionStatus !
          lastHeartbeatTime 3 time
          lastTransitionTime 4 time
          reason 5 string
          message 6 string
        NodeAddress
          type 1 NodeAddressType !
          address 2 string !
        Node kind
          metadata 1 ObjectMeta
          spec 2 NodeSpec
          status 3 NodeStatus
        NodeList kind
          metadata 1 ListMeta
          items 2 []Node !
        NamespaceList kind
          metadata 1 ListMeta
          items 2 []Namespace !
        Binding kind
          metadata 1 ObjectMeta
          target 2 ObjectReference !
        ObjectReference
          kind 1 string
          namespace 2 string
          name 3 string
          uid 4 string
          apiVersion 5 string
          resourceVersion 6 string
          fieldPath 7 string
        EventSource
          component 1 string
          host 2 string
        Event kind
          metadata 1 ObjectMeta !
          involvedObject 2 ObjectReference !
          reason 3 string
          message 4 string
          source 5 EventSource
          firstTimestamp 6 time
          lastTimestamp 7 time
          count 8 int32
          type 9 string
          eventTime 10 microTime
          series 11 EventSeries
          action 12 string
          related 13 ObjectReference
          reportingComponent 14 string
          reportingInstance 15 string
        EventSeries
          count 1 int32
          lastObservedTime 2 microTime
        EventList kind
          metadata 1 ListMeta
          items 2 []Event !
        Secret kind
          metadata 1 ObjectMeta
          immutable 5 *bool
          data 2 {}bytes
          stringData 4 {}string
          type 3 SecretType ~"Opaque"
        SecretList kind
          metadata 1 ListMeta
          items 2 []Secret !
        ConfigMap kind
          metadata 1 ObjectMeta
          immutable 4 *bool
          data 2 {}string
          binaryData 3 {}bytes
        ConfigMapList kind
          metadata 1 ListMeta
          items 2 []ConfigMap !
        PortStatus
          port 1 int32 !
          protocol 2 Protocol !
          error 3 *string
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
