public import HTTPTypes
public import MartletBase
internal import Synchronization

/// Sends HTTP/2 requests to one origin, many at a time over one connection; over more when the server bounds how many.
///
/// It speaks HTTP/2 with prior knowledge in the clear, or over TLS when ALPN agrees on `h2`. A task that is cancelled
/// while it waits for an answer, or reads its body, resets its stream.
public final class HTTP2Client: HTTPSender {
    private let endpoint: Endpoint
    private let serverName: String
    private let world: any World
    private let tls: TLSClient?
    private let links = Mutex<[WebClientLink]>([])

    /// Connections at one time; requests beyond what they take wait for their turn.
    static let connections = 16
    /// How often a request is sent that the server refuses untouched (RFC 9113, 8.7).
    private static let tries = 3

    /// A client of one origin.
    /// - Parameter tls: nil for plain text; else it must offer `h2`, and `serverName` is what the certificate must be
    ///   for.
    public init(endpoint: Endpoint, serverName: String, in world: any World, tls: TLSClient? = nil) {
        self.endpoint = endpoint
        self.serverName = serverName
        self.world = world
        self.tls = tls
    }

    deinit { close() }

    /// Sends one request. A body that is here is sent again when the server refuses its stream untouched.
    public func send(
        _ head: HTTPRequest, body: RequestBody = .bytes([]), trailers: Trailers? = nil
    ) async throws -> ClientResponse {
        let plan = Plan(head, body, trailers)
        var triesLeft = Self.tries
        while true {
            let (link, stream, isUsed) = try begin(head, plan)
            do {
                return try await link.answer(stream, body, length: plan.length, trailers: trailers)
            } catch {
                if Task.isCancelled { throw CancellationError() }
                triesLeft -= 1
                guard triesLeft > 0, plan.mayRepeat(after: error, isUsed: isUsed && link.isLost) else { throw error }
            }
        }
    }

    /// What the shape of a request means for its sending.
    private struct Plan {
        var hasBody = true
        var length: Int?
        private var isHere = false
        private var isIdempotent: Bool

        init(_ head: HTTPRequest, _ body: RequestBody, _ trailers: Trailers?) {
            isIdempotent = [.get, .head, .options, .put, .delete].contains(head.method)
            length = head.headerFields[.contentLength].flatMap { Int($0) }
            guard case .bytes(let bytes) = body else { return }
            isHere = true
            hasBody = !bytes.isEmpty || trailers?() != nil
            length = bytes.isEmpty && ![.post, .put, .patch].contains(head.method) ? nil : bytes.count
        }

        /// Whether a request that failed so may be sent again.
        /// - Parameter isUsed: whether its connection had served before, and was lost: a server that closes an idle
        ///   connection may not have seen the request.
        func mayRepeat(after error: any Error, isUsed: Bool) -> Bool {
            guard isHere else { return false }
            return (error as? StreamReset)?.isUntouched == true || isIdempotent && isUsed
        }
    }

    private func begin(
        _ head: HTTPRequest, _ plan: Plan
    ) throws(NetworkError) -> (WebClientLink, WebClientStream, isUsed: Bool) {
        // A connection may turn out to be over between its choice and its use.
        for _ in 0..<Self.tries {
            let (link, isNew) = choose()
            if let stream = link.begin(head, hasBody: plan.hasBody, length: plan.length) {
                return (link, stream, !isNew)
            }
            links.withLock { $0.removeAll { $0 === link } }
        }
        throw .closed
    }

    /// A connection with room; a new one while there may be; else the one that does the least.
    private func choose() -> (WebClientLink, isNew: Bool) {
        let now = world.now()
        var retired: [WebClientLink] = []
        let (link, isNew) = links.withLock { links in
            var kept: [WebClientLink] = []
            for link in links {
                let (isOver, idle) = link.locked { (link.isGoingAway || link.failure != nil, link.idleSince) }
                if isOver { continue }
                if let idle, now - idle >= HTTPBounds.clientIdle { retired.append(link) } else { kept.append(link) }
            }
            links = kept
            if let link = kept.first(where: { link in link.locked { link.hasRoom } }) { return (link, false) }
            let least = kept.min { a, b in a.locked { a.streams.count } < b.locked { b.streams.count } }
            if let least, kept.count >= Self.connections { return (least, false) }
            let link = makeLink()
            links.append(link)
            return (link, true)
        }
        for link in retired { link.retire() }
        if isNew { world.spawn { await link.run() } }
        return (link, isNew)
    }

    private func makeLink() -> WebClientLink {
        let (endpoint, serverName, tls, world) = (endpoint, serverName, tls, world)
        let authority = serverName.utf8.contains(Characters.colon) ? "[\(serverName)]" : serverName
        return WebClientLink(in: world, authority: authority, isSecure: tls != nil) {
            let plain = try await world.connect(to: endpoint)
            guard let tls else { return plain }
            let secure = try await tls.connect(plain, serverName: serverName)
            guard secure.applicationProtocol == "h2" else {
                secure.close()
                throw NetworkError.protocolViolation("the server does not agree on HTTP/2")
            }
            return secure
        }
    }

    /// Ends the connections, each after its last exchange.
    public func close() {
        let all = links.withLock { links in
            defer { links = [] }
            return links
        }
        for link in all { link.retire() }
    }
}
