internal import MartletBase
public import MartletObject

/// What one Ingress adds to the table.
struct CompiledIngress: Sendable {
    /// A canary, and the rules of others that it takes requests from.
    struct CanaryRule: Sendable {
        var path: PathMatch
        var canary: Canary
    }

    var age: ObjectAge
    var rules: [HostPattern: [RouteRule]] = [:]
    var canaries: [HostPattern: [CanaryRule]] = [:]
    /// Takes what no rule of any Ingress covers.
    var fallback: WebRoute?
    /// The hosts that it names a certificate for, and those certificates that there are.
    var certificateHosts: Set<String> = []
    var certificates: [String: TLSMaterial] = [:]
    var problems: [RouteProblem] = []
    /// The slots it has taken.
    var slots: [Int] = []
    /// The Services and Secrets it names, as `namespace/name`.
    var services: Set<String> = []
    var secretNames: Set<String> = []
    /// Those of the Secrets that its rules depend on; the others hold certificates.
    var accessSecretNames: Set<String> = []
    /// How long its requests may take.
    var timeouts = RouteTimeouts()

    /// The hosts it has something to say of.
    var hosts: Set<HostPattern> { Set(rules.keys).union(canaries.keys) }
}

/// Something an object of the API says that cannot be carried out.
public struct RouteProblem: Sendable, Hashable {
    /// The object.
    public var object: ObjectKey
    /// Its uid.
    public var uid: String
    /// A sentence.
    public var message: String

    init(ingress: JSON, message: String) {
        object = ObjectKey(.ingress, namespace: ingress.namespace, name: ingress.name)
        uid = ingress.uid
        // It quotes what the object says: one line of a log it stays.
        self.message = String(
            message.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "?" : Character($0) })
    }
}

/// Reads one Ingress.
struct IngressReader {
    /// So many hosts and paths of one Ingress are read; the API's limits on sizes allow no more either.
    static let mostPaths = 50_000

    private let ingress: JSON
    private let secrets: [String: JSON]
    private let annotations: IngressAnnotations
    private let origin: RouteOrigin
    private let hasTLS: Bool
    private var result: CompiledIngress
    private var place = 0

    private init(_ ingress: JSON, secrets: [String: JSON]) {
        self.ingress = ingress
        self.secrets = secrets
        annotations = IngressAnnotations(ingress.annotations)
        origin = RouteOrigin(kind: "Ingress", namespace: ingress.namespace, name: ingress.name)
        hasTLS = ingress["spec", "tls"]?.array?.isEmpty == false
        result = CompiledIngress(age: ObjectAge(of: ingress))
    }

    /// Reads an Ingress and takes the slots it needs.
    static func read(_ ingress: JSON, secrets: [String: JSON], _ slots: inout ServiceSlots) -> CompiledIngress {
        var reader = IngressReader(ingress, secrets: secrets)
        reader.read(&slots)
        return reader.result
    }

    private mutating func read(_ slots: inout ServiceSlots) {
        for problem in annotations.problems { complain(problem) }
        let policy = policy()
        result.timeouts = policy.timeouts
        let spec = ingress["spec"] ?? .null
        let rules = spec["rules"]?.array ?? []
        if let json = spec["defaultBackend"], !annotations.isCanary {
            let slot = slot(json, &slots)
            let route = WebRoute(origin: origin, backends: [WeightedBackend(slot: slot)], policy: policy)
            if rules.isEmpty { result.fallback = route }
            for rule in rules {
                add(route, .prefix([]), rank: 3, to: HostPattern(rule["host"]?.string, wildcard: .oneLabel))
            }
        }
        for rule in rules {
            let host = HostPattern(rule["host"]?.string, wildcard: .oneLabel)
            for path in rule["http", "paths"]?.array ?? [] where place < Self.mostPaths {
                read(path, of: host, policy, &slots)
            }
            if annotations.redirectsWWW && !annotations.isCanary { redirectWWW(host) }
        }
        for tls in spec["tls"]?.array ?? [] { readTLS(tls) }
    }

    private mutating func complain(_ message: String) {
        result.problems.append(RouteProblem(ingress: ingress, message: message))
    }

    private mutating func policy() -> RoutePolicy {
        var policy = annotations.policy
        guard let source = annotations.authentication else { return policy }
        do throws(SecretFault) {
            var authentication = try authentication(source)
            let names = authentication.dropUnbearable()
            if let first = names.first {
                complain(
                    "secret \"\(source.secret)\": \(names.count) passwords take too long to check or are of no known "
                        + "form, that of \"\(first.prefix(64))\" among them: nobody comes by these names")
            }
            policy.authentication = authentication
        } catch {
            complain(error.text + ": the route is closed")
            policy.failure = RouteFailure(status: 503, text: "the route is closed: its rules of access cannot be read")
        }
        return policy
    }

    private struct SecretFault: Error { var text: String }

    private mutating func authentication(
        _ source: IngressAnnotations.AuthenticationSource
    ) throws(SecretFault) -> BasicAuthentication {
        var name = source.secret
        if let slash = name.firstIndex(of: "/") {
            // An Ingress may not use what its author might not read.
            guard name[..<slash] == ingress.namespace else {
                throw SecretFault(text: "secret \"\(name)\" is in another namespace")
            }
            name = String(name[name.index(after: slash)...])
        }
        let key = "\(ingress.namespace)/\(name)"
        result.secretNames.insert(key)
        result.accessSecretNames.insert(key)
        guard let secret = secrets[key] else { throw SecretFault(text: "secret \"\(name)\" not found") }
        func text(_ value: JSON?) -> String? {
            value?.string.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        if source.isMap {
            var hashes: [String: String] = [:]
            for (user, value) in secret["data"]?.object?.elements ?? [] { hashes[user] = text(value)?.trimmed }
            return BasicAuthentication(realm: source.realm, hashes: hashes)
        }
        guard let file = text(secret["data", "auth"]) else {
            throw SecretFault(text: "secret \"\(name)\" has no key auth")
        }
        return BasicAuthentication(realm: source.realm, hashes: BasicAuthentication.hashes(inFile: file))
    }

    // MARK: Rules

    private mutating func read(
        _ path: JSON, of host: HostPattern, _ policy: RoutePolicy, _ slots: inout ServiceSlots
    ) {
        place += 1
        // A backend that cannot be used answers 500, rather than that another rule takes what this one guards.
        let slot = slot(path["backend"] ?? .null, &slots)
        let text = path["path"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "/"
        var policy = policy
        let match = match(text, path["pathType"]?.string ?? "", &policy)
        if annotations.isCanary {
            guard let slot, policy.failure == nil else { return }
            var canary = annotations.canary
            canary.slot = slot
            result.canaries[host, default: []].append(.init(path: match, canary: canary))
            return
        }
        if policy.affinity != nil && policy.affinity?.path == nil {
            let isPlain = if case .pattern = match { false } else { AnnotationValues.fieldValue(text) != nil }
            policy.affinity?.path = isPlain && !text.contains(";") ? text : "/"
        }
        add(
            WebRoute(origin: origin, backends: [WeightedBackend(slot: slot)], policy: policy), match,
            rank: { if case .exact = match { 0 } else { 2 } }(), to: host)
    }

    /// What a path asks for. A rewrite target with groups makes an expression of it, as `use-regex` does.
    private mutating func match(_ text: String, _ type: String, _ policy: inout RoutePolicy) -> PathMatch {
        let pieces = annotations.rewriteTarget.map { PathRewrite.pieces(of: $0) }
        let hasGroups = pieces?.contains { if case .group = $0 { true } else { false } } ?? false
        guard annotations.usesExpressions || hasGroups, type != "Exact" else {
            // ImplementationSpecific is read as Prefix, as most controllers do.
            if let target = annotations.rewriteTarget {
                policy.filters.rewrite = Rewrite(path: .whole(target))
            }
            return type == "Exact" ? .exact(of: text) : .prefix(of: text)
        }
        // As in ingress-nginx, expressions hold for the beginning of a path, in any case.
        guard text.utf8.count <= 1024, let expression = try? RegularExpression("(?i)^(?:" + text + ")"),
            let grouped = try? RegularExpression("(?i)^" + text, keepsGroups: true)
        else {
            complain("path \"\(text.prefix(128))\" is not a regular expression: all that begins like it is closed")
            policy.failure = RouteFailure(status: 503, text: "the route is closed: its path cannot be read")
            return .unreadable(text)
        }
        if let pieces { policy.filters.rewrite = Rewrite(path: .template(grouped, pieces)) }
        return .pattern(expression, length: text.utf8.count)
    }

    private mutating func add(_ route: WebRoute, _ path: PathMatch, rank: Int, to host: HostPattern) {
        place += 1
        let order = RouteOrder(rank: rank, length: path.length, age: result.age, place: place)
        result.rules[host, default: []].append(RouteRule(path: path, order: order, route: route))
    }

    /// Sends the host with `www.` to the one without, or the other way round, unless it has rules of its own.
    private mutating func redirectWWW(_ host: HostPattern) {
        guard host.form == .exact, let name = AnnotationValues.host(host.text) else { return }
        let other = name.hasPrefix("www.") ? String(name.dropFirst(4)) : "www." + name
        var policy = RoutePolicy()
        policy.redirectsToSecure = annotations.policy.redirectsToSecure
        policy.filters.redirect = Redirect(host: name, status: 308)
        add(
            WebRoute(origin: origin, backends: [], policy: policy), .prefix([]), rank: RouteOrder.otherwise,
            to: HostPattern(other, wildcard: .oneLabel))
    }

    /// The slot of a backend; nil, with a complaint, for one that is no Service.
    private mutating func slot(_ json: JSON, _ slots: inout ServiceSlots) -> Int? {
        guard let name = json["service", "name"]?.string else {
            complain("a backend that is not a service is not supported")
            return nil
        }
        let service = "\(ingress.namespace)/\(name)"
        let port = json["service", "port"] ?? .null
        let key = ServiceSlots.Key(
            service: service, port: port["number"]?.int.map { .number($0) } ?? .name(port["name"]?.string ?? ""))
        result.services.insert(service)
        if let fault = slots.fault(key) { complain(fault) }
        let slot = slots.take(key)
        result.slots.append(slot)
        return slot
    }

    // MARK: TLS

    private mutating func readTLS(_ tls: JSON) {
        guard let name = tls["secretName"]?.string else { return }
        let key = "\(ingress.namespace)/\(name)"
        result.secretNames.insert(key)
        func names(_ texts: [String?]) -> [String] {
            texts.compactMap { text in text.map { RequestHost($0).name } }.filter { !$0.isEmpty }
        }
        var hosts = names((tls["hosts"]?.array ?? []).map(\.string))
        // One that names no hosts is for those of the rules.
        if hosts.isEmpty { hosts = names((ingress["spec", "rules"]?.array ?? []).map { $0["host"]?.string }) }
        if hosts.isEmpty { complain("the certificate in secret \"\(name)\" is for no host") }
        // Also without the Secret: a younger object does not get the host for as long as that is missing.
        result.certificateHosts.formUnion(hosts)
        guard let secret = secrets[key] else { return complain("secret \"\(name)\" not found") }
        guard let material = TLSMaterial(secret: secret) else {
            return complain("secret \"\(name)\" has no tls.crt and tls.key")
        }
        for host in hosts where result.certificates[host] == nil { result.certificates[host] = material }
    }
}

extension RouteOrder {
    /// The rank of rules that hold only for hosts that have no other.
    static let otherwise = 4
}

extension TLSMaterial {
    /// What a Secret of type `kubernetes.io/tls` holds.
    init?(secret: JSON) {
        guard let certificate = secret["data", "tls.crt"]?.string.flatMap({ Base64.decode($0) }),
            let privateKey = secret["data", "tls.key"]?.string.flatMap({ Base64.decode($0) })
        else { return nil }
        self.init(certificatePEM: certificate, privateKeyPEM: privateKey)
    }
}
