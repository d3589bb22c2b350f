internal import CNGHTTP2
internal import HTTPTypes
internal import MartletBase

/// An exchange on the client's side.
final class WebClientStream: WebStream, @unchecked Sendable {
    /// The answer's head, after those that only inform (1xx).
    var response: HTTPResponse?
    /// How many of these came.
    var informed = 0
    /// Sends the body.
    var upload: Task<Void, Never>?
    /// What the body's own stream threw.
    var uploadFailure: (any Error)?
}

/// A connection of ordinary HTTP/2 on the client's side. It connects by itself; requests that come before wait for it.
final class WebClientLink: WebLink, @unchecked Sendable {
    private let connect: @Sendable () async throws -> any ByteStream
    private let authority: String
    private let scheme: StaticString
    private var cause: (any Error)?
    private(set) var isGoingAway = false
    /// Since when nobody uses it.
    private(set) var idleSince: MonotonicTime?

    init(
        in world: any World, authority: String, isSecure: Bool,
        connect: @escaping @Sendable () async throws -> any ByteStream
    ) {
        self.connect = connect
        self.authority = authority
        scheme = isSecure ? "https" : "http"
        var settings = HTTP2Settings()
        settings.assumedStreams = Self.firstStreams
        settings.headerList = HTTPBounds.responseHead
        settings.streamWindow = HTTPBounds.clientStreamWindow
        settings.connectionWindow = HTTPBounds.clientConnectionWindow
        super.init(in: world, role: .client(settings))
    }

    override var sharesWindow: Bool { true }
    override func isCut(_ stream: WebStream, _ error: UInt32) -> Bool { !stream.isReadToEnd }

    /// Streams that are opened before the server has said how many it takes; few servers take fewer.
    private static let firstStreams = 8
    /// Requests that wait for the server to say so.
    private static let firstRequests = 100
    private var isSettled = false

    override func receivedFrame(_ kind: HTTP2FrameKind) { if kind == .settings { isSettled = true } }

    /// Whether another exchange would begin at once, or soon.
    var hasRoom: Bool {
        guard !isGoingAway, failure == nil, let session else { return false }
        return streams.count < (isSettled ? session.peerStreams : Self.firstRequests)
    }

    /// Whether the connection has broken.
    var isLost: Bool { locked { failure != nil } }

    // MARK: Exchanges

    /// Sends a request; nil when this connection takes none any more.
    func begin(_ head: HTTPRequest, hasBody: Bool, length: Int?) -> WebClientStream? {
        locked {
            guard let session, failure == nil, !isGoingAway else { return nil }
            let stream = WebClientStream(headLimit: HTTPBounds.responseHead)
            let fields = HTTP2Fields(head, authority: authority, scheme: scheme, length: length)
            stream.isSent = !hasBody
            guard fields.lend({ session.request($0, stream, hasBody: hasBody) }) else {
                isGoingAway = true
                return nil
            }
            streams[stream.id] = stream
            idleSince = nil
            wakeWriter()
            return stream
        }
    }

    /// Sends the body, and brings the answer's head.
    func answer(
        _ stream: WebClientStream, _ body: RequestBody, length: Int?, trailers: Trailers?
    ) async throws -> ClientResponse {
        send(stream, body, length, trailers)
        do {
            while locked({ stream.response == nil && stream.failure == nil && !stream.isOver }) {
                try await awaitPeer(stream) { ($0 as? WebClientStream)?.response != nil || $0.isOver }
            }
        } catch {
            giveUp(stream)
            throw error
        }
        let (head, failure, bytes) = locked {
            (stream.response, stream.uploadFailure ?? stream.failure, stream.response == nil ? nil : bodyAtHand(stream))
        }
        guard let head else {
            giveUp(stream)
            throw failure ?? HTTPError.unexpectedEnd
        }
        let reader = WebAnswerReader(link: self, stream: stream)
        let whole: RequestBody = bytes.map { .bytes($0) } ?? .stream { try await reader.next() }
        var response = ClientResponse(head: head, body: whole)
        response.trailers = { reader.trailers }
        return response
    }

    private func send(_ stream: WebClientStream, _ body: RequestBody, _ length: Int?, _ trailers: Trailers?) {
        switch body {
        case .bytes(let bytes):
            locked {
                guard !stream.isOver, !stream.isSent else { return }
                queue(stream, [bytes])
                endSending(stream, trailers?())
            }
        case .stream(let next):
            let task = world.spawn { [weak self] in
                do {
                    var left = length ?? .max
                    while let piece = try await next() {
                        left -= piece.count
                        guard left >= 0 else { break }
                        guard let self, !self.locked({ stream.isOver || stream.isSent }) else { return }
                        if !piece.isEmpty { try await self.write([piece], stream) }
                    }
                    guard length == nil || left == 0 else {
                        throw NetworkError.protocolViolation("a body has not the length that its head names")
                    }
                    let behind = trailers?()
                    self?.locked { self?.endSending(stream, behind) }
                } catch {
                    self?.broke(stream, error)
                }
            }
            locked { if stream.isOver { cancelled.append(task) } else { stream.upload = task } }
        }
    }

    /// The request's body breaks off.
    private func broke(_ stream: WebClientStream, _ error: any Error) {
        locked {
            if stream.isOver { return }
            stream.uploadFailure = error
            abort(stream, error)
        }
    }

    /// Nobody waits for the rest of the exchange.
    func giveUp(_ stream: WebClientStream) {
        locked {
            stopReading(stream)
            if !stream.isOver { abort(stream, CancellationError()) }
        }
    }

    override func finished(_ stream: WebStream, error: UInt32) {
        guard let stream = stream as? WebClientStream else { return }
        if let upload = stream.upload { cancelled.append(upload) }
        stream.upload = nil
        if streams.isEmpty {
            idleSince = world.now()
            if isGoingAway { end("the server is going away") }
        }
    }

    // MARK: The answer

    override func receivedHead(for stream: HTTP2Stream) {
        guard let stream = stream as? WebClientStream, !stream.hasHead else { return }
        do throws(HTTPError) {
            let response = try stream.head.response()
            if response.status.code < 200 {
                stream.informed += 1
                guard stream.informed <= HTTPBounds.informational, response.status.code != 101 else {
                    throw .malformed("too many informational answers, or one that changes the protocol")
                }
                stream.head = WebHead(limit: HTTPBounds.responseHead)
                return
            }
            stream.response = response
            stream.hasHead = true
            wakeReader(stream)
        } catch {
            abort(stream, error, NGHTTP2_PROTOCOL_ERROR)
        }
    }

    // MARK: The connection

    /// Connects, and reads until the connection is over.
    func run() async {
        let opened: any ByteStream
        do {
            opened = try await connect()
        } catch {
            return fail(error)
        }
        let isWanted = locked {
            if session == nil { end("there is no memory for a session") }
            guard failure == nil else { return false }
            attach(opened)
            return true
        }
        guard isWanted else { return opened.close() }
        while true {
            do {
                let bytes = try await opened.read(atMost: HTTPBounds.read)
                if bytes.isEmpty { return fail(NetworkError.closed) }
                guard locked({ receive(bytes) }) else {
                    return fail(NetworkError.protocolViolation("the server does not speak HTTP/2, or has ended"))
                }
            } catch {
                return fail(error)
            }
        }
    }

    private func fail(_ error: any Error) {
        locked {
            if cause == nil { cause = error }
            end("\(error)")
        }
    }

    override func lost(_ why: String) { finishAll(cause ?? NetworkError.closed) }

    override func goingAway() {
        isGoingAway = true
        if streams.isEmpty { end("the server is going away") }
    }

    /// Ends a connection that nobody uses; one in use ends after its last exchange.
    func retire() {
        locked {
            isGoingAway = true
            if streams.isEmpty { end("nobody uses it") }
        }
    }
}

/// Reads an answer's body. Dropped before its end, it gives the exchange up.
private final class WebAnswerReader: Sendable {
    private let link: WebClientLink
    private let stream: WebClientStream

    init(link: WebClientLink, stream: WebClientStream) {
        self.link = link
        self.stream = stream
    }

    deinit { link.giveUp(stream) }

    var trailers: HTTPFields? { link.trailers(of: stream) }

    func next() async throws -> [UInt8]? {
        do {
            return try await link.nextPiece(stream)
        } catch {
            if Task.isCancelled { link.giveUp(stream) }
            throw link.locked { stream.uploadFailure } ?? error
        }
    }
}
