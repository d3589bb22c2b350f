extension SchemaTables {
    /// The fields of volumes.
    static let volumes = """
        package io.k8s.api.core.v1 v1
        Volume
          name 1 string !
          hostPath 2.1 HostPathVolumeSource
          emptyDir 2.2 EmptyDirVolumeSource
          gcePersistentDisk 2.3 GCEPersistentDiskVolumeSource
          awsElasticBlockStore 2.4 AWSElasticBlockStoreVolumeSource
          gitRepo 2.5 GitRepoVolumeSource
          secret 2.6 SecretVolumeSource
          nfs 2.7 NFSVolumeSource
          iscsi 2.8 ISCSIVolumeSource
          glusterfs 2.9 GlusterfsVolumeSource
          persistentVolumeClaim 2.10 PersistentVolumeClaimVolumeSource
          rbd 2.11 RBDVolumeSource
          flexVolume 2.12 FlexVolumeSource
          cinder 2.13 CinderVolumeSource
          cephfs 2.14 CephFSVolumeSource
          flocker 2.15 FlockerVolumeSource
          downwardAPI 2.16 DownwardAPIVolumeSource
          fc 2.17 FCVolumeSource
          azureFile 2.18 AzureFileVolumeSource
          configMap 2.19 ConfigMapVolumeSource
          vsphereVolume 2.20 VsphereVirtualDiskVolumeSource
          quobyte 2.21 QuobyteVolumeSource
          azureDisk 2.22 AzureDiskVolumeSource
          photonPersistentDisk 2.23 PhotonPersistentDiskVolumeSource
          projected 2.26 ProjectedVolumeSource
          portworxVolume 2.24 PortworxVolumeSource
          scaleIO 2.25 ScaleIOVolumeSource
          storageos 2.27 StorageOSVolumeSource
          csi 2.28 CSIVolumeSource
          ephemeral 2.29 EphemeralVolumeSource
          image 2.30 ImageVolumeSource
        PersistentVolumeClaimVolumeSource
          claimName 1 string !
          readOnly 2 bool
        PersistentVolumeClaimSpec
          accessModes 1 []PersistentVolumeAccessMode
          selector 4 LabelSelector
          resources 2 VolumeResourceRequirements
          volumeName 3 string
          storageClassName 5 *string
          volumeMode 6 *PersistentVolumeMode ="Filesystem"
          dataSource 7 TypedLocalObjectReference
          dataSourceRef 8 TypedObjectReference
          volumeAttributesClassName 9 *string
        TypedObjectReference
          apiGroup 1 *string
          kind 2 string !
          name 3 string !
          namespace 4 *string
        HostPathVolumeSource
          path 1 string !
          type 2 *HostPathType =""
        EmptyDirVolumeSource
          medium 1 StorageMedium
          sizeLimit 2 quantity
        GlusterfsVolumeSource
          endpoints 1 string !
          path 2 string !
          readOnly 3 bool
        RBDVolumeSource
          monitors 1 []string !
          image 2 string !
          fsType 3 string
          pool 4 string ~"rbd"
          user 5 string ~"admin"
          keyring 6 string ~"/etc/ceph/keyring"
          secretRef 7 LocalObjectReference
          readOnly 8 bool
        CinderVolumeSource
          volumeID 1 string !
          fsType 2 string
          readOnly 3 bool
          secretRef 4 LocalObjectReference
        CephFSVolumeSource
          monitors 1 []string !
          path 2 string
          user 3 string
          secretFile 4 string
          secretRef 5 LocalObjectReference
          readOnly 6 bool
        FlockerVolumeSource
          datasetName 1 string
          datasetUUID 2 string
        GCEPersistentDiskVolumeSource
          pdName 1 string !
          fsType 2 string
          partition 3 int32
          readOnly 4 bool
        QuobyteVolumeSource
          registry 1 string !
          volume 2 string !
          readOnly 3 bool
          user 4 string
          group 5 string
          tenant 6 string
        FlexVolumeSource
          driver 1 string !
          fsType 2 string
          secretRef 3 LocalObjectReference
          readOnly 4 bool
          options 5 {}string
        AWSElasticBlockStoreVolumeSource
          volumeID 1 string !
          fsType 2 string
          partition 3 int32
          readOnly 4 bool
        GitRepoVolumeSource
          repository 1 string !
          revision 2 string
          directory 3 string
        SecretVolumeSource
          secretName 1 string
          items 2 []KeyToPath
          defaultMode 3 *int32 =420
          optional 4 *bool
        SecretProjection
          name 1.1 string
          items 2 []KeyToPath
          optional 4 *bool
        NFSVolumeSource
          server 1 string !
          path 2 string !
          readOnly 3 bool
        ISCSIVolumeSource
          targetPortal 1 string !
          iqn 2 string !
          lun 3 int32 !
          iscsiInterface 4 string ~"default"
          fsType 5 string
          readOnly 6 bool
          portals 7 []string
          chapAuthDiscovery 8 bool
          chapAuthSession 11 bool
          secretRef 10 LocalObjectReference
          initiatorName 12 *string
        FCVolumeSource
          targetWWNs 1 []string
          lun 2 *int32
          fsType 3 string
          readOnly 4 bool
          wwids 5 []string
        AzureFileVolumeSource
          secretName 1 string !
          shareName 2 string !
          readOnly 3 bool
        VsphereVirtualDiskVolumeSource
          volumePath 1 string !
          fsType 2 string
          storagePolicyName 3 string
          storagePolicyID 4 string
        PhotonPersistentDiskVolumeSource
          pdID 1 string !
          fsType 2 string
        AzureDiskVolumeSource
          diskName 1 string !
          diskURI 2 string !
          cachingMode 3 *AzureDataDiskCachingMode ="ReadWrite"
          fsType 4 *string ="ext4"
          readOnly 5 *bool =false
          kind 6 *AzureDataDiskKind ="Shared"
        PortworxVolumeSource
          volumeID 1 string !
          fsType 2 string
          readOnly 3 bool
        ScaleIOVolumeSource
          gateway 1 string !
          system 2 string !
          secretRef 3 LocalObjectReference !
          sslEnabled 4 bool
          protectionDomain 5 string
          storagePool 6 string
          storageMode 7 string ~"ThinProvisioned"
          volumeName 8 string
          fsType 9 string ~"xfs"
          readOnly 10 bool
        StorageOSVolumeSource
          volumeName 1 string
          volumeNamespace 2 string
          fsType 3 string
          readOnly 4 bool
          secretRef 5 LocalObjectReference
        ConfigMapVolumeSource
          name 1.1 string
          items 2 []KeyToPath
          defaultMode 3 *int32 =420
          optional 4 *bool
        ConfigMapProjection
          name 1.1 string
          items 2 []KeyToPath
          optional 4 *bool
        ServiceAccountTokenProjection
          audience 1 string
          expirationSeconds 2 *int64 =3600
          path 3 string !
        ClusterTrustBundleProjection
          name 1 *string
          signerName 2 *string
          labelSelector 3 LabelSelector
          optional 5 *bool
          path 4 string !
        PodCertificateProjection
          signerName 1 string !
          keyType 2 string !
          maxExpirationSeconds 3 *int32
          credentialBundlePath 4 string
          keyPath 5 string
          certificateChainPath 6 string
          userAnnotations 7 {}string
        ProjectedVolumeSource
          sources 1 []VolumeProjection
          defaultMode 2 *int32 =420
        VolumeProjection
          secret 1 SecretProjection
          downwardAPI 2 DownwardAPIProjection
          configMap 3 ConfigMapProjection
          serviceAccountToken 4 ServiceAccountTokenProjection
          clusterTrustBundle 5 ClusterTrustBundleProjection
          podCertificate 6 PodCertificateProjection
        KeyToPath
          key 1 string !
          path 2 string !
          mode 3 *int32
        CSIVolumeSource
          driver 1 string !
          readOnly 2 *bool
          fsType 3 *string
          volumeAttributes 4 {}string
          nodePublishSecretRef 5 LocalObjectReference
        EphemeralVolumeSource
          volumeClaimTemplate 1 PersistentVolumeClaimTemplate
        PersistentVolumeClaimTemplate
          metadata 1 ObjectMeta
          spec 2 PersistentVolumeClaimSpec !
        VolumeResourceRequirements
          limits 1 ResourceList
          requests 2 ResourceList
        LocalObjectReference
          name 1 string
        TypedLocalObjectReference
          apiGroup 1 *string
          kind 2 string !
          name 3 string !
        DownwardAPIVolumeSource
          items 1 []DownwardAPIVolumeFile
          defaultMode 2 *int32 =420
        DownwardAPIVolumeFile
          path 1 string !
          fieldRef 2 ObjectFieldSelector
          resourceFieldRef 3 ResourceFieldSelector
          mode 4 *int32
        DownwardAPIProjection
          items 1 []DownwardAPIVolumeFile
        ImageVolumeSource
          reference 1 string
          pullPolicy 2 PullPolicy
        AzureDataDiskCachingMode: string
        AzureDataDiskKind: string
        HostPathType: enum BlockDevice CharDevice Directory DirectoryOrCreate File FileOrCreate Socket
        PersistentVolumeAccessMode: enum ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod
        PersistentVolumeMode: enum Block Filesystem
        StorageMedium: string
        """
}
