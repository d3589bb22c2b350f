internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes

/// What a proxy puts on: the X-Forwarded fields, as ingress-nginx sets them. What it takes off, `HopByHop` knows.
enum ProxyHeaders {
    static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    static let forwardedProto = HTTPField.Name("X-Forwarded-Proto")!
    static let forwardedHost = HTTPField.Name("X-Forwarded-Host")!
    static let forwardedPort = HTTPField.Name("X-Forwarded-Port")!
    /// The same as `X-Forwarded-Proto`: some programs ask for these.
    private static let schemes = [HTTPField.Name("X-Forwarded-Scheme")!, HTTPField.Name("X-Scheme")!]
    /// The standard's own (RFC 7239); nobody here writes it, so nobody outside may.
    static let forwarded = HTTPField.Name("Forwarded")!
    static let realIP = HTTPField.Name("X-Real-IP")!
    static let requestID = HTTPField.Name("X-Request-ID")!

    /// Whether the fields behind an answer matter to the client: it says so, or calls by gRPC.
    static func wantsTrailers(_ request: Request) -> Bool {
        let fields = request.head.headerFields
        guard request.peer.isHTTP2 else { return false }
        return fields[.te] == "trailers" || fields[.contentType]?.hasPrefix("application/grpc") == true
    }

    /// The head that goes on to the next hop.
    /// - Parameters:
    ///   - isTrusted: whether the peer is one of our own edges, so that what it says of the client is kept.
    ///   - requestID: used when the request has none.
    static func onward(_ request: Request, isTrusted: Bool, requestID id: @autoclosure () -> String) -> HTTPRequest {
        var head = request.head
        let upgrade = HopByHop.upgrade(of: head.headerFields)
        HopByHop.strip(&head.headerFields)
        head.headerFields.dropUnusual()
        head.headerFields[HopByHop.httpoxy] = nil
        // The server has answered it already, by asking for the body.
        head.headerFields[.expect] = nil
        if let upgrade {
            head.headerFields[.connection] = "Upgrade"
            head.headerFields[.upgrade] = upgrade
        }
        if head.headerFields[requestID] == nil { head.headerFields[requestID] = id() }
        if isTrusted && head.headerFields[forwardedProto] != nil { return head }
        head.headerFields[forwarded] = nil
        for (name, value) in told(of: request.peer, head.authority) { head.headerFields[name] = value }
        return head
    }

    /// What the next hop is told of a client; nil takes off what the client says itself.
    static func told(of peer: Peer, _ authority: String?) -> [(name: HTTPField.Name, value: String?)] {
        let address: String? = if case .ip(let address, _) = peer.endpoint { address } else { nil }
        let scheme = peer.isSecure ? "https" : "http"
        let port = RequestHost(authority ?? "").port ?? (peer.isSecure ? 443 : 80)
        return [(forwardedFor, address), (realIP, address), (forwardedProto, scheme)] + schemes.map { ($0, scheme) }
            + [(forwardedHost, authority), (forwardedPort, String(port))]
    }

    /// What only edges of ours may say.
    static let claims = PlainNames(told(of: Peer(), nil).map(\.name) + [forwarded])
}

extension HTTPFields {
    /// Takes off fields whose names have other characters than letters, digits and hyphens, as nginx does
    /// (`ignore_invalid_headers`, `underscores_in_headers`): programs that get their fields as variables cannot tell
    /// `X_Forwarded_For` from `X-Forwarded-For`.
    fileprivate mutating func dropUnusual() {
        guard contains(where: { !$0.name.isUsual }) else { return }
        removeAll { !$0.name.isUsual }
    }
}

extension HTTPField.Name {
    fileprivate var isUsual: Bool {
        canonicalName.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
    }
}
