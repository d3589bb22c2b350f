extension SchemaTables {
    /// The fields of persistent volumes and their claims.
    static let persistentVolumes = """
        package io.k8s.api.core.v1 v1
        PersistentVolume kind
          metadata 1 ObjectMeta
          spec 2 PersistentVolumeSpec
          status 3 PersistentVolumeStatus
        PersistentVolumeSpec
          capacity 1 ResourceList
          gcePersistentDisk 2.1 GCEPersistentDiskVolumeSource
          awsElasticBlockStore 2.2 AWSElasticBlockStoreVolumeSource
          hostPath 2.3 HostPathVolumeSource
          glusterfs 2.4 GlusterfsPersistentVolumeSource
          nfs 2.5 NFSVolumeSource
          rbd 2.6 RBDPersistentVolumeSource
          iscsi 2.7 ISCSIPersistentVolumeSource
          cinder 2.8 CinderPersistentVolumeSource
          cephfs 2.9 CephFSPersistentVolumeSource
          fc 2.10 FCVolumeSource
          flocker 2.11 FlockerVolumeSource
          flexVolume 2.12 FlexPersistentVolumeSource
          azureFile 2.13 AzureFilePersistentVolumeSource
          vsphereVolume 2.14 VsphereVirtualDiskVolumeSource
          quobyte 2.15 QuobyteVolumeSource
          azureDisk 2.16 AzureDiskVolumeSource
          photonPersistentDisk 2.17 PhotonPersistentDiskVolumeSource
          portworxVolume 2.18 PortworxVolumeSource
          scaleIO 2.19 ScaleIOPersistentVolumeSource
          local 2.20 LocalVolumeSource
          storageos 2.21 StorageOSPersistentVolumeSource
          csi 2.22 CSIPersistentVolumeSource
          accessModes 3 []PersistentVolumeAccessMode
          claimRef 4 ObjectReference
          persistentVolumeReclaimPolicy 5 PersistentVolumeReclaimPolicy ~"Retain"
          storageClassName 6 string
          mountOptions 7 []string
          volumeMode 8 *PersistentVolumeMode ="Filesystem"
          nodeAffinity 9 VolumeNodeAffinity
          volumeAttributesClassName 10 *string
        VolumeNodeAffinity
          required 1 NodeSelector
        PersistentVolumeStatus
          phase 1 PersistentVolumePhase
          message 2 string
          reason 3 string
          lastPhaseTransitionTime 4 time
        PersistentVolumeList kind
          metadata 1 ListMeta
          items 2 []PersistentVolume !
        PersistentVolumeClaim kind
          metadata 1 ObjectMeta
          spec 2 PersistentVolumeClaimSpec
          status 3 PersistentVolumeClaimStatus
        PersistentVolumeClaimList kind
          metadata 1 ListMeta
          items 2 []PersistentVolumeClaim !
        ModifyVolumeStatus
          targetVolumeAttributesClassName 1 string
          status 2 PersistentVolumeClaimModifyVolumeStatus !
        PersistentVolumeClaimCondition
          type 1 PersistentVolumeClaimConditionType !
          status 2 ConditionStatus !
          lastProbeTime 3 time
          lastTransitionTime 4 time
          reason 5 string
          message 6 string
        PersistentVolumeClaimStatus
          phase 1 PersistentVolumeClaimPhase
          accessModes 2 []PersistentVolumeAccessMode
          capacity 3 ResourceList
          conditions 4 []PersistentVolumeClaimCondition map=type merge=type
          allocatedResources 5 ResourceList
          allocatedResourceStatuses 7 {}ClaimResourceStatus
          currentVolumeAttributesClassName 8 *string
          modifyVolumeStatus 9 ModifyVolumeStatus
        GlusterfsPersistentVolumeSource
          endpoints 1 string !
          path 2 string !
          readOnly 3 bool
          endpointsNamespace 4 *string
        RBDPersistentVolumeSource
          monitors 1 []string !
          image 2 string !
          fsType 3 string
          pool 4 string ~"rbd"
          user 5 string ~"admin"
          keyring 6 string ~"/etc/ceph/keyring"
          secretRef 7 SecretReference
          readOnly 8 bool
        CinderPersistentVolumeSource
          volumeID 1 string !
          fsType 2 string
          readOnly 3 bool
          secretRef 4 SecretReference
        SecretReference
          name 1 string
          namespace 2 string
        CephFSPersistentVolumeSource
          monitors 1 []string !
          path 2 string
          user 3 string
          secretFile 4 string
          secretRef 5 SecretReference
          readOnly 6 bool
        FlexPersistentVolumeSource
          driver 1 string !
          fsType 2 string
          secretRef 3 SecretReference
          readOnly 4 bool
          options 5 {}string
        ISCSIPersistentVolumeSource
          targetPortal 1 string !
          iqn 2 string !
          lun 3 int32 !
          iscsiInterface 4 string ~"default"
          fsType 5 string
          readOnly 6 bool
          portals 7 []string
          chapAuthDiscovery 8 bool
          chapAuthSession 11 bool
          secretRef 10 SecretReference
          initiatorName 12 *string
        AzureFilePersistentVolumeSource
          secretName 1 string !
          shareName 2 string !
          readOnly 3 bool
          secretNamespace 4 *string
        ScaleIOPersistentVolumeSource
          gateway 1 string !
          system 2 string !
          secretRef 3 SecretReference !
          sslEnabled 4 bool
          protectionDomain 5 string
          storagePool 6 string
          storageMode 7 string ~"ThinProvisioned"
          volumeName 8 string
          fsType 9 string ~"xfs"
          readOnly 10 bool
        StorageOSPersistentVolumeSource
          volumeName 1 string
          volumeNamespace 2 string
          fsType 3 string
          readOnly 4 bool
          secretRef 5 ObjectReference
        LocalVolumeSource
          path 1 string !
          fsType 2 *string
        CSIPersistentVolumeSource
          driver 1 string !
          volumeHandle 2 string !
          readOnly 3 bool
          fsType 4 string
          volumeAttributes 5 {}string
          controllerPublishSecretRef 6 SecretReference
          nodeStageSecretRef 7 SecretReference
          nodePublishSecretRef 8 SecretReference
          controllerExpandSecretRef 9 SecretReference
          nodeExpandSecretRef 10 SecretReference
        TopologySelectorTerm
          matchLabelExpressions 1 []TopologySelectorLabelRequirement
        TopologySelectorLabelRequirement
          key 1 string !
          values 2 []string !
        ClaimResourceStatus: string
        PersistentVolumeClaimConditionType: string
        PersistentVolumeClaimModifyVolumeStatus: string
        PersistentVolumeClaimPhase: string
        PersistentVolumePhase: string
        PersistentVolumeReclaimPolicy: enum Delete Recycle Retain
        """
}
