internal import MartletBase
internal import MartletObject

/// A listener of a Gateway of ours.
struct GatewayListener: Sendable, Hashable {
    /// A condition that is there only while it holds.
    static let overlappingTLS = "OverlappingTLSConfig"

    var gateway: String
    var namespace: String
    var name: String
    var port: Int
    var isSecure = false
    var host: HostPattern
    /// As it is written, for intersections; nil for all hosts.
    var hostname: String?
    var conditions: [GatewayCondition] = []
    var supportsRoutes = true
    var namespaces: Namespaces
    var material: TLSMaterial?
    /// The Secrets it names, as `namespace/name`.
    var secretNames: Set<String> = []
    /// Whether requests come through it.
    var isServed = false

    /// Which listener of which Gateway it is.
    struct ID: Sendable, Hashable {
        /// `namespace/name`
        var gateway: String
        var name: String
    }

    var id: ID { ID(gateway: gateway, name: name) }

    /// Whether it names a Secret of another namespace: a ReferenceGrant matters then.
    var crossesNamespaces: Bool { secretNames.contains { !$0.hasPrefix(namespace + "/") } }

    /// What it wants to have: a host name, with TLS or without.
    struct Claim: Sendable, Hashable {
        var isSecure: Bool
        var host: HostPattern
    }

    var claim: Claim { Claim(isSecure: isSecure, host: host) }

    /// The name under which its certificate is shown; empty for all hosts.
    var certificateName: String { hostname.map { RequestHost($0).name } ?? "" }

    /// The listener as it is while a Gateway of another namespace, an older one, has its host name.
    func refused(for keeper: String) -> GatewayListener {
        let message = "Gateway \(keeper), which is older, has this host name"
        var listener = self
        listener.isServed = false
        listener.conditions = conditions.map { condition in
            switch condition.type {
            case "Accepted": GatewayCondition("Accepted", false, "HostnameConflict", message)
            case "Conflicted": GatewayCondition("Conflicted", true, "HostnameConflict", message)
            case "Programmed": GatewayCondition("Programmed", false, "Invalid", "the listener is not valid")
            default: condition
            }
        }
        return listener
    }

    /// The namespaces whose routes may attach.
    enum Namespaces: Sendable, Hashable {
        case same, all, none
        case selected(LabelSelector)
    }

    func admits(_ namespace: String, labels: [String: String]) -> Bool {
        switch namespaces {
        case .same: namespace == self.namespace
        case .all: true
        case .none: false
        case .selected(let selector): selector.matches(labels)
        }
    }

    /// The host that a route's host name and this listener share; nil when they share none.
    func shared(with hostname: String?) -> HostPattern? {
        host.intersection(HostPattern(hostname, wildcard: .anyLabels))
    }

    /// What routes see of it: which of them attach, and where. Its certificate and conditions are none of theirs.
    struct Face: Sendable, Hashable {
        let id: ID
        let port: Int
        let isSecure: Bool
        let host: HostPattern
        let supportsRoutes: Bool
        let namespaces: Namespaces
        let isServed: Bool
    }

    /// Whether it is the other's successor at its place in the table.
    func hasPlace(of other: GatewayListener) -> Bool {
        isServed && id == other.id && isSecure == other.isSecure && host == other.host
    }

    var face: Face {
        Face(
            id: id, port: port, isSecure: isSecure, host: host, supportsRoutes: supportsRoutes, namespaces: namespaces,
            isServed: isServed)
    }
}

/// Reads the listeners of one Gateway.
struct GatewayListenerReader {
    let gateway: JSON
    let secrets: [String: JSON]
    let grants: ReferenceGrants
    let ports: GatewayPorts

    func read() -> [GatewayListener] {
        var listeners = (gateway["spec", "listeners"]?.array ?? []).map { listener($0) }
        let protocols = (gateway["spec", "listeners"]?.array ?? []).map { $0["protocol"]?.string ?? "" }
        for place in listeners.indices {
            let others = listeners.indices.filter { $0 != place && listeners[$0].port == listeners[place].port }
            let conflict: GatewayCondition
            if others.contains(where: { protocols[$0] != protocols[place] }) {
                conflict = GatewayCondition(
                    "Conflicted", true, "ProtocolConflict", "other listeners of this port have another protocol")
            } else if others.contains(where: { listeners[$0].host == listeners[place].host }) {
                conflict = GatewayCondition(
                    "Conflicted", true, "HostnameConflict", "another listener of this port has this host name")
            } else {
                conflict = GatewayCondition("Conflicted", false, "NoConflicts")
            }
            finish(&listeners[place], conflict)
        }
        for place in listeners.indices where listeners.indices.contains(where: { overlap(listeners, place, $0) }) {
            listeners[place].conditions.append(
                GatewayCondition(
                    GatewayListener.overlappingTLS, true, "OverlappingHostnames",
                    "another listener of this port ends TLS for some of the same host names"))
        }
        return listeners
    }

    /// Whether some name is two listeners' that end TLS on one port: a connection made for one may be used for the
    /// other (RFC 9110, section 7.4), which the edge answers with 421.
    private func overlap(_ listeners: [GatewayListener], _ one: Int, _ other: Int) -> Bool {
        let (a, b) = (listeners[one], listeners[other])
        guard one != other, a.isSecure, b.isSecure, a.port == b.port, a.host != b.host else { return false }
        return a.shared(with: b.hostname) != nil
    }

    private func listener(_ json: JSON) -> GatewayListener {
        let hostname = json["hostname"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        var listener = GatewayListener(
            gateway: "\(gateway.namespace)/\(gateway.name)", namespace: gateway.namespace,
            name: json["name"]?.string ?? "", port: json["port"]?.int ?? 0,
            host: HostPattern(hostname, wildcard: .anyLabels), hostname: hostname, namespaces: namespaces(json))
        var accepted = GatewayCondition("Accepted", true, "Accepted")
        var resolved = kinds(json, &listener)
        switch json["protocol"]?.string {
        case "HTTP": break
        case "HTTPS":
            listener.isSecure = true
            if let fault = certificates(json, &listener) { resolved = fault }
        case let other:
            accepted = GatewayCondition(
                "Accepted", false, "UnsupportedProtocol", "protocol \"\(other ?? "")\" is not supported")
            listener.supportsRoutes = false
        }
        if accepted.isTrue, !ports.has(listener.port, isSecure: listener.isSecure) {
            accepted = GatewayCondition(
                "Accepted", false, "PortUnavailable", "no edge listens for this protocol on port \(listener.port)")
        }
        listener.conditions = [accepted, resolved]
        return listener
    }

    private func finish(_ listener: inout GatewayListener, _ conflict: GatewayCondition) {
        if conflict.isTrue {
            // Which of them was meant nobody knows: none is served.
            listener.conditions[0] = GatewayCondition("Accepted", false, conflict.reason, conflict.message)
        }
        let isSound = listener.conditions.allSatisfy(\.isTrue)
        // What is good of its kinds is served; without a certificate nothing is.
        listener.isServed = listener.conditions[0].isTrue && (listener.material != nil || !listener.isSecure)
        let programmed =
            isSound
            ? GatewayCondition("Programmed", true, "Programmed")
            : GatewayCondition("Programmed", false, "Invalid", "the listener is not valid")
        listener.conditions += [programmed, conflict]
    }

    private func namespaces(_ json: JSON) -> GatewayListener.Namespaces {
        let wished = json["allowedRoutes", "namespaces"] ?? .null
        switch wished["from"]?.string ?? "Same" {
        case "All": return .all
        case "Selector": return (try? LabelSelector(object: wished["selector"] ?? .null)).map { .selected($0) } ?? .none
        case "Same": return .same
        default: return .none
        }
    }

    private func kinds(_ json: JSON, _ listener: inout GatewayListener) -> GatewayCondition {
        let wished = json["allowedRoutes", "kinds"]?.array ?? []
        let good = wished.filter {
            ($0["group"]?.string ?? GatewayState.group) == GatewayState.group && $0["kind"]?.string == "HTTPRoute"
        }
        if !wished.isEmpty && good.isEmpty { listener.supportsRoutes = false }
        if good.count == wished.count { return GatewayCondition("ResolvedRefs", true, "ResolvedRefs") }
        return GatewayCondition(
            "ResolvedRefs", false, "InvalidRouteKinds", "only routes of the kind HTTPRoute are supported")
    }

    /// Reads the certificate; says what is wrong with it. Of several the first is shown.
    private func certificates(_ json: JSON, _ listener: inout GatewayListener) -> GatewayCondition? {
        func fault(_ reason: String, _ message: String) -> GatewayCondition {
            GatewayCondition("ResolvedRefs", false, reason, message)
        }
        guard json["tls", "mode"]?.string ?? "Terminate" == "Terminate" else {
            return fault("InvalidCertificateRef", "TLS is ended here: mode Passthrough is not supported")
        }
        let references = json["tls", "certificateRefs"]?.array ?? []
        if references.isEmpty { return fault("InvalidCertificateRef", "no certificateRefs") }
        var problem: GatewayCondition?
        for reference in references {
            let name = reference["name"]?.string ?? ""
            let namespace = reference["namespace"]?.string ?? gateway.namespace
            listener.secretNames.insert("\(namespace)/\(name)")
            guard reference["group"]?.string ?? "" == "", reference["kind"]?.string ?? "Secret" == "Secret" else {
                problem = fault("InvalidCertificateRef", "certificateRefs must name Secrets")
                continue
            }
            guard grants.allow("Gateway", in: gateway.namespace, toName: "Secret", name, in: namespace) else {
                problem = fault(
                    "RefNotPermitted", "secret \"\(namespace)/\(name)\" is not granted to this namespace")
                continue
            }
            guard let secret = secrets["\(namespace)/\(name)"] else {
                problem = fault("InvalidCertificateRef", "secret \"\(namespace)/\(name)\" not found")
                continue
            }
            guard let material = TLSMaterial(secret: secret), material.looksGood else {
                problem = fault(
                    "InvalidCertificateRef", "secret \"\(namespace)/\(name)\" has no PEM in tls.crt and tls.key")
                continue
            }
            if listener.material == nil { listener.material = material }
        }
        return problem
    }
}

/// The ports of edges, as clients reach them.
public struct GatewayPorts: Sendable, Hashable {
    /// For HTTP.
    public var plain: Set<Int>
    /// For HTTPS.
    public var secure: Set<Int>

    /// 80 and 443.
    public static let standard = GatewayPorts(plain: [80], secure: [443])

    /// Ports from their lists.
    public init(plain: Set<Int>, secure: Set<Int>) {
        self.plain = plain
        self.secure = secure
    }

    func has(_ port: Int, isSecure: Bool) -> Bool { isSecure ? secure.contains(port) : plain.contains(port) }
}

extension TLSMaterial {
    /// Whether both parts are PEM of their kind; whether they fit together, TLS itself finds out.
    fileprivate var looksGood: Bool {
        let certificate = String(decoding: certificatePEM, as: UTF8.self)
        let key = String(decoding: privateKeyPEM, as: UTF8.self)
        return certificate.contains("-----BEGIN CERTIFICATE-----") && key.contains("PRIVATE KEY-----")
    }
}
