internal import CNGHTTP2
internal import HTTPTypes
internal import MartletBase

/// An exchange on the server's side.
final class WebServerStream: WebStream, @unchecked Sendable {
    /// Since when its head is coming.
    let opened: MonotonicTime
    /// Whether the answer's head went out.
    var isAnswered = false
    /// The handler's task while it runs.
    var task: Task<Void, Never>?
    var isServed = false
    var awaitsContinue = false
    /// Once the answer is complete before the request.
    var lingering: Lingering?
    /// Whether the client was told that no more of it is wanted.
    var isDeclined = false

    init(headLimit: Int, at now: MonotonicTime) {
        opened = now
        super.init(headLimit: headLimit)
    }
}

/// How much a client may send yet of a body that nobody takes, and how long: it reads its answer meanwhile. There are
/// clients to whom a stream that is reset beside its answer has none (curl 7.88). A pure value.
struct Lingering: Sendable {
    private let end: MonotonicTime
    private var pauseEnd: MonotonicTime
    private var left = HTTPBounds.lingerBytes

    init(at now: MonotonicTime) {
        end = now + HTTPBounds.longestLinger
        pauseEnd = now + HTTPBounds.linger
    }

    /// So many bytes have come. They do not help when they come too late.
    mutating func take(_ count: Int, at now: MonotonicTime) {
        if isOver(at: now) { return }
        left -= count
        pauseEnd = now + HTTPBounds.linger
    }

    /// Whether that was enough.
    func isOver(at now: MonotonicTime) -> Bool { left < 0 || now > min(end, pauseEnd) }
}

/// A connection of ordinary HTTP/2 on the server's side: each stream becomes a ``Request`` for the server's handler.
final class WebServerLink: WebLink, @unchecked Sendable {
    private let core: ServerCore
    private let limits: HTTP2Limits
    private let peer: Peer
    private let record: ServerRecord
    /// Exchanges whose handler is to be called when nghttp2 has read what came.
    private var starting: [WebServerStream] = []
    /// Handlers that run, also for exchanges that are over.
    private var running = 0
    private var isWarned = false
    private var isStopping = false
    private var writesSince: MonotonicTime?
    /// Since when there is no exchange. Frames that move nothing do not make it longer.
    private var idleSince: MonotonicTime?
    private var resets: HTTP2Budget
    private var controls: HTTP2Budget

    /// What one frame that moves something earns of those that do not: whoever takes a body gives windows and pings.
    private static let earned = 4

    init(_ core: ServerCore, _ limits: HTTP2Limits, peer: Peer, record: ServerRecord) {
        self.core = core
        self.limits = limits
        self.peer = peer
        self.record = record
        let now = core.world.now()
        resets = HTTP2Budget(limits.resets, perSecond: limits.resetsPerSecond, at: now)
        controls = HTTP2Budget(limits.controls, perSecond: limits.controlsPerSecond, at: now)
        var settings = HTTP2Settings()
        settings.streams = limits.streams
        settings.headerList = core.limits.head
        settings.streamWindow = limits.streamWindow
        settings.connectionWindow = limits.connectionWindow
        // Behind our own budget, which counts more and tells the client why.
        settings.resets = 2 * limits.resets
        settings.resetsPerSecond = 2 * limits.resetsPerSecond
        super.init(in: core.world, role: .server(settings))
    }

    override var endsWhenSent: Bool { isStopping && streams.isEmpty }

    // MARK: The connection

    /// Serves until the client leaves, breaks the protocol, or the server stops.
    func run(_ stream: any ByteStream, first: [UInt8]) async {
        record.setStopper { [weak self] in self?.stop() }
        record.setWatcher { [weak self] now in self?.expire(at: now) }
        locked {
            attach(stream)
            if session == nil { end("there is no memory for a session") }
            noteActivity()
        }
        if core.isStopping || record.isRetiring { stop() }
        var bytes = first
        while take(bytes) {
            guard let more = try? await stream.read(atMost: HTTPBounds.read), !more.isEmpty else {
                fail("the client's connection is over")
                return stream.close()
            }
            bytes = more
        }
        // The last words are on their way; closing with bytes unread could lose them.
        record.enter(.busy, for: HTTPBounds.linger)
        var left = HTTPBounds.drain
        while left > 0, let more = try? await stream.read(atMost: HTTPBounds.read), !more.isEmpty {
            left -= more.count
        }
        fail("the connection has ended")
        stream.close()
    }

    /// Takes what was received, and starts the requests whose heads are whole. False when the connection must end.
    func take(_ bytes: [UInt8]) -> Bool {
        let calls: [WebServerStream]? = locked {
            guard receive(bytes) else {
                // Broken beyond what nghttp2 itself answers, by floods above all.
                session?.terminate(NGHTTP2_ENHANCE_YOUR_CALM)
                wakeWriter()
                return nil
            }
            noteActivity()
            defer { starting = [] }
            return starting
        }
        for call in calls ?? [] { start(call) }
        return calls != nil
    }

    /// Whether our side of the stream was ended, and the client has yet to see it.
    private var isClosing = false

    override func close(_ stream: any ByteStream) {
        if isClosing { return stream.close() }
        isClosing = true
        record.enter(.busy, for: HTTPBounds.linger)
        world.spawn { await stream.closeWrite() }
    }

    override func writing(_ begins: Bool) { writesSince = begins ? world.now() : nil }

    /// No further requests are taken, once the client knows.
    private func stop() { locked { warn() } }

    private func warn() {
        if isWarned { return }
        isWarned = true
        session?.warnOfEnd()
        wakeWriter()
    }

    override func receivedFrame(_ kind: HTTP2FrameKind) {
        switch kind {
        case .message: controls.earn(Self.earned)
        case .pong:
            guard isWarned, !isStopping else { return }
            isStopping = true
            session?.goAway()
        case .control, .settings:
            if !controls.take(at: world.now()) { session?.terminate(NGHTTP2_ENHANCE_YOUR_CALM) }
        }
    }

    // MARK: Time

    private func noteActivity() {
        if isClosing || failure != nil { return }
        if streams.isEmpty {
            if idleSince != nil { return }
            idleSince = world.now()
            // The connection ends by itself, in words, unless nobody hears them.
            record.enter(.idle, for: core.limits.idleTimeout + HTTPBounds.linger)
        } else {
            if idleSince != nil { record.enter(.busy, for: nil) }
            idleSince = nil
        }
    }

    /// Gives up what takes too long.
    private func expire(at now: MonotonicTime) {
        locked {
            if failure != nil { return }
            let idle = core.limits.idleTimeout
            if let writesSince, now - writesSince > idle { return end("the client takes nothing") }
            if let idleSince, now - idleSince > idle { warn() }
            for stream in Array(streams.values) {
                guard let call = stream as? WebServerStream else { continue }
                if !call.hasHead && now - call.opened > core.limits.headTimeout {
                    session?.terminate(NGHTTP2_ENHANCE_YOUR_CALM)
                    wakeWriter()
                } else if let since = call.readsSince ?? call.writesSince, now - since > idle {
                    abort(call, NetworkError.timedOut("the client's part of the exchange"))
                } else {
                    endLingering(call, at: now)
                }
            }
            noteActivity()
        }
    }

    // MARK: A request

    override func opened(_ id: Int32) -> HTTP2Stream? {
        // nghttp2 counts streams; handlers of those that were given up may still run.
        guard !isStopping, running < limits.streams, resets.isLeft else {
            countReset()
            return nil
        }
        let call = WebServerStream(headLimit: core.limits.head, at: world.now())
        streams[id] = call
        return call
    }

    override func receivedHead(for stream: HTTP2Stream) {
        guard let call = stream as? WebServerStream, !call.hasHead else { return }
        call.hasHead = true
        call.awaitsContinue = call.head.expectsContinue
        call.bodyLeft = core.limits.body
        running += 1
        starting.append(call)
    }

    override func received(_ bytes: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream) {
        super.received(bytes, for: stream)
        guard let call = stream as? WebServerStream, call.lingering != nil else { return }
        let now = world.now()
        call.lingering?.take(bytes.count, at: now)
        endLingering(call, at: now)
    }

    override func overrun(_ stream: WebStream) {
        guard stream.failure == nil else { return }
        stream.failure = HTTPError.bodyTooLarge(limit: core.limits.body)
        stopReading(stream)
        wakeReader(stream)
    }

    /// Calls the handler. It runs at once up to its first wait.
    private func start(_ call: WebServerStream) {
        let scheme = peer.isSecure ? "https" : "http"
        let head: HTTPRequest
        do throws(HTTPError) {
            head = try call.head.request(scheme: scheme)
            if let length = call.head.contentLength, length > core.limits.body {
                throw .bodyTooLarge(limit: core.limits.body)
            }
        } catch {
            let status = Refusal.status(for: error) ?? .badRequest
            return locked {
                refuse(call, status, "\(error)")
                returned(call)
            }
        }
        let body: RequestBody =
            locked { bodyAtHand(call) }.map { .bytes($0) } ?? .stream { try await self.nextPiece(of: call) }
        var request = Request(head: head, body: body, peer: peer)
        request.trailers = { self.trailers(of: call) }
        let asked = request
        let task = Task.immediate(executorPreference: world.executor) {
            let response = await self.core.handler.handle(asked)
            await self.answer(call, response, to: head.method)
            self.locked { self.returned(call) }
        }
        locked {
            if call.isServed { return }
            if call.isOver { cancelled.append(task) } else { call.task = task }
        }
    }

    private func nextPiece(of call: WebServerStream) async throws -> [UInt8]? {
        locked {
            guard call.awaitsContinue else { return }
            call.awaitsContinue = false
            guard !call.isReadToEnd, !call.isAnswered, !call.isOver else { return }
            session?.inform([Self.proceed], call)
            wakeWriter()
        }
        return try await nextPiece(call)
    }

    private func returned(_ call: WebServerStream) {
        call.isServed = true
        call.task = nil
        running -= 1
        // What the handler left of the body is in nobody's way.
        if !call.isOver { stopReading(call) }
        noteActivity()
    }

    override func finished(_ stream: WebStream, error: UInt32) {
        guard let call = stream as? WebServerStream else { return }
        if let task = call.task { cancelled.append(task) }
        call.task = nil
        noteActivity()
        if error != 0 && failure == nil && call.lingering == nil { countReset() }
    }

    /// nghttp2 counts resets that come; these are also those that the client provokes (CVE-2025-8671).
    private func countReset() {
        guard !resets.take(at: world.now()) else { return }
        session?.terminate(NGHTTP2_ENHANCE_YOUR_CALM)
        wakeWriter()
    }

    // MARK: The answer

    /// The client goes on sending for a while.
    override func answeredEarly(_ stream: HTTP2Stream) {
        guard let call = stream as? WebServerStream else { return }
        call.lingering = Lingering(at: world.now())
        // Whoever reads on must not take what is left out for an end.
        if call.failure == nil { call.failure = NetworkError.closed }
        stopReading(call)
        wakeReader(call)
    }

    private func endLingering(_ call: WebServerStream, at now: MonotonicTime) {
        guard call.lingering?.isOver(at: now) == true, !call.isDeclined else { return }
        call.isDeclined = true
        session?.declineRest(of: call)
        wakeWriter()
    }

    private func answer(_ call: WebServerStream, _ response: Response, to method: HTTPRequest.Method) async {
        let code = response.head.status.code
        let hasNoBody = method == .head || code < 200 || code == 204 || code == 304
        let named = response.head.headerFields[.contentLength].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
        switch response.body {
        case .upgrade:
            locked { abort(call, NetworkError.closed, NGHTTP2_HTTP_1_1_REQUIRED) }
        case .bytes(let bytes):
            let length = hasNoBody ? (code == 204 ? nil : named) : (bytes.isEmpty ? nil : bytes.count)
            let trailers = response.trailers?()
            locked {
                let hasBody = !hasNoBody && (!bytes.isEmpty || trailers != nil)
                guard begin(call, response.head, length: length, hasBody: hasBody) else { return }
                queue(call, [bytes])
                endSending(call, trailers)
            }
        case .stream(let produce):
            let length = code == 204 ? nil : named
            let isBegun = locked { begin(call, response.head, length: length, hasBody: !hasNoBody) }
            guard isBegun else { return }
            let writer = Writer(link: self, call: call, length: length)
            do {
                try await produce(writer)
                guard writer.isWhole else { throw NetworkError.protocolViolation("a body is shorter than its length") }
                let trailers = response.trailers?()
                locked { endSending(call, trailers) }
            } catch {
                locked { abort(call, error, NGHTTP2_INTERNAL_ERROR) }
            }
        }
    }

    /// Sends the head. False when nothing shall follow.
    private func begin(_ call: WebServerStream, _ head: HTTPResponse, length: Int?, hasBody: Bool) -> Bool {
        guard !call.isOver, !call.isAnswered else { return false }
        call.isAnswered = true
        if !hasBody { call.isSent = true }
        HTTP2Fields(head, length: length, date: core.dateLine()).lend {
            session?.respond($0, call, hasBody: hasBody)
        }
        wakeWriter()
        return hasBody
    }

    /// A short answer of the server's own. Under the lock.
    private func refuse(_ call: WebServerStream, _ status: HTTPResponse.Status, _ text: String) {
        var head = HTTPResponse(status: status)
        head.headerFields[.contentType] = "text/plain; charset=utf-8"
        let body = Array((text + "\n").utf8)
        guard begin(call, head, length: body.count, hasBody: true) else { return }
        queue(call, [body])
        endSending(call, nil)
    }

    /// A constant whose memory is never written or freed.
    private nonisolated(unsafe) static let proceed = HTTP2Fields.constant(":status", "100")

    /// Takes the pieces of a streamed answer; used by one task.
    private final class Writer: BodyWriter, @unchecked Sendable {
        private let link: WebServerLink
        private let call: WebServerStream
        private let length: Int?
        private var written = 0

        init(link: WebServerLink, call: WebServerStream, length: Int?) {
            self.link = link
            self.call = call
            self.length = length
        }

        var isWhole: Bool { length.map { $0 == written } ?? true }

        func write(_ bytes: [UInt8]) async throws { try await write(joining: [bytes]) }

        func write(joining pieces: [[UInt8]]) async throws {
            let count = pieces.reduce(0) { $0 + $1.count }
            if count == 0 { return }
            written += count
            if let length, written > length {
                throw NetworkError.protocolViolation("a body is longer than the content-length of its head")
            }
            try await link.write(pieces, call)
        }
    }
}
