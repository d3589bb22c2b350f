internal import CNGHTTP2
internal import DequeModule
internal import MartletBase

/// A method that is served, by the bytes of its path.
struct GRPCRoute: Sendable {
    let bytes: [UInt8]
    let path: String
    let method: GRPCMethod

    func matches(_ path: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count == path.count else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            for at in 0..<bytes.count where bytes[at] != path[at] { return false }
            return true
        }
    }
}

/// A call on the server's side.
final class GRPCServerStream: GRPCStream, @unchecked Sendable {
    var route: GRPCRoute?
    /// The path when there is no route for it.
    var unknownPath = ""
    var metadata = GRPCMetadata()
    var timeout: Duration?
    /// Bytes of all fields.
    var fieldBytes = 0
    var isPost = false
    var isGRPC = false
    var isEncoded = false
    /// Why it is not served.
    var refusal: GRPCStatus?
    var hasHead = false
    /// Whether the answer's head went out.
    var isAnswered = false
    /// Whether its method was called, or was to be.
    var isStarted = false
    /// Whether its method has returned.
    var isServed = false
    /// The method's task while it runs.
    var task: Task<Void, Never>?
    /// What ends the answer.
    var status: GRPCStatus?
    var trailers = GRPCMetadata()
}

/// A gRPC connection on the server's side.
final class GRPCServerLink: GRPCLink, @unchecked Sendable {
    private let serving: GRPCServing
    private let peer: GRPCContext.ConnectionPeer
    private let record: ServerRecord
    /// Methods that were called before; as many as the service has, and no more than ``routeLimit``.
    private var routes: [GRPCRoute] = []
    /// Calls whose method is to be called when nghttp2 has read what came.
    private var starting: [GRPCServerStream] = []
    /// Methods that run, also for calls that are over.
    private var running = 0
    private var isStopping: Bool
    private var isWriting = false
    private var resets: HTTP2Budget

    static let routeLimit = 256

    init(_ serving: GRPCServing, in world: any World, peer: Peer, record: ServerRecord, isStopping: Bool) {
        self.serving = serving
        self.peer = GRPCContext.ConnectionPeer(peer)
        self.record = record
        self.isStopping = isStopping
        resets = HTTP2Budget(serving.limits.resets, perSecond: serving.limits.resetsPerSecond, at: world.now())
        super.init(in: world, role: .server(serving.limits.http2), queueLimit: serving.limits.queuedPerCall)
    }

    override var heldLimit: Int { serving.limits.queuedPerConnection }
    override var endsWhenSent: Bool { isStopping && streams.isEmpty }

    /// Serves until the client leaves, breaks the protocol, or the server stops.
    func run(_ stream: any ByteStream, first: [UInt8]) async {
        record.setStopper { [weak self] in self?.stop() }
        locked {
            attach(stream)
            if session == nil { end("there is no memory for a session") }
        }
        var bytes = first
        while take(bytes) {
            guard let more = try? await stream.read(atMost: HTTPBounds.read), !more.isEmpty else { break }
            bytes = more
        }
        fail("the client's connection is over")
        stream.close()
    }

    /// Takes what was received, and starts the calls that are whole. False when the connection must end.
    func take(_ bytes: [UInt8]) -> Bool {
        let calls: [GRPCServerStream]? = locked {
            guard receive(bytes) else { return nil }
            noteActivity()
            defer { starting.removeAll(keepingCapacity: true) }
            return starting
        }
        for call in calls ?? [] { start(call) }
        return calls != nil
    }

    /// No further calls are taken.
    private func stop() {
        locked {
            isStopping = true
            session?.goAway()
            wakeWriter()
        }
    }

    /// Says what the connection does, for the server's look at its time. Under the lock.
    private func noteActivity() {
        // What is received meanwhile does not prolong a write.
        if isWriting { return }
        if streams.isEmpty {
            record.enter(.idle, for: serving.limits.idleTimeout)
        } else {
            // With no method running, it is the client who has to send or to take something.
            record.enter(.busy, for: running > 0 ? nil : serving.limits.writeTimeout)
        }
    }

    override func writing(_ begins: Bool) {
        if begins && !isWriting { record.enter(.busy, for: serving.limits.writeTimeout) }
        isWriting = begins
        noteActivity()
    }

    // MARK: A request's head

    override func opened(_ id: Int32) -> HTTP2Stream? {
        // nghttp2 counts streams; methods of calls that were given up may still run.
        guard !isStopping, running < serving.limits.calls, resets.isLeft else { return nil }
        let call = GRPCServerStream(limit: serving.limits.message)
        streams[id] = call
        return call
    }

    override func received(
        _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream
    ) -> Bool {
        if let call = stream as? GRPCServerStream { take(name, value, call) }
        return true
    }

    private func take(
        _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, _ call: GRPCServerStream
    ) {
        call.fieldBytes += name.count + value.count
        guard call.fieldBytes <= serving.limits.metadata, !call.hasHead else { return }
        switch name.count {
        case 2 where name.equals("te"): return
        case 5 where name.equals(":path"): return route(call, value)
        case 7 where name.equals(":method"): call.isPost = value.equals("POST")
        case 7 where name.equals(":scheme"): return
        case 10 where name.equals(":authority"), 10 where name.equals("user-agent"): return
        case 12 where name.equals("content-type"):
            call.isGRPC =
                value.begins(with: "application/grpc")
                && (value.count == 16 || value[16] == UInt8(ascii: "+") || value[16] == UInt8(ascii: ";"))
        case 12 where name.equals("grpc-timeout"):
            call.timeout = GRPCText.timeout(value)
            if call.timeout == nil { call.refusal = GRPCStatus(code: 13, message: "malformed grpc-timeout") }
        case 13 where name.equals("grpc-encoding"): call.isEncoded = !value.equals("identity")
        default:
            if name.begins(with: "grpc-") || name.begins(with: ":") { return }
            call.metadata.append(name, value)
        }
    }

    private func route(_ call: GRPCServerStream, _ path: UnsafeBufferPointer<UInt8>) {
        for at in routes.indices where routes[at].matches(path) {
            call.route = routes[at]
            // What is called often is found first.
            if at > 0 { routes.swapAt(at, at - 1) }
            return
        }
        let text = String(decoding: path, as: UTF8.self)
        guard let method = serving.service.method(at: text) else {
            call.unknownPath = text
            return
        }
        let route = GRPCRoute(bytes: Array(path), path: text, method: method)
        if routes.count < Self.routeLimit { routes.append(route) }
        call.route = route
    }

    override func receivedHead(for stream: HTTP2Stream) {
        guard let call = stream as? GRPCServerStream, !call.hasHead else { return }
        call.hasHead = true
        if let refusal = refusal(of: call) { return refuse(call, refusal) }
        guard call.isPost, call.isGRPC else { return refuseWeb(call) }
        if let timeout = call.timeout {
            let deadline = world.now() + timeout
            call.deadline = deadline
            watch(deadline)
        }
        if case .stream = call.route?.method { begin(call) }
    }

    private func refusal(of call: GRPCServerStream) -> GRPCStatus? {
        if call.fieldBytes > serving.limits.metadata {
            return GRPCStatus(code: 8, message: "the fields are over the limit of \(serving.limits.metadata) bytes")
        }
        guard call.isPost, call.isGRPC else { return nil }
        if call.isEncoded { return GRPCStatus(code: 12, message: "no compression is supported but identity") }
        if call.route == nil { return GRPCStatus(code: 12, message: "unknown method \(call.unknownPath)") }
        return call.refusal
    }

    /// A request that is not gRPC's: HTTP's own refusal.
    private func refuseWeb(_ call: GRPCServerStream) {
        (call.isAnswered, call.isStarted, call.isServed) = (true, true, true)
        let status = call.isPost ? Self.unsupported : Self.notAllowed
        call.outgoing.isEnded = true
        session?.respond([status], call, hasBody: false)
        wakeWriter()
    }

    // Constants whose memory is never written or freed.
    private nonisolated(unsafe) static let unsupported = HTTP2Fields.constant(":status", "415")
    private nonisolated(unsafe) static let notAllowed = HTTP2Fields.constant(":status", "405")

    // MARK: A request's messages

    override func receivedEnd(of stream: HTTP2Stream) {
        guard let call = stream as? GRPCServerStream, call.outcome == nil, !call.isServed else { return }
        call.isReadToEnd = true
        if call.deframer.isInMessage {
            return refuse(call, GRPCStatus(code: 13, message: "the request ends in the middle of a message"))
        }
        guard !call.isStarted else { return wakeReader(call) }
        guard call.incoming.count == 1 else {
            return refuse(call, GRPCStatus(code: 13, message: "a unary call has one request message"))
        }
        begin(call)
    }

    private func begin(_ call: GRPCServerStream) {
        call.isStarted = true
        running += 1
        starting.append(call)
    }

    /// Calls the method. It runs at once up to its first wait.
    private func start(_ call: GRPCServerStream) {
        guard let route = call.route else { return }
        let context = GRPCContext(
            path: route.path, metadata: call.metadata, deadline: call.deadline, connection: peer)
        let task = Task.immediate(executorPreference: world.executor) {
            switch route.method {
            case .unary(let answer):
                let request = self.locked { call.incoming.popFirst() } ?? []
                do { self.answered(call, try await answer(request, context)) } catch { self.ended(call, error) }
            case .stream(let serve):
                do {
                    try await serve(GRPCServerCall(self, call, context))
                    self.ended(call, nil)
                } catch {
                    self.ended(call, error)
                }
            }
        }
        locked {
            if call.isServed { return }
            if call.outcome == nil { call.task = task } else { cancelled.append(task) }
        }
    }

    // MARK: The answer

    private func answered(_ call: GRPCServerStream, _ message: [UInt8]) {
        locked {
            returned(call)
            guard call.outcome == nil, call.status == nil else { return }
            guard held < heldLimit else {
                return conclude(call, GRPCStatus(code: 8, message: "the connection's answers are not taken"))
            }
            call.status = .ok
            call.outgoing.isEnded = true
            queue(call, message)
        }
    }

    private func ended(_ call: GRPCServerStream, _ error: (any Error)?) {
        let status: GRPCStatus =
            switch error {
            case nil: .ok
            case let status as GRPCStatus: status
            case is CancellationError: .cancelled
            case let error?: GRPCStatus(code: 2, message: "\(error)")
            }
        locked {
            returned(call)
            if call.outcome == nil && call.status == nil { conclude(call, status) }
        }
    }

    private func returned(_ call: GRPCServerStream) {
        call.isServed = true
        call.task = nil
        running -= 1
        if running == 0 { noteActivity() }
    }

    /// Ends the answer. What was queued goes out before.
    private func conclude(_ call: GRPCServerStream, _ status: GRPCStatus) {
        call.status = status
        if call.isAnswered { return endSending(call) }
        call.isAnswered = true
        call.outgoing.isEnded = true
        trailers(of: call, after: [Self.ok, Self.grpc]).lend { session?.respond($0, call, hasBody: false) }
        wakeWriter()
    }

    override func refuse(_ stream: GRPCStream, _ outcome: GRPCStatus) {
        guard let call = stream as? GRPCServerStream, call.status == nil, call.outcome == nil else { return }
        if let task = call.task { cancelled.append(task) }
        call.task = nil
        call.isStarted = true
        conclude(call, outcome)
        // For the method, the call is over.
        call.isReadToEnd = true
        call.outcome = outcome
        wakeReader(call)
        wakeSenders(call)
    }

    override func prepareToSend(_ stream: GRPCStream) {
        guard let call = stream as? GRPCServerStream, !call.isAnswered else { return }
        call.isAnswered = true
        session?.respond(Self.head, call, hasBody: true)
    }

    override func submitTrailers(for stream: HTTP2Stream) -> Bool {
        guard let call = stream as? GRPCServerStream else { return false }
        if call.status == .ok && call.trailers.isEmpty {
            session?.trail(Self.success, call)
        } else {
            trailers(of: call, after: []).lend { session?.trail($0, call) }
        }
        return true
    }

    private func trailers(of call: GRPCServerStream, after head: [nghttp2_nv]) -> HTTP2Fields {
        let status = call.status ?? .ok
        var fields = HTTP2Fields(head)
        fields.append("grpc-status", "\(status.code)".utf8)
        if !status.message.isEmpty { fields.append("grpc-message", GRPCText.message(status.message)) }
        fields.append(call.trailers)
        return fields
    }

    // Constants whose memory is never written or freed.
    private nonisolated(unsafe) static let ok = HTTP2Fields.constant(":status", "200")
    private nonisolated(unsafe) static let grpc = HTTP2Fields.constant("content-type", "application/grpc")
    private nonisolated(unsafe) static let head = [ok, grpc]
    private nonisolated(unsafe) static let success = [HTTP2Fields.constant("grpc-status", "0")]

    // MARK: The end of a call

    override func outcome(of stream: GRPCStream, error: UInt32) -> GRPCStatus { .cancelled }

    override func finished(_ stream: GRPCStream) {
        guard let call = stream as? GRPCServerStream else { return }
        if let task = call.task {
            cancelled.append(task)
            call.task = nil
        }
        // nghttp2 counts resets that come; these are also those that the client provokes.
        if call.status == nil && failure == nil && !resets.take(at: world.now()) {
            session?.terminate(NGHTTP2_ENHANCE_YOUR_CALM)
            wakeWriter()
        }
    }
}

extension GRPCStatus {
    static let ok = GRPCStatus(code: 0, message: "")
}

extension GRPCServerLimits {
    /// What nghttp2 is told of them.
    fileprivate var http2: HTTP2Settings {
        var settings = HTTP2Settings()
        settings.streams = calls
        settings.headerList = metadata
        settings.resets = resets
        settings.resetsPerSecond = resetsPerSecond
        // etcdctl 3.4 names its endpoint, scheme and all, as the authority, which HTTP forbids. Nothing here rests on
        // HTTP's rules for fields: the few that are read are checked one by one, and none is passed on.
        settings.checksMessages = false
        return settings
    }
}
