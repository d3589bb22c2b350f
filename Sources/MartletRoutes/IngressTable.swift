public import MartletBase
internal import MartletObject

/// Where requests go: a table of typed values made from Ingresses, Services and EndpointSlices. It is built whole and
/// swapped whole; no text of the API ever becomes configuration.
///
/// Matching follows networking.k8s.io/v1: a host is matched exactly, else by `*.suffix` with exactly one more label,
/// else by rules without a host; of the paths of the first host that has a matching one, the longest wins, an Exact
/// before a Prefix of the same length.
public struct IngressTable: Sendable {
    /// A table that knows no host.
    public init() {}

    private var exact: [String: [PathRule]] = [:]
    private var wildcard: [String: [PathRule]] = [:]
    private var anyHost: [PathRule] = []
    private var fallback: Backend?

    /// One path of one host.
    struct PathRule: Sendable {
        enum Kind: Sendable { case exact, prefix }
        var kind: Kind
        var path: [UInt8]
        var backend: Backend

        /// Whether a request's path (without query) falls under this rule. A Prefix matches element by element, so
        /// `/foo` covers `/foo/bar` and not `/foobar`.
        func matches(_ request: some RandomAccessCollection<UInt8>) -> Bool {
            switch kind {
            case .exact: return request.elementsEqual(path)
            case .prefix:
                let stem = path.last == UInt8(ascii: "/") ? path.dropLast() : path[...]
                guard request.starts(with: stem) else { return false }
                let next = request.dropFirst(stem.count).first
                return next == nil || next == UInt8(ascii: "/")
            }
        }
    }

    /// The backend of a request, nil when no rule covers it.
    /// - Parameters:
    ///   - host: the Host field, with or without a port, in any case.
    ///   - path: the path as sent, with or without a query.
    public func route(host: String, path: String) -> Backend? {
        let name = RequestHost(host).name
        let bytes = Array(path.utf8.prefix { $0 != UInt8(ascii: "?") })
        let candidates = [exact[name], Self.parent(name).flatMap { wildcard[$0] }, anyHost].lazy.compactMap(\.self)
        for rules in candidates {
            if let rule = rules.first(where: { $0.matches(bytes) }) { return rule.backend }
        }
        return fallback
    }

    /// Every host that has a rule; wildcards as `*.suffix`.
    public var hosts: [String] { exact.keys.sorted() + wildcard.keys.map { "*." + $0 }.sorted() }

    /// Every endpoint that some rule leads to.
    public var endpoints: Set<Endpoint> {
        let rules = exact.values.flatMap(\.self) + wildcard.values.flatMap(\.self) + anyHost
        return Set(rules.flatMap(\.backend.endpoints) + (fallback?.endpoints ?? []))
    }

    mutating func add(host: String?, _ rule: PathRule) {
        guard let host, !host.isEmpty else {
            anyHost.append(rule)
            return
        }
        let name = RequestHost(host).name
        if name.hasPrefix("*.") {
            wildcard[String(name.dropFirst(2)), default: []].append(rule)
        } else {
            exact[name, default: []].append(rule)
        }
    }

    mutating func setFallback(_ backend: Backend) { fallback = fallback ?? backend }

    /// Puts each host's rules in the order in which they are tried. Stable: of equal rules the older Ingress wins.
    mutating func sort() {
        func ordered(_ rules: [PathRule]) -> [PathRule] {
            rules.enumerated().sorted { a, b in
                let lengths = (b.element.path.count, a.element.path.count)
                if lengths.0 != lengths.1 { return lengths.0 < lengths.1 }
                if a.element.kind != b.element.kind { return a.element.kind == .exact }
                return a.offset < b.offset
            }.map(\.element)
        }
        exact = exact.mapValues(ordered)
        wildcard = wildcard.mapValues(ordered)
        anyHost = ordered(anyHost)
    }

    private static func parent(_ name: String) -> String? {
        name.firstIndex(of: ".").map { String(name[name.index(after: $0)...]) }
    }
}

/// What serves a rule: the endpoints of one port of one Service.
public struct Backend: Sendable, Hashable {
    /// `namespace/name`, for logs.
    public var service: String
    /// Where its pods answer. Empty: the Service is there, but nothing is ready (503).
    public var endpoints: [Endpoint]

    /// A backend from its parts.
    public init(service: String, endpoints: [Endpoint]) {
        self.service = service
        self.endpoints = endpoints
    }
}

/// A certificate chain and key out of a Secret of type `kubernetes.io/tls`, both PEM.
public struct TLSMaterial: Sendable, Hashable {
    /// `tls.crt`
    public var certificatePEM: [UInt8]
    /// `tls.key`
    public var privateKeyPEM: [UInt8]
    /// Material from its parts.
    public init(certificatePEM: [UInt8], privateKeyPEM: [UInt8]) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }
}
