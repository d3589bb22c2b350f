/// A small good object of every built-in kind that is stored, as clients send it: by `apiVersion kind`.
public enum KindSamples {
    private static let pods = """
        "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"web:1"}]}}
        """
    private static let workload = #""selector":{"matchLabels":{"app":"web"}},\#(pods)"#
    private static let job = """
        "template":{"spec":{"restartPolicy":"Never","containers":[{"name":"web","image":"web:1"}]}}
        """
    private static let role = #""rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]"#
    private static let parents = #""parentRefs":[{"name":"sample"}]"#

    /// What is beside `apiVersion`, `kind` and `metadata`.
    private static let contents: [String: String] = [
        "v1 Namespace": "", "v1 Node": "", "v1 Secret": #""data":{"a":"Yg=="}"#, "v1 ConfigMap": #""data":{"a":"b"}"#,
        "v1 Pod": #""spec":{"containers":[{"name":"web","image":"web:1"}]}"#,
        "v1 Service": #""spec":{"selector":{"app":"web"},"ports":[{"port":80}]}"#,
        "v1 Event": #""involvedObject":{"kind":"Pod","name":"p","namespace":"default"},"message":"m""#,
        "v1 ServiceAccount": "",
        "v1 Endpoints": #""subsets":[{"addresses":[{"ip":"10.0.0.1"}],"ports":[{"port":80}]}]"#,
        "v1 PersistentVolume": """
        "spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/data"}}
        """,
        "v1 PersistentVolumeClaim": """
        "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}
        """,
        "v1 PodTemplate": pods, "v1 ReplicationController": "\"spec\":{\(pods)}",
        "v1 LimitRange": #""spec":{"limits":[{"type":"Container","max":{"cpu":"2"}}]}"#,
        "v1 ResourceQuota": #""spec":{"hard":{"pods":"5","limits.cpu":"4"}}"#,
        "apps/v1 Deployment": "\"spec\":{\(workload)}", "apps/v1 ReplicaSet": "\"spec\":{\(workload)}",
        "apps/v1 StatefulSet": """
        "spec":{"serviceName":"web",\(workload),"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{
        "accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}
        """,
        "apps/v1 DaemonSet": "\"spec\":{\(workload)}", "apps/v1 ControllerRevision": #""data":{"a":1},"revision":1"#,
        "batch/v1 Job": "\"spec\":{\(job)}",
        "batch/v1 CronJob": "\"spec\":{\"schedule\":\"*/5 * * * *\",\"jobTemplate\":{\"spec\":{\(job)}}}",
        "discovery.k8s.io/v1 EndpointSlice": #""addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}]"#,
        "networking.k8s.io/v1 Ingress": """
        "spec":{"defaultBackend":{"service":{"name":"web","port":{"number":80}}}}
        """,
        "networking.k8s.io/v1 IngressClass": #""spec":{"controller":"example.com/c"}"#,
        "networking.k8s.io/v1 NetworkPolicy": """
        "spec":{"podSelector":{"matchLabels":{"app":"web"}},"ingress":[{"ports":[{"port":80}],"from":[{"ipBlock":{
        "cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]}]}
        """,
        "networking.k8s.io/v1 IPAddress": #""spec":{"parentRef":{"resource":"services","name":"a","namespace":"b"}}"#,
        "networking.k8s.io/v1 ServiceCIDR": #""spec":{"cidrs":["10.200.0.0/16"]}"#,
        "coordination.k8s.io/v1 Lease": #""spec":{"holderIdentity":"me","leaseDurationSeconds":15}"#,
        "events.k8s.io/v1 Event": """
        "eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"c","reportingInstance":"i","action":"a",
        "reason":"r","type":"Normal","regarding":{"kind":"Pod","name":"p","namespace":"default"},"note":"n"
        """,
        "autoscaling/v2 HorizontalPodAutoscaler": """
        "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3}
        """,
        "autoscaling/v1 HorizontalPodAutoscaler": """
        "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,
        "targetCPUUtilizationPercentage":70}
        """,
        "policy/v1 PodDisruptionBudget": #""spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}"#,
        "rbac.authorization.k8s.io/v1 Role": role, "rbac.authorization.k8s.io/v1 ClusterRole": role,
        "rbac.authorization.k8s.io/v1 RoleBinding": """
        "roleRef":{"kind":"Role","name":"sample","apiGroup":"rbac.authorization.k8s.io"},
        "subjects":[{"kind":"User","name":"u"}]
        """,
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding": """
        "roleRef":{"kind":"ClusterRole","name":"sample","apiGroup":"rbac.authorization.k8s.io"},
        "subjects":[{"kind":"ServiceAccount","name":"s","namespace":"default"}]
        """,
        "scheduling.k8s.io/v1 PriorityClass": #""value":1000"#, "node.k8s.io/v1 RuntimeClass": #""handler":"runc""#,
        "certificates.k8s.io/v1 CertificateSigningRequest": """
        "spec":{"request":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K","signerName":"example.com/signer",
        "usages":["client auth"]}
        """,
        "storage.k8s.io/v1 StorageClass": #""provisioner":"example.com/disk""#,
        "storage.k8s.io/v1 VolumeAttachment": """
        "spec":{"attacher":"example.com","nodeName":"n","source":{"persistentVolumeName":"v"}}
        """,
        "storage.k8s.io/v1 CSIDriver": #""spec":{"attachRequired":false}"#,
        "storage.k8s.io/v1 CSINode": #""spec":{"drivers":[{"name":"example.com","nodeID":"n"}]}"#,
        "storage.k8s.io/v1 CSIStorageCapacity": #""storageClassName":"disk","capacity":"10Gi""#,
        "storage.k8s.io/v1 VolumeAttributesClass": #""driverName":"example.com","parameters":{"iops":"100"}"#,
        "apiextensions.k8s.io/v1 CustomResourceDefinition": """
        "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"things","kind":"Thing"},
        "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}
        """,
        "gateway.networking.k8s.io/v1 GatewayClass": #""spec":{"controllerName":"example.com/c"}"#,
        "gateway.networking.k8s.io/v1 Gateway": """
        "spec":{"gatewayClassName":"sample","listeners":[{"name":"http","port":80,"protocol":"HTTP"}]}
        """,
        "gateway.networking.k8s.io/v1 HTTPRoute": """
        "spec":{\(parents),"hostnames":["a.test"],"rules":[{"backendRefs":[{"name":"web","port":80}]}]}
        """,
        "gateway.networking.k8s.io/v1 GRPCRoute": "\"spec\":{\(parents)}",
        "gateway.networking.k8s.io/v1 BackendTLSPolicy": """
        "spec":{"targetRefs":[{"group":"","kind":"Service","name":"web"}],"validation":{"hostname":"a.test",
        "wellKnownCACertificates":"System"}}
        """,
        "gateway.networking.k8s.io/v1 ReferenceGrant": """
        "spec":{"from":[{"group":"gateway.networking.k8s.io","kind":"HTTPRoute","namespace":"a"}],
        "to":[{"group":"","kind":"Service"}]}
        """,
    ]

    /// The object in JSON; nil for what has no sample. Views of a kind under another version share its sample.
    public static func text(apiVersion: String, kind: String, name: String = "sample") -> String? {
        let home = apiVersion.replacing("gateway.networking.k8s.io/v1beta1", with: "gateway.networking.k8s.io/v1")
        guard let content = contents["\(home) \(kind)"] else { return nil }
        // Some names say what the object is.
        let names = ["IPAddress": "10.96.0.77", "CustomResourceDefinition": "things.example.com"]
        let name = names[kind] ?? name
        let head = #""apiVersion":"\#(apiVersion)","kind":"\#(kind)","metadata":{"name":"\#(name)"}"#
        return "{\(head)\(content.isEmpty ? "" : ",")\(content)}"
    }
}
