import MartletBase
import MartletObject
import MartletRoutes

/// Objects for tests of routes.
enum RouteObjects {
    static let ingressClass: JSON = [
        "metadata": ["name": "martlet"], "spec": ["controller": .string(IngressClasses.controllerName)],
    ]

    /// Services of these names, each with one pod at the address `10.0.0.N`; ports 80 (`http`) and 8080 (`alt`).
    static func put(services: [String], namespace: String = "default", in builder: inout RouteBuilder) {
        for (number, name) in services.enumerated() {
            builder.put(service(name, namespace: namespace), kind: .service)
            builder.put(slice(name, namespace: namespace, ["10.0.0.\(number + 1)"]), kind: .endpointSlice)
        }
    }

    static func service(_ name: String, namespace: String = "default") -> JSON {
        [
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "spec": [
                "clusterIP": "10.96.0.1",
                "ports": [["name": "http", "port": 80], ["name": "alt", "port": 8080]],
            ],
        ]
    }

    static func slice(_ service: String, namespace: String = "default", _ addresses: [String]) -> JSON {
        [
            "metadata": [
                "name": .string(service + "-1"), "namespace": .string(namespace),
                "labels": ["kubernetes.io/service-name": .string(service)],
            ],
            "endpoints": .array(addresses.map { ["addresses": [.string($0)]] }),
            "ports": [["name": "http", "port": 8000], ["name": "alt", "port": 8001]],
        ]
    }

    /// An Ingress of our class. A path is `TYPE PATH SERVICE`, TYPE one of E, P and I.
    static func ingress(
        _ name: String = "i", host: String? = "h.test", _ paths: [String] = ["P / a"],
        annotations: [String: String] = [:], created: String = "2026-01-01T00:00:00Z"
    ) -> JSON {
        let types = ["E": "Exact", "P": "Prefix", "I": "ImplementationSpecific"]
        var rule: JSON = [
            "http": [
                "paths": .array(
                    paths.map { text in
                        let parts = text.split(separator: " ").map(String.init)
                        return [
                            "path": .string(parts[1]), "pathType": .string(types[parts[0]] ?? ""),
                            "backend": ["service": ["name": .string(parts[2]), "port": ["number": 80]]],
                        ]
                    })
            ]
        ]
        if let host { rule["host"] = .string(host) }
        var metadata: JSON = [
            "name": .string(name), "namespace": "default", "creationTimestamp": .string(created),
            "uid": .string("uid-" + name),
        ]
        if !annotations.isEmpty {
            metadata["annotations"] = JSON(
                Dictionary(
                    uniqueKeysWithValues: annotations.map {
                        ($0.contains("/") ? $0 : "nginx.ingress.kubernetes.io/" + $0, $1)
                    }))
        }
        return ["metadata": metadata, "spec": ["ingressClassName": "martlet", "rules": [rule]]]
    }

    /// A builder with our class, these services and these Ingresses.
    static func builder(services: [String] = ["a", "b", "c"], _ ingresses: JSON...) -> RouteBuilder {
        var builder = RouteBuilder()
        builder.put(ingressClass, kind: .ingressClass)
        put(services: services, in: &builder)
        for ingress in ingresses { builder.put(ingress, kind: .ingress) }
        builder.update()
        return builder
    }
}

extension RouteTable {
    /// The route of a request.
    func match(
        _ host: String, _ target: String = "/", method: String = "GET", isSecure: Bool = true,
        _ fields: [String: String] = [:]
    ) -> RouteMatch? {
        let request = TestRequest(method: method, target: target, fields: fields)
        return route(host: host, target: target, isSecure: isSecure, request)
    }

    /// What the route of a request does.
    func policy(_ host: String = "h.test", _ target: String = "/") -> RoutePolicy? { match(host, target)?.route.policy }
}
