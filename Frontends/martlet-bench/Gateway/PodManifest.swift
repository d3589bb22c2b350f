/// The pods of the bench: like those of a small web service, some 3 KB each once they are stored. They have a node, so
/// that no scheduler is missed.
enum PodManifest {
    /// The body that creates the pod with that name.
    static func body(named name: String) -> [UInt8] { head + Array(name.utf8) + tail }

    private static let head = Array(#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":""#.utf8)

    private static let tail: [UInt8] = {
        let environment = (0..<8).map { #"{"name":"SETTING_\#($0)","value":"value-of-setting-\#($0)"}"# }
        func container(_ name: String, port: Int) -> String {
            """
            {"name":"\(name)","image":"registry.example.org/team/\(name):1.27.3","imagePullPolicy":"IfNotPresent",\
            "args":["--listen=:\(port)","--log-format=json"],"env":[\(environment.joined(separator: ","))],\
            "ports":[{"name":"http","containerPort":\(port)}],\
            "resources":{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"cpu":"500m","memory":"256Mi"}},\
            "readinessProbe":{"httpGet":{"path":"/ready","port":\(port)},"periodSeconds":5},\
            "livenessProbe":{"httpGet":{"path":"/alive","port":\(port)},"initialDelaySeconds":10},\
            "volumeMounts":[{"name":"config","mountPath":"/etc/\(name)"},{"name":"scratch","mountPath":"/tmp"}]}
            """
        }
        let text = """
            ","namespace":"default","labels":{"app":"bench","tier":"web","pod-template-hash":"5d4f8c7b9c"},\
            "annotations":{"example.org/checksum":"0f1e2d3c4b5a69788796a5b4c3d2e1f0"}},\
            "spec":{"nodeName":"nowhere","automountServiceAccountToken":false,"terminationGracePeriodSeconds":30,\
            "containers":[\(container("web", port: 8080)),\(container("sidecar", port: 9090))],\
            "volumes":[{"name":"config","configMap":{"name":"web"}},{"name":"scratch","emptyDir":{}}],\
            "securityContext":{"runAsNonRoot":true,"runAsUser":1000}}}
            """
        return Array(text.utf8)
    }()
}
