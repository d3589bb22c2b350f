/// The pods of the bench: like those of a small web service. They have a node, so that no scheduler is missed.
///
/// They are as big as those that Martlet's goals were set by: 4.3 KB each as they are served in a list, 2.8 KB in the
/// event of a watch.
enum PodManifest: Sendable {
    /// A service with a container beside it: what is created, read and listed.
    case listed
    /// A service alone: what watches see.
    case watched

    /// The body that creates the pod with that name.
    func body(named name: String) -> [UInt8] {
        Self.head + Array(name.utf8) + (self == .listed ? Self.pairTail : Self.singleTail)
    }

    private static let head = Array(#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":""#.utf8)
    private static let pairTail = tail([container("web", port: 8080), container("sidecar", port: 9090)])
    private static let singleTail = tail([container("web", port: 8080)])

    private static func container(_ name: String, port: Int) -> String {
        let environment = (0..<2).map { #"{"name":"SETTING_\#($0)","value":"value-of-setting-\#($0)"}"# }
        return """
            {"name":"\(name)","image":"registry.example.org/team/\(name):1.27.3","imagePullPolicy":"IfNotPresent",\
            "args":["--listen=:\(port)","--log-format=json"],"env":[\(environment.joined(separator: ","))],\
            "ports":[{"name":"http","containerPort":\(port)}],\
            "resources":{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"cpu":"500m","memory":"256Mi"}},\
            "readinessProbe":{"httpGet":{"path":"/ready","port":\(port)},"periodSeconds":5},\
            "volumeMounts":[{"name":"config","mountPath":"/etc/\(name)"}]}
            """
    }

    private static func tail(_ containers: [String]) -> [UInt8] {
        let text = """
            ","namespace":"default","labels":{"app":"bench","tier":"web","pod-template-hash":"5d4f8c7b9c"}},\
            "spec":{"nodeName":"nowhere","automountServiceAccountToken":false,"terminationGracePeriodSeconds":30,\
            "containers":[\(containers.joined(separator: ","))],\
            "volumes":[{"name":"config","configMap":{"name":"web"}}]}}
            """
        return Array(text.utf8)
    }
}
