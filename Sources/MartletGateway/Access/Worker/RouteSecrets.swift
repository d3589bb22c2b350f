internal import MartletObject

/// Which Secrets routes name: those of an Ingress' `tls` and `auth-secret`, and those of a Gateway's listeners, where
/// they are in its namespace or granted to it. It holds what the routes of the store name, and no more.
struct RouteSecrets: Sendable {
    /// Where a Secret is.
    struct Name: Sendable, Hashable {
        var namespace: String
        var name: String
    }
    /// What edges answer a certificate authority (RFC 8555): no route names it, and it is told to whoever asks.
    private static let answers = Name(namespace: "kube-system", name: "martlet-acme-challenges")
    /// As Ingresses say it here.
    private static let authentication = "nginx.ingress.kubernetes.io/auth-secret"

    private struct Route {
        var namespace: String
        var names: Set<Name>
    }
    private struct Grant {
        /// The namespaces whose Gateways may name Secrets.
        var from: Set<String>
        /// The Secrets; nil for all.
        var to: Set<String>?
    }
    private var routes: [[UInt8]: Route] = [:]
    /// How many routes of a namespace name a Secret.
    private var uses: [Name: [String: Int]] = [:]
    /// By the namespace that gives them.
    private var grants: [String: [[UInt8]: Grant]] = [:]

    /// Whether a route that may do so names a Secret.
    func names(_ name: String, in namespace: String) -> Bool {
        let secret = Name(namespace: namespace, name: name)
        if secret == Self.answers { return true }
        return (uses[secret] ?? [:]).keys.contains { user in
            user == namespace
                || (grants[namespace] ?? [:]).values.contains { grant in
                    grant.from.contains(user) && grant.to?.contains(name) ?? true
                }
        }
    }
}

extension RouteSecrets: FollowedIndex {
    static let ranges = [ResourceKind.ingress, .gateway, .referenceGrant].map { Keys.collection($0, namespace: "") }
    private static let prefixes = (ingress: ranges[0].from, gateway: ranges[1].from)

    mutating func apply(_ key: [UInt8], _ value: [UInt8]?) {
        let stored = value.map { StoredObject(stored: $0) }
        if key.starts(with: Self.prefixes.ingress) {
            replace(key, stored.map { Route(namespace: $0.header.namespace, names: Self.ofIngress($0)) })
        } else if key.starts(with: Self.prefixes.gateway) {
            replace(key, stored.map { Route(namespace: $0.header.namespace, names: Self.ofGateway($0)) })
        } else {
            applyGrant(key, stored)
        }
    }

    private mutating func replace(_ key: [UInt8], _ route: Route?) {
        let old = routes[key]
        routes[key] = route.flatMap { $0.names.isEmpty ? nil : $0 }
        for name in route?.names ?? [] { count(name, route?.namespace ?? "", 1) }
        for name in old?.names ?? [] { count(name, old?.namespace ?? "", -1) }
    }

    private mutating func count(_ name: Name, _ namespace: String, _ step: Int) {
        let left = (uses[name]?[namespace] ?? 0) + step
        uses[name, default: [:]][namespace] = left > 0 ? left : nil
        if uses[name]?.isEmpty == true { uses[name] = nil }
    }

    private static func ofIngress(_ ingress: StoredObject) -> Set<Name> {
        let namespace = ingress.header.namespace
        var names = (ingress.value(at: ["spec", "tls"])?.array ?? []).compactMap { $0["secretName"]?.string }
        if let text = ingress.value(at: ["metadata", "annotations"])?[authentication]?.string {
            let parts = text.filter { !$0.isWhitespace }
                .split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            // One of another namespace is refused by those who read the Ingress, too.
            if parts.count == 1 || parts[0] == namespace { names.append(String(parts[parts.count - 1])) }
        }
        return Set(names.map { Name(namespace: namespace, name: $0) })
    }

    private static func ofGateway(_ gateway: StoredObject) -> Set<Name> {
        var names: Set<Name> = []
        for listener in gateway.value(at: ["spec", "listeners"])?.array ?? [] {
            for reference in listener["tls", "certificateRefs"]?.array ?? [] {
                guard reference["group"]?.string ?? "" == "", reference["kind"]?.string ?? "Secret" == "Secret",
                    let name = reference["name"]?.string
                else { continue }
                names.insert(
                    Name(namespace: reference["namespace"]?.string ?? gateway.header.namespace, name: name))
            }
        }
        return names
    }

    private mutating func applyGrant(_ key: [UInt8], _ stored: StoredObject?) {
        // The key says where it is: /registry/GROUP/PLURAL/NAMESPACE/NAME.
        let parts = key.split(separator: UInt8(ascii: "/"))
        guard parts.count == 5 else { return }
        let namespace = String(decoding: parts[3], as: UTF8.self)
        grants[namespace]?[key] = nil
        if grants[namespace]?.isEmpty == true { grants[namespace] = nil }
        guard let spec = stored?.value(at: ["spec"]) else { return }
        let from = (spec["from"]?.array ?? []).filter {
            $0["group"]?.string == ResourceKind.gateway.group && $0["kind"]?.string == "Gateway"
        }
        let to = (spec["to"]?.array ?? []).filter {
            $0["group"]?.string ?? "" == "" && $0["kind"]?.string == "Secret"
        }
        if from.isEmpty || to.isEmpty { return }
        let names = to.map { $0["name"]?.string ?? "" }
        grants[namespace, default: [:]][key] = Grant(
            from: Set(from.compactMap { $0["namespace"]?.string }), to: names.contains("") ? nil : Set(names))
    }
}
