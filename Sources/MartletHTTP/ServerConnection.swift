internal import HTTPTypes
internal import MartletBase
internal import Synchronization

/// One connection of a server: reads a request, lets the handler answer, writes the answer, and so on.
final class ServerConnection: Sendable {
    private struct State {
        /// Counts requests, so that what a handler kept of an old one does not touch a new one.
        var exchange: UInt64 = 0
        var awaitsContinue = false
    }
    private let state = Mutex(State())
    private let stream: any ByteStream
    private let inbound: Inbound
    private let peer: Peer
    private let record: ServerRecord
    private let core: ServerCore

    /// - Parameter first: bytes that were read already.
    init(_ stream: any ByteStream, first: [UInt8] = [], peer: Peer, record: ServerRecord, core: ServerCore) {
        self.stream = stream
        self.peer = peer
        self.record = record
        self.core = core
        inbound = Inbound(stream, first: first, in: core.world)
    }

    /// Serves until the client leaves, a limit is hit, or the server stops.
    func run() async {
        var idle = core.limits.headTimeout
        let lane = plainLane()
        defer { record.endWatching() }
        while !core.isStopping || record.isFresh {
            record.enter(.idle, for: idle)
            idle = core.limits.idleTimeout
            var begun: BegunExchange?
            if let lane {
                guard case .handling(let exchange) = await lane.run() else { break }
                begun = exchange
            }
            do {
                guard try await inbound.awaitBytes() else { break }
                record.enter(.head, for: core.limits.headTimeout)
                let scheme = peer.isSecure ? "https" : "http"
                guard let head = try await inbound.requestHead(limit: core.limits.head, scheme: scheme) else { break }
                record.enter(.busy, for: nil)
                guard await serve(head, begun) else { break }
            } catch {
                await refuse(error)
                break
            }
        }
        stream.close()
    }

    /// The short cut, where there is one.
    private func plainLane() -> PlainLane? {
        guard let direct = stream.direct, direct.isHere, let way = core.handler.plainWay(for: peer) else {
            return nil
        }
        return PlainLane(inbound, direct, way, record, core)
    }

    // MARK: One request

    /// Whether the connection can take another request.
    /// - Parameter begun: what a lane has done for it already.
    private func serve(_ head: RequestHead, _ begun: BegunExchange?) async -> Bool {
        let number = state.withLock { state in
            state.exchange &+= 1
            return state.exchange
        }
        if case .length(let length) = head.framing, length > core.limits.body {
            await refuse(HTTPError.bodyTooLarge(limit: core.limits.body))
            return false
        }
        inbound.beginBody(head.framing, limit: core.limits.body)
        let body: RequestBody
        if let bytes = try? inbound.bodyAtHand() {
            body = .bytes(bytes)
        } else {
            state.withLock { $0.awaitsContinue = head.expectsContinue }
            body = .stream { try await self.nextPiece(of: number) }
        }
        var request = Request(head: head.request, body: body, peer: peer)
        request.begun = begun
        let response = await core.handler.handle(request)
        do {
            guard try await answer(response, to: head) else {
                // The client may still be sending, and reads its answer after that.
                if !inbound.bodyIsDone { await linger() }
                return false
            }
        } catch {
            return false
        }
        return await finishBody()
    }

    private func nextPiece(of number: UInt64) async throws -> [UInt8]? {
        let (isNow, awaitsContinue) = state.withLock { state in
            guard number == state.exchange else { return (false, false) }
            defer { state.awaitsContinue = false }
            return (true, state.awaitsContinue)
        }
        guard isNow else { throw NetworkError.closed }
        if awaitsContinue {
            try await stream.write(HeadWriter.proceed)
        }
        record.limit(core.limits.idleTimeout)
        defer { record.limit(nil) }
        return try await inbound.nextPiece()
    }

    /// Gets what the handler left of the body out of the way; false when that is too much.
    private func finishBody() async -> Bool {
        let awaitsContinue = state.withLock { state in
            state.exchange &+= 1
            return state.awaitsContinue
        }
        if inbound.bodyIsDone { return true }
        // A client that still waits for 100 will not send its body now, or it will: nobody can tell.
        guard !awaitsContinue else {
            await linger()
            return false
        }
        record.limit(core.limits.headTimeout)
        if (try? await inbound.drain(limit: HTTPBounds.drain)) == true { return true }
        await linger()
        return false
    }

    // MARK: The answer

    /// Writes the answer; false when the connection ends with it.
    private func answer(_ response: Response, to head: RequestHead) async throws -> Bool {
        let willDrain = inbound.bodyIsDone || state.withLock { !$0.awaitsContinue }
        let keeps = head.keepAlive && willDrain && !core.isStopping && !record.isRetiring
        let connection: StaticString? = keeps ? (head.isOld ? "keep-alive" : nil) : "close"
        let code = response.head.status.code
        let hasNoBody = head.request.method == .head || code < 200 || code == 204 || code == 304
        switch response.body {
        case .upgrade(let run):
            try await upgrade(response.head, run)
            return false
        case .bytes(let bytes):
            var length: Int? = bytes.count
            if hasNoBody {
                // What the body would have been is the handler's to say; 204 and 1xx never have a length.
                let named = Self.contentLength(response.head)
                length = code < 200 || code == 204 ? nil : named ?? (code == 304 ? nil : bytes.count)
            }
            try await write(
                response.head, hasNoBody ? [] : bytes, length: length, connection: connection)
            return keeps
        case .stream(let produce):
            let length = Self.contentLength(response.head)
            if hasNoBody {
                let isChunked = length == nil && !head.isOld && head.request.method == .head && code != 204
                try await write(
                    response.head, [], length: code == 204 ? nil : length, isChunked: isChunked,
                    connection: connection)
                return keeps
            }
            let endsWithConnection = length == nil && head.isOld
            let framing: BodyFraming = length.map { .length($0) } ?? (endsWithConnection ? .untilClose : .chunked)
            try await write(
                response.head, [], length: length, isChunked: framing == .chunked,
                connection: endsWithConnection ? "close" : connection)
            try await streamBody(produce, framing)
            if endsWithConnection { await stream.closeWrite() }
            return keeps && !endsWithConnection
        }
    }

    private static func contentLength(_ head: HTTPResponse) -> Int? {
        head.headerFields[.contentLength].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }

    private func write(
        _ head: HTTPResponse, _ body: [UInt8], length: Int?, isChunked: Bool = false, connection: StaticString?
    ) async throws {
        let joins = body.count <= HTTPBounds.joinedBody
        var bytes = HeadWriter.response(
            head, length: length, isChunked: isChunked, connection: connection, date: core.dateLine(),
            reserving: joins ? body.count : 0)
        if joins { bytes += body }
        record.limit(core.limits.idleTimeout)
        defer { record.limit(nil) }
        try await stream.write(bytes)
        if !joins { try await stream.write(body) }
    }

    /// Lets the handler write the body. Its task is cancelled when the client goes away or the server stops.
    private func streamBody(
        _ produce: @escaping @Sendable (any BodyWriter) async throws -> Void, _ framing: BodyFraming
    ) async throws {
        let writer = StreamWriter(stream, framing: framing, record: record, limit: core.limits.idleTimeout)
        // One task and no group: thousands of watches wait here.
        let body = Task.immediate(executorPreference: core.world.executor) { try await produce(writer) }
        // It ends in its own way then.
        inbound.watchForEnd(telling: BodyTask(body))
        let result = await withTaskCancellationHandler {
            await body.result
        } onCancel: {
            body.cancel()
        }
        inbound.stopWatching()
        try result.get()
        try await writer.finish()
    }

    private func upgrade(_ head: HTTPResponse, _ run: @Sendable (any ByteStream) async -> Void) async throws {
        if !inbound.bodyIsDone {
            guard try await inbound.drain(limit: HTTPBounds.drain) else { return }
        }
        state.withLock { $0.exchange &+= 1 }
        let isSwitch = head.status == .switchingProtocols
        try await write(head, [], length: nil, connection: isSwitch ? "Upgrade" : nil)
        record.limit(nil)
        await run(UpgradedStream(stream, inbound))
    }

    // MARK: Refusals

    /// Tells the client why the server ends the connection, when it can still listen.
    private func refuse(_ error: any Error) async {
        guard let status = Refusal.status(for: error) else { return }
        record.enter(.busy, for: HTTPBounds.linger)
        guard (try? await stream.write(Refusal.bytes(status, "\(error)", by: core.handler))) != nil else { return }
        await linger()
    }

    /// Ends our side and reads on for a moment: closing with unread bytes would reset the connection, and the
    /// client would lose the answer.
    private func linger() async {
        record.enter(.busy, for: HTTPBounds.linger)
        await stream.closeWrite()
        let (world, end) = (core.world, core.world.now() + HTTPBounds.longestLinger)
        await inbound.discard(limit: HTTPBounds.lingerBytes) { [record] in
            record.limit(HTTPBounds.linger)
            return world.now() < end
        }
    }
}

/// Gives an answer's body up when its client has gone.
private final class BodyTask: EndWatcher {
    private let task: Task<Void, any Error>
    init(_ task: Task<Void, any Error>) { self.task = task }
    func ended(_ inbound: Inbound) { task.cancel() }
}

/// Frames a streamed body.
private final class StreamWriter: BodyWriter {
    private let stream: any ByteStream
    private let record: ServerRecord
    private let limit: Duration
    private let framing: BodyFraming
    private let state = Mutex((written: 0, isOver: false))

    init(_ stream: any ByteStream, framing: BodyFraming, record: ServerRecord, limit: Duration) {
        self.stream = stream
        self.framing = framing
        self.record = record
        self.limit = limit
    }

    func write(joining pieces: [[UInt8]]) async throws {
        let count = pieces.reduce(0) { $0 + $1.count }
        guard framing == .chunked, pieces.count > 1, count > 0, count <= HTTPBounds.copiedChunk else {
            for piece in pieces { try await write(piece) }
            return
        }
        try account(count)
        record.limit(limit)
        defer { record.limit(nil) }
        try await stream.write(HeadWriter.chunk(count) { for piece in pieces { $0 += piece } })
    }

    func write(_ bytes: [UInt8]) async throws {
        if bytes.isEmpty { return }
        try account(bytes.count)
        record.limit(limit)
        defer { record.limit(nil) }
        guard framing == .chunked else { return try await stream.write(bytes) }
        if bytes.count <= HTTPBounds.copiedChunk { return try await stream.write(HeadWriter.chunk(bytes)) }
        try await stream.write(HeadWriter.chunkHead(bytes.count))
        try await stream.write(bytes)
        try await stream.write(HeadWriter.chunkEnd)
    }

    private func account(_ count: Int) throws {
        let written = try state.withLock { state in
            if state.isOver { throw NetworkError.closed }
            state.written += count
            return state.written
        }
        if case .length(let length) = framing, written > length {
            throw NetworkError.protocolViolation("a body is longer than the content-length of its head")
        }
    }

    /// Ends the body.
    func finish() async throws {
        let written = state.withLock { state in
            state.isOver = true
            return state.written
        }
        switch framing {
        case .chunked: try await stream.write(HeadWriter.lastChunk)
        case .length(let length) where length != written:
            throw NetworkError.protocolViolation("a body is shorter than the content-length of its head")
        default: break
        }
    }
}
