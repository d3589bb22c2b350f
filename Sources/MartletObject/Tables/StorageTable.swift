extension SchemaTables {
    /// The fields of storage classes and of what storage drivers say.
    static let storage = """
        package io.k8s.api.storage.v1 storage.k8s.io/v1
        StorageClass kind
          metadata 1 ObjectMeta
          provisioner 2 string !
          parameters 3 {}string
          reclaimPolicy 4 *PersistentVolumeReclaimPolicy ="Delete"
          mountOptions 5 []string
          allowVolumeExpansion 6 *bool
          volumeBindingMode 7 *VolumeBindingMode ="Immediate"
          allowedTopologies 8 []TopologySelectorTerm
        StorageClassList kind
          metadata 1 ListMeta
          items 2 []StorageClass !
        VolumeAttachment kind
          metadata 1 ObjectMeta
          spec 2 VolumeAttachmentSpec !
          status 3 VolumeAttachmentStatus
        VolumeAttachmentList kind
          metadata 1 ListMeta
          items 2 []VolumeAttachment !
        VolumeAttachmentSpec
          attacher 1 string !
          source 2 VolumeAttachmentSource !
          nodeName 3 string !
        VolumeAttachmentSource
          persistentVolumeName 1 *string
          inlineVolumeSpec 2 PersistentVolumeSpec
        VolumeAttachmentStatus
          attached 1 bool !
          attachmentMetadata 2 {}string
          attachError 3 VolumeError
          detachError 4 VolumeError
        VolumeError
          time 1 time
          message 2 string
          errorCode 3 *int32
        CSIDriver kind
          metadata 1 ObjectMeta
          spec 2 CSIDriverSpec !
        CSIDriverList kind
          metadata 1 ListMeta
          items 2 []CSIDriver !
        CSIDriverSpec
          attachRequired 1 *bool =true
          podInfoOnMount 2 *bool =false
          volumeLifecycleModes 3 []VolumeLifecycleMode set =["Persistent"]
          storageCapacity 4 *bool =false
          fsGroupPolicy 5 *FSGroupPolicy ="ReadWriteOnceWithFSType"
          tokenRequests 6 []TokenRequest
          requiresRepublish 7 *bool =false
          seLinuxMount 8 *bool =false
          nodeAllocatableUpdatePeriodSeconds 9 *int64
          serviceAccountTokenInSecrets 10 *bool
          preventPodSchedulingIfMissing 11 *bool
        TokenRequest
          audience 1 string !
          expirationSeconds 2 *int64
        CSINode kind
          metadata 1 ObjectMeta
          spec 2 CSINodeSpec !
        CSINodeSpec
          drivers 1 []CSINodeDriver ! map=name merge=name
        CSINodeDriver
          name 1 string !
          nodeID 2 string !
          topologyKeys 3 []string
          allocatable 4 VolumeNodeResources
        VolumeNodeResources
          count 1 *int32
        CSINodeList kind
          metadata 1 ListMeta
          items 2 []CSINode !
        CSIStorageCapacity kind
          metadata 1 ObjectMeta
          nodeTopology 2 LabelSelector
          storageClassName 3 string !
          capacity 4 quantity
          maximumVolumeSize 5 quantity
        CSIStorageCapacityList kind
          metadata 1 ListMeta
          items 2 []CSIStorageCapacity !
        VolumeAttributesClass kind
          metadata 1 ObjectMeta
          driverName 2 string !
          parameters 3 {}string
        VolumeAttributesClassList kind
          metadata 1 ListMeta
          items 2 []VolumeAttributesClass !
        FSGroupPolicy: enum File None ReadWriteOnceWithFSType
        VolumeBindingMode: enum Immediate WaitForFirstConsumer
        VolumeLifecycleMode: enum Ephemeral Persistent
        """
}
