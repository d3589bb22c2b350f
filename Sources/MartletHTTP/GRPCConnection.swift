internal import MartletBase

/// One HTTP/2 connection and the calls on it. It connects by itself; calls that come before wait for it.
actor GRPCConnection {
    /// Calls at one time; more are refused with status 8.
    static let callLimit = 1024
    /// Bytes of whole messages of one call that wait for their reader; above, the server is slowed down.
    static let queueLimit = 1 << 20

    private struct Call {
        var stream: Int32 = 0
        var fields: [(name: String, value: String)]
        var body: [UInt8]
        var deframer = GRPCDeframer()
        var messages: [[UInt8]] = []
        var queued = 0
        /// Bytes received whose window was not given back yet.
        var withheld = 0
        var httpStatus: Int?
        var grpcStatus: Int?
        var grpcMessage = ""
        /// How it ended; nil while it runs.
        var outcome: GRPCStatus?
        var reader: CheckedContinuation<Void, Never>?
    }
    private enum Phase {
        case new, connecting, open, goingAway, over
    }

    private let world: any World
    private let name: String
    private let connect: @Sendable () async throws -> any ByteStream
    private let session: HTTP2Session?
    private var stream: (any ByteStream)?
    private var phase = Phase.new
    private var isWriting = false
    private var calls: [UInt64: Call] = [:]
    private var byStream: [Int32: UInt64] = [:]
    private var nextID: UInt64 = 0

    /// - Parameter session: nil when there was no memory for one: then every call fails.
    init(
        in world: any World, name: String, session: sending HTTP2Session? = HTTP2Session(),
        connect: @escaping @Sendable () async throws -> any ByteStream
    ) {
        self.session = session
        self.world = world
        self.name = name
        self.connect = connect
    }

    // MARK: Calls

    /// Begins a call; nil when this connection takes none any more.
    /// - Throws: ``GRPCStatus`` when there are too many calls.
    func begin(_ fields: [(name: String, value: String)], _ body: [UInt8]) throws(GRPCStatus) -> UInt64? {
        if phase == .goingAway || phase == .over { return nil }
        guard calls.count < Self.callLimit else {
            throw GRPCStatus(code: 8, message: "too many calls to \(name) at once")
        }
        nextID += 1
        calls[nextID] = Call(fields: fields, body: body)
        switch phase {
        case .new:
            phase = .connecting
            world.spawn { await self.run() }
        case .open:
            guard submit(nextID) else {
                calls[nextID] = nil
                phase = .goingAway
                return nil
            }
            flush()
        case .connecting, .goingAway, .over: break
        }
        return nextID
    }

    /// The next message of a call; nil after its last.
    /// - Throws: ``GRPCStatus``.
    func next(_ id: UInt64) async throws -> [UInt8]? {
        while let call = calls[id] {
            if !call.messages.isEmpty { return take(id) }
            if let outcome = call.outcome {
                if outcome.code == 0 { return nil }
                throw outcome
            }
            guard call.reader == nil else { throw GRPCStatus(code: 13, message: "two tasks read one call") }
            await withCheckedContinuation { calls[id]?.reader = $0 }
        }
        throw GRPCStatus(code: 1, message: "the call was given up")
    }

    private func take(_ id: UInt64) -> [UInt8]? {
        guard var call = calls[id] else { return nil }
        let message = call.messages.removeFirst()
        call.queued -= message.count
        if call.withheld > 0 && call.queued < Self.queueLimit {
            session?.consume(call.stream, call.withheld)
            call.withheld = 0
            flush()
        }
        calls[id] = call
        return message
    }

    /// Ends a call that still runs, with this outcome.
    func end(_ id: UInt64, _ outcome: GRPCStatus) {
        guard let call = calls[id], call.outcome == nil else { return }
        finish(id, outcome)
        if call.stream > 0 {
            byStream[call.stream] = nil
            session?.reset(call.stream)
            session?.consume(call.stream, call.withheld)
            flush()
        }
        closeIfDone()
    }

    /// The call's reader has gone.
    func forget(_ id: UInt64) {
        end(id, GRPCStatus(code: 1, message: "the call was given up"))
        if let call = calls.removeValue(forKey: id), call.withheld > 0 {
            session?.consume(call.stream, call.withheld)
            flush()
        }
        closeIfDone()
    }

    private func finish(_ id: UInt64, _ outcome: GRPCStatus) {
        calls[id]?.outcome = outcome
        wake(id)
    }

    private func wake(_ id: UInt64) {
        calls[id]?.reader?.resume()
        calls[id]?.reader = nil
    }

    private func submit(_ id: UInt64) -> Bool {
        guard let call = calls[id], call.outcome == nil else { return true }
        guard let stream = session?.open(call.fields, body: call.body) else { return false }
        calls[id]?.stream = stream
        calls[id]?.fields = []
        calls[id]?.body = []
        byStream[stream] = id
        return true
    }

    // MARK: The connection

    /// Ends the connection; every call on it fails as unavailable.
    func fail(_ why: String) {
        guard phase != .over else { return }
        phase = .over
        stream?.close()
        stream = nil
        byStream = [:]
        for (id, call) in calls where call.outcome == nil {
            finish(id, GRPCStatus(code: 14, message: "\(name): \(why)"))
        }
    }

    private func closeIfDone() {
        if phase == .goingAway && byStream.isEmpty { fail("the server is going away") }
    }

    private func run() async {
        let opened: any ByteStream
        do {
            opened = try await connect()
        } catch {
            return fail("\(error)")
        }
        guard phase == .connecting else { return opened.close() }
        guard session != nil else {
            opened.close()
            return fail("there is no memory for a session")
        }
        stream = opened
        phase = .open
        for id in calls.keys.sorted() where !submit(id) {
            finish(id, GRPCStatus(code: 14, message: "\(name) takes no more calls"))
        }
        flush()
        while phase == .open || phase == .goingAway {
            do {
                let bytes = try await opened.read(atMost: HTTPBounds.read)
                if bytes.isEmpty { return fail("the server closed the connection") }
                guard let events = session?.receive(bytes) else { return fail("the server does not speak HTTP/2") }
                for event in events { handle(event) }
                flush()
                if session?.isOver == true { return fail("the connection has ended") }
                closeIfDone()
            } catch {
                return fail("\(error)")
            }
        }
    }

    /// Sends what the session has to send. One task writes at a time; the others leave their bytes to it.
    private func flush() {
        guard !isWriting, let stream else { return }
        guard let first = session?.output() else { return fail("the session is broken") }
        if first.isEmpty { return }
        isWriting = true
        world.spawn { await self.write(first, to: stream) }
    }

    private func write(_ first: [UInt8], to stream: any ByteStream) async {
        var bytes = first
        while !bytes.isEmpty {
            do {
                try await stream.write(bytes)
            } catch {
                isWriting = false
                return fail("\(error)")
            }
            bytes = session?.output() ?? []
        }
        isWriting = false
    }

    // MARK: What the server says

    private func handle(_ event: HTTP2Session.Event) {
        switch event {
        case .field(let stream, let name, let value):
            guard let id = byStream[stream] else { return }
            switch name {
            case ":status": calls[id]?.httpStatus = Int(value)
            case "grpc-status": calls[id]?.grpcStatus = Int(value) ?? 2
            case "grpc-message": calls[id]?.grpcMessage = PercentCoding.decode(value)
            default: break
            }
        case .data(let stream, let bytes): receive(stream, bytes)
        case .closed(let stream, let error):
            guard let id = byStream.removeValue(forKey: stream), let call = calls[id] else { return }
            finish(id, Self.outcome(of: call, error: error))
        case .goingAway:
            if phase == .open { phase = .goingAway }
        }
    }

    private func receive(_ stream: Int32, _ bytes: [UInt8]) {
        // Taken out of the table, so that the message that grows in it is not copied for each piece.
        guard let id = byStream[stream], var call = calls.removeValue(forKey: id) else {
            session?.consume(stream, bytes.count)
            return
        }
        var broken: GRPCStatus?
        do throws(GRPCStatus) {
            let messages = try call.deframer.push(bytes)
            call.messages += messages
            call.queued += messages.reduce(0) { $0 + $1.count }
        } catch {
            broken = error
        }
        if broken != nil || call.queued < Self.queueLimit {
            session?.consume(stream, bytes.count)
        } else {
            call.withheld += bytes.count
        }
        calls[id] = call
        if let broken { end(id, broken) } else { wake(id) }
    }

    private static func outcome(of call: Call, error: UInt32) -> GRPCStatus {
        if let code = call.grpcStatus {
            if code == 0 && call.deframer.isInMessage {
                return GRPCStatus(code: 13, message: "the answer ended in the middle of a message")
            }
            return GRPCStatus(code: code, message: call.grpcMessage)
        }
        if let status = call.httpStatus, status != 200 {
            return GRPCStatus(code: GRPCText.code(httpStatus: status), message: "HTTP status \(status)")
        }
        if error != 0 {
            return GRPCStatus(code: GRPCText.code(reset: error), message: "the server reset the call (\(error))")
        }
        return GRPCStatus(code: 13, message: "the server ended the call without a status")
    }
}
