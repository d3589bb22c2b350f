internal import MartletBase
public import MartletObject

/// A certificate that somebody wants to be got from a certificate authority, into a Secret.
public struct CertificateWish: Sendable, Hashable {
    /// The Secret.
    public var secret: ObjectKey
    /// What the certificate is to be for: host names in lower case, in order.
    public var hosts: [String]
    /// Who wants it, with the uid of each.
    public var origins: [ObjectKey: String]
    /// Why it cannot be got, a sentence; nil when it can be tried.
    public var fault: String?
}

/// Reads which certificates Ingresses and Gateways want: those that say so by an annotation, as other issuers take it
/// too. Each entry of an Ingress' `tls` and each HTTPS listener of a Gateway names hosts and a Secret.
public struct CertificateWishes: Sendable {
    /// The annotation, whose value is `"true"`.
    public static let annotation = "kubernetes.io/tls-acme"
    /// The kinds it reads.
    public static let kinds: [ResourceKind] = [.ingress, .ingressClass, .gateway, .gatewayClass]
    /// Names of one certificate.
    public static let mostHosts = 100

    private var found: [ObjectKey: CertificateWish] = [:]

    /// All wishes of a snapshot, ordered by namespace and name.
    public static func read(_ snapshot: Snapshot) -> [CertificateWish] {
        var reader = CertificateWishes()
        let classes = IngressClasses(from: snapshot)
        for ingress in snapshot.list(.ingress) where asks(ingress) && classes.serve(ingress) {
            for tls in ingress["spec", "tls"]?.array ?? [] {
                reader.add(
                    tls["secretName"]?.string, (tls["hosts"]?.array ?? []).compactMap(\.string), of: ingress, .ingress)
            }
        }
        let ours = snapshot.list(.gatewayClass).filter {
            $0["spec", "controllerName"]?.string == GatewayState.controllerName
        }.map(\.name)
        for gateway in snapshot.list(.gateway) where asks(gateway) {
            guard let name = gateway["spec", "gatewayClassName"]?.string, ours.contains(name) else { continue }
            for listener in gateway["spec", "listeners"]?.array ?? [] where listener["protocol"]?.string == "HTTPS" {
                let reference = listener["tls", "certificateRefs"]?.array?.first ?? .null
                // A Secret of another namespace is somebody else's to fill.
                guard reference["namespace"]?.string ?? gateway.namespace == gateway.namespace,
                    reference["kind"]?.string ?? "Secret" == "Secret", reference["group"]?.string ?? "" == ""
                else { continue }
                reader.add(
                    reference["name"]?.string, [listener["hostname"]?.string].compactMap { $0 }, of: gateway, .gateway)
            }
        }
        return reader.found.values.map(checked).sorted {
            ($0.secret.namespace, $0.secret.name) < ($1.secret.namespace, $1.secret.name)
        }
    }

    private static func asks(_ object: JSON) -> Bool {
        object.annotations[annotation] == "true" && !object.isTerminating
    }

    private mutating func add(_ secret: String?, _ hosts: [String], of object: JSON, _ kind: ResourceKind) {
        guard let secret, !secret.isEmpty else { return }
        let key = ObjectKey(.secret, namespace: object.namespace, name: secret)
        var wish = found[key] ?? CertificateWish(secret: key, hosts: [], origins: [:])
        wish.hosts += hosts.map { $0.lowercased() }
        wish.origins[ObjectKey(kind, namespace: object.namespace, name: object.name)] = object.uid
        found[key] = wish
    }

    private static func isName(_ host: String) -> Bool {
        let isPlain = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"),
                UInt8(ascii: "."):
                true
            default: false
            }
        }
        return isPlain && (1...253).contains(host.utf8.count) && IPAddress(host) == nil
    }

    private static func checked(_ wish: CertificateWish) -> CertificateWish {
        var wish = wish
        wish.hosts = Set(wish.hosts).sorted()
        if wish.hosts.isEmpty {
            wish.fault = "no hosts are named for it"
        } else if let wildcard = wish.hosts.first(where: { $0.hasPrefix("*.") }) {
            wish.fault = "\(wildcard) is a wildcard, which no authority proves by HTTP"
        } else if let wrong = wish.hosts.first(where: { !isName($0) }) {
            wish.fault = "\"\(wrong.prefix(253))\" is no host name"
        } else if wish.hosts.count > mostHosts {
            wish.fault = "\(wish.hosts.count) hosts are more than the \(mostHosts) that one certificate may name"
        }
        return wish
    }
}

/// What edges answer a certificate authority that looks whether a host is ours (RFC 8555, 8.3): kept in a Secret, so
/// that any master answers.
public struct ACMEAnswers: Sendable, Hashable {
    /// Where the Secret is.
    public static let namespace = "kube-system"
    /// Its name.
    public static let name = "martlet-acme-challenges"
    /// The Secret.
    public static let key = ObjectKey(.secret, namespace: namespace, name: name)
    /// Where authorities ask.
    public static let path = "/.well-known/acme-challenge/"
    /// So many tokens are answered for at once.
    public static let most = 1000

    private var answers: [String: [UInt8]] = [:]

    /// Reads the Secret; nil for none.
    public init(_ secret: JSON? = nil) {
        for (token, value) in (secret?["data"]?.object?.elements ?? []).prefix(Self.most) {
            if let bytes = value.string.flatMap({ Base64.decode($0) }) { answers[token] = bytes }
        }
    }

    /// The answer to a request for this path; nil when nobody of ours waits for it.
    public func answer(to path: String) -> [UInt8]? {
        if answers.isEmpty || !path.hasPrefix(Self.path) { return nil }
        return answers[String(path.dropFirst(Self.path.count))]
    }
}
