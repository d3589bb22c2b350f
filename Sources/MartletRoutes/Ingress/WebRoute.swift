public import MartletBase

/// Where requests that match go, and what is done with them on the way. Made once, never changed: a request holds it by
/// one reference.
public final class WebRoute: Sendable {
    /// The object that says so.
    public let origin: RouteOrigin
    /// Who shares the requests, by weight.
    public let backends: [WeightedBackend]
    /// What else is done.
    public let policy: RoutePolicy
    /// Whether its requests are passed on and that is all: nothing is asked of them, changed in them or chosen by them.
    public let isPlain: Bool
    /// Whether it is carried out by ingresses alone, also where an edge reaches the pods: what counts clients' requests
    /// would let them in once more at each further proxy, passwords are read where they are checked, and an edge may
    /// reach neither the pods that get copies nor the Service's own address.
    public let needsIngress: Bool

    init(origin: RouteOrigin, backends: [WeightedBackend], policy: RoutePolicy = RoutePolicy()) {
        self.origin = origin
        self.backends = backends
        self.policy = policy
        isPlain = policy.isPlain && backends.allSatisfy { $0.filters == BackendFilters() }
        needsIngress =
            policy.authentication != nil || policy.limits != RouteLimits() || policy.failure != nil
            || policy.goesThroughService || !policy.filters.mirrors.isEmpty
            || backends.contains { !$0.filters.mirrors.isEmpty }
    }

    /// Whether the same is done with a request, whichever of the two has it.
    func isLike(_ other: WebRoute) -> Bool {
        self === other || origin == other.origin && backends == other.backends && policy == other.policy
    }

    /// The backend of one request, by weight; nil when none takes any.
    /// - Parameter draw: 64 random bits.
    public func backend(draw: UInt64) -> WeightedBackend? {
        if backends.count == 1 { return backends[0].weight > 0 ? backends[0] : nil }
        let total = backends.reduce(0) { $0 + UInt64($1.weight) }
        guard total > 0 else { return nil }
        var place = draw % total
        for backend in backends {
            if place < backend.weight { return backend }
            place -= UInt64(backend.weight)
        }
        return nil
    }
}

/// The object that a route comes from, for logs and counts.
public struct RouteOrigin: Sendable, Hashable {
    /// `Ingress` or `HTTPRoute`.
    public var kind: String
    /// Its namespace.
    public var namespace: String
    /// Its name.
    public var name: String

    /// An origin from its parts.
    public init(kind: String, namespace: String, name: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
    }
}

/// One of those that share a route's requests.
public struct WeightedBackend: Sendable, Hashable {
    /// Its place in ``RouteTable/backends``; nil for one that there is not: its share is answered with 500.
    public var slot: Int?
    /// Its share, of the sum of all.
    public var weight: UInt32
    /// Done to its share of the requests alone.
    public var filters = BackendFilters()

    init(slot: Int?, weight: UInt32 = 1, filters: BackendFilters = BackendFilters()) {
        self.slot = slot
        self.weight = weight
        self.filters = filters
    }
}

/// What Gateway API lets be done to requests and answers, for a whole rule or for one of its backends.
public struct BackendFilters: Sendable, Hashable {
    /// Changes of the request's fields.
    public var requestFields = FieldChanges()
    /// Changes of the answer's fields.
    public var responseFields = FieldChanges()
    /// Another target.
    public var rewrite: Rewrite?
    /// An answer in place of the backend's.
    public var redirect: Redirect?
    /// Places in ``RouteTable/backends`` that get a copy of the request.
    public var mirrors: [Mirror] = []

    /// Nothing is done.
    public init() {}
}

/// What serves a rule: the endpoints of one port of one Service.
public struct Backend: Sendable, Hashable {
    /// `namespace/name`, for logs.
    public var service: String
    /// Where its pods answer. Empty: the Service is there, but nothing is ready (503).
    public var endpoints: [Endpoint]
    /// What the Service says of its port (`appProtocol`, KEP-3726); nil when it says nothing that matters here.
    public var protocolHint: BackendProtocol?
    /// The Service's own address and port, for routes that leave the choice to it; nil for a headless one.
    public var serviceEndpoint: Endpoint?
    /// Whether all its pods have addresses that ``RouteTable/setReach(_:)`` was told of.
    public internal(set) var isWithinReach = false

    /// A backend from its parts.
    public init(service: String, endpoints: [Endpoint]) {
        self.service = service
        self.endpoints = endpoints
    }
}

/// What a backend speaks.
public enum BackendProtocol: String, Sendable, Hashable {
    /// HTTP/1.1.
    case http = "HTTP"
    /// HTTP/1.1 over TLS, whose certificate nobody checks, as ingress-nginx does by default.
    case https = "HTTPS"
    /// gRPC over HTTP/2 without TLS.
    case grpc = "GRPC"
    /// gRPC over HTTP/2 over TLS.
    case grpcs = "GRPCS"
    /// HTTP/2 without TLS, known beforehand.
    case h2c = "H2C"

    /// Whether it is HTTP/2.
    public var isHTTP2: Bool { self != .http && self != .https }
    /// Whether it is over TLS.
    public var isSecure: Bool { self == .https || self == .grpcs }
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
