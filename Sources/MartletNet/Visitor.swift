internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes

/// Who sends a request, as far as it can be believed: edges of ours say whom they speak for.
struct Visitor {
    /// Whether the peer is one of our own edges.
    var isTrusted: Bool
    /// The client's address.
    var address: IPAddress?
    /// Whether the client came over TLS.
    var isSecure: Bool

    /// - Parameter isTrusted: whether an address is that of an edge of ours.
    init(_ request: Request, isTrusted believes: (IPAddress) -> Bool) {
        let fields = request.head.headerFields
        isSecure = request.peer.isSecure
        address = request.peer.address
        isTrusted = !request.peer.isBehindBalancer && (address.map(believes) ?? false)
        guard isTrusted, let proto = fields[ProxyHeaders.forwardedProto] else { return }
        isSecure = proto == "https"
        address = fields[ProxyHeaders.realIP].flatMap { IPAddress($0) } ?? address
    }
}

extension Peer {
    /// Its address, where it has one.
    var address: IPAddress? { if case .ip(let address, _)? = endpoint { IPAddress(address) } else { nil } }
}

/// A request's head, as routes look at it.
struct RoutedHead: RoutedRequest {
    let head: HTTPRequest

    var method: String { head.method.rawValue }
    var target: String { head.path ?? "/" }

    func field(_ name: String) -> String? {
        var found: String?
        for field in head.headerFields where field.name.canonicalName == name {
            found = found.map { $0 + ", " + field.value } ?? field.value
        }
        return found
    }
}

/// A plain request's head, as routes look at it.
struct PlainHead: RoutedRequest {
    let request: PlainRequest

    var method: String { request.method }
    var target: String { request.path }
    func field(_ name: String) -> String? { request.field(name) }
}
