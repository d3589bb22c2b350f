import MartletBase
import MartletObject
import MartletRoutes

/// Objects of Gateway API for tests.
enum GatewayObjects {
    static let gatewayClass: JSON = [
        "metadata": ["name": "martlet", "generation": 1], "spec": ["controllerName": "martlet.io/gateway"],
    ]

    static func namespace(_ name: String, _ labels: [String: String] = [:]) -> JSON {
        ["metadata": ["name": .string(name), "labels": JSON(labels)]]
    }

    static func listener(
        _ name: String, host: String? = nil, port: Int64 = 80, from: JSON = ["from": "Same"], more: JSON = [:]
    ) -> JSON {
        var listener = more
        listener["name"] = .string(name)
        listener["port"] = .int(port)
        if listener["protocol"] == nil { listener["protocol"] = port == 443 ? "HTTPS" : "HTTP" }
        if let host { listener["hostname"] = .string(host) }
        if listener["allowedRoutes"] == nil { listener["allowedRoutes"] = ["namespaces": from] }
        return listener
    }

    static func gateway(
        _ name: String = "gw", namespace: String = "default", created: String = "2026-01-01T00:00:00Z",
        _ listeners: [JSON] = [listener("http")]
    ) -> JSON {
        [
            "metadata": [
                "name": .string(name), "namespace": .string(namespace), "generation": 3,
                "creationTimestamp": .string(created),
            ],
            "spec": ["gatewayClassName": "martlet", "listeners": .array(listeners)],
        ]
    }

    static func gateway(_ listeners: [JSON]) -> JSON { gateway("gw", listeners) }

    static func backend(_ name: String, weight: Int64? = nil, more: JSON = [:]) -> JSON {
        var backend = more
        backend["name"] = .string(name)
        if backend["port"] == nil { backend["port"] = 8080 }
        if let weight { backend["weight"] = .int(weight) }
        return backend
    }

    /// A rule: its matches (all requests when there are none), its backends and filters.
    static func rule(_ matches: [JSON] = [], to backends: [JSON] = [backend("a")], _ filters: [JSON] = []) -> JSON {
        var rule: JSON = ["backendRefs": .array(backends)]
        if !matches.isEmpty { rule["matches"] = .array(matches) }
        if !filters.isEmpty { rule["filters"] = .array(filters) }
        return rule
    }

    static func rule(_ matches: [JSON], _ filters: [JSON]) -> JSON { rule(matches, to: [backend("a")], filters) }

    static func path(_ value: String, _ type: String = "PathPrefix", more: JSON = [:]) -> JSON {
        var match = more
        match["path"] = ["type": .string(type), "value": .string(value)]
        return match
    }

    static func route(
        _ name: String = "r", namespace: String = "default", hosts: [String] = [],
        parents: [JSON] = [["name": "gw"]], created: String = "2026-01-01T00:00:00Z", _ rules: [JSON] = [rule()]
    ) -> JSON {
        [
            "metadata": [
                "name": .string(name), "namespace": .string(namespace), "generation": 5,
                "creationTimestamp": .string(created),
            ],
            "spec": [
                "parentRefs": .array(parents), "hostnames": .array(hosts.map { .string($0) }), "rules": .array(rules),
            ],
        ]
    }

    static func route(_ rules: [JSON]) -> JSON { route("r", rules) }

    static func grant(from kind: String, in namespace: String, to target: String, named: String? = nil) -> JSON {
        var to: JSON = ["group": "", "kind": .string(target)]
        if let named { to["name"] = .string(named) }
        return [
            "metadata": ["name": "grant", "namespace": "other"],
            "spec": [
                "from": [
                    [
                        "group": "gateway.networking.k8s.io", "kind": .string(kind), "namespace": .string(namespace),
                    ]
                ], "to": [to],
            ],
        ]
    }

    static func secret(_ name: String, namespace: String = "default", certificate: String? = nil) -> JSON {
        func encode(_ text: String) -> JSON { .string(Base64.encode(Array(text.utf8))) }
        let pem = "-----BEGIN CERTIFICATE-----\n\(name)\n-----END CERTIFICATE-----\n"
        return [
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "data": [
                "tls.crt": encode(certificate ?? pem),
                "tls.key": encode("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"),
            ],
        ]
    }

    /// What puts an object of any kind in.
    static func kind(of object: JSON) -> ResourceKind {
        if object["spec", "controllerName"] != nil { return .gatewayClass }
        if object["spec", "gatewayClassName"] != nil { return .gateway }
        if object["spec", "parentRefs"] != nil { return .httpRoute }
        if object["spec", "ingressClassName"] != nil { return .ingress }
        if object["spec", "from"] != nil { return .referenceGrant }
        if object["data"] != nil { return .secret }
        if object["spec", "ports"] != nil { return .service }
        return .namespace
    }

    /// A builder with our class, Services `a` to `c` in `default` and `d` in `other`, and these objects.
    static func builder(_ objects: JSON...) -> RouteBuilder { builder(objects) }
    static func builder(_ objects: [JSON]) -> RouteBuilder {
        var builder = RouteObjects.builder(services: ["a", "b", "c"])
        RouteObjects.put(services: ["d"], namespace: "other", in: &builder)
        for object in [gatewayClass, namespace("default"), namespace("other", ["team": "x"])] + objects {
            builder.put(object, kind: kind(of: object))
        }
        builder.update()
        return builder
    }
}

/// Where a plain request goes: a Service, a status of a failure, or nil for no route.
func served(
    _ builder: RouteBuilder, _ host: String, _ target: String = "/", method: String = "GET",
    _ fields: [String: String] = [:], draw: UInt64 = 0, isSecure: Bool = false
) -> String? {
    let table = builder.table
    guard let match = table.match(host, target, method: method, isSecure: isSecure, fields) else { return nil }
    if let failure = match.route.policy.failure { return String(failure.status) }
    guard let backend = match.route.backend(draw: draw) else { return "500" }
    return backend.slot.map { table.backends[$0].service } ?? "500"
}

extension RouteBuilder {
    /// The status that an object ought to have.
    func status(_ kind: ResourceKind, _ name: String, namespace: String = "default") -> JSON? {
        let key = ObjectKey(kind, namespace: kind == .gatewayClass ? "" : namespace, name: name)
        return statusWishes.last { $0.key == key }?.status(now: "2026-02-02T00:00:00Z", addresses: ["192.0.2.1"])
    }

    /// `status reason` of a condition of the route `r`.
    func parent(_ type: String) -> String? { parent("r", type) }

    /// `status reason` of a condition of one of a route's parents.
    func parent(_ route: String, _ type: String, namespace: String = "default", place: Int = 0) -> String? {
        status(.httpRoute, route, namespace: namespace)?["parents"]?[place].flatMap { Self.text($0, type) }
    }

    /// `status reason` of a condition of a listener, or of the Gateway itself.
    func gateway(_ type: String, _ listener: String? = nil, name: String = "gw") -> String? {
        guard let status = status(.gateway, name) else { return nil }
        guard let listener else { return Self.text(status, type) }
        return self.listener(listener, name: name).flatMap { Self.text($0, type) }
    }

    func listener(_ listener: String, name: String = "gw") -> JSON? {
        status(.gateway, name)?["listeners"]?.array?.first { $0["name"]?.string == listener }
    }

    private static func text(_ json: JSON, _ type: String) -> String? {
        json["conditions"]?.array?.first { $0["type"]?.string == type }.map {
            "\($0["status"]?.string ?? "") \($0["reason"]?.string ?? "")"
        }
    }
}
