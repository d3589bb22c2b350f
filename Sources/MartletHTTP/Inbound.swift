internal import HTTPTypes
internal import MartletBase
internal import Synchronization

/// The reading side of one connection: heads, bodies and, after an upgrade, plain bytes. Server and client share it.
///
/// A read of the stream is never cancelled to change plans, because bytes could be lost with it. While a peer's end
/// has to be noticed (a streamed answer, an idle connection), a read stays pending in the background, and who needs
/// bytes later waits for that one.
///
/// A lock that is never held while waiting, and no actor: a request asks some twenty times, and each visit to an actor
/// is a job of its own.
final class Inbound: Sendable {
    private struct State: Sendable {
        var buffer = InputBuffer()
        var decoder = BodyDecoder(.none, limit: 0)
        /// Whether a read is under way, or about to be.
        var isReading = false
        var hasEnded = false
        var failure: (any Error)?
        /// Waits for bytes that the background read brings.
        var reader: CheckedContinuation<Void, Never>?
        var watchesEnd = false
        /// Told once of the peer's end.
        var watcher: (any EndWatcher)?
        /// Gets what comes, in place of the buffer.
        var diversion: (any Diversion)?

        var isOver: Bool { hasEnded || failure != nil }
        /// Whether there is room for what is read ahead.
        var readsAhead: Bool { !isOver && buffer.count < HTTPBounds.readAhead }
    }
    private let stream: any ByteStream
    /// The stream, when it does without tasks.
    private let direct: (any DirectStream)?
    private let world: any World
    private let state: Mutex<State>

    /// - Parameter first: bytes of the stream that were read already.
    init(_ stream: any ByteStream, first: [UInt8] = [], in world: any World) {
        self.stream = stream
        direct = stream.direct
        self.world = world
        var state = State()
        if !first.isEmpty { state.buffer.append(first) }
        self.state = Mutex(state)
    }

    // MARK: Bytes

    /// Whether nothing is unread.
    var isEmpty: Bool { state.withLock { $0.buffer.isEmpty } }
    /// Whether the peer has ended its side or the connection has failed.
    var isOver: Bool { state.withLock { $0.isOver } }

    /// Waits until there are unread bytes; false when the peer has ended its side instead.
    func awaitBytes() async throws -> Bool {
        while isEmpty {
            if try await !fill() { return false }
        }
        return true
    }

    /// How more bytes are to be had.
    private enum Way { case none, ownRead, pendingRead }

    /// Reads once; false at the peer's end.
    private func fill() async throws -> Bool {
        let (before, way) = try state.withLock { state -> (Int, Way) in
            if let failure = state.failure { throw failure }
            if state.hasEnded { return (0, .none) }
            if state.isReading {
                guard state.reader == nil else {
                    throw NetworkError.protocolViolation("two tasks read one HTTP connection")
                }
                return (state.buffer.count, .pendingRead)
            }
            state.isReading = true
            return (state.buffer.count, .ownRead)
        }
        switch way {
        case .none: return false
        case .ownRead where direct == nil:
            if await readOnce() { world.spawn { await self.backgroundLoop() } }
        case .ownRead, .pendingRead:
            if way == .ownRead { direct?.receive(for: self) }
            await waitForBackground(beyond: before)
            try Task.checkCancellation()
        }
        return try state.withLock { state in
            if let failure = state.failure { throw failure }
            return state.buffer.count > before || !state.hasEnded
        }
    }

    /// Returns when more than `count` bytes are unread, the connection is over or the task is cancelled.
    private func waitForBackground(beyond count: Int) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    let waits =
                        state.isReading && state.reader == nil && state.buffer.count <= count && !Task.isCancelled
                    if waits { state.reader = continuation }
                    return waits
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            let reader = state.withLock { $0.reader.take() }
            reader?.resume()
        }
    }

    /// Does the read that ``State/isReading`` tells of. True when another shall follow in the background; then it is
    /// under way already.
    private func readOnce() async -> Bool {
        do {
            return take(.success(try await stream.read(atMost: HTTPBounds.read)))
        } catch {
            return take(.failure(error))
        }
    }

    /// Takes in what a read brought. True when another shall follow.
    private func take(_ read: Result<[UInt8], any Error>) -> Bool {
        let (goesOn, reader, tell) = state.withLock { state in
            switch read {
            case .success(let bytes) where bytes.isEmpty: state.hasEnded = true
            case .success(let bytes): state.buffer.append(bytes)
            case .failure(let error): state.failure = error
            }
            state.isReading = state.watchesEnd && state.readsAhead
            return (state.isReading, state.reader.take(), state.isOver ? state.watcher.take() : nil)
        }
        reader?.resume()
        tell?.ended(self)
        return goesOn
    }

    // MARK: The peer's end

    /// Reads ahead in the background until the peer ends or ``HTTPBounds/readAhead`` bytes are unread.
    private func watchForEnd() {
        let starts = state.withLock { state in
            state.watchesEnd = true
            guard !state.isReading, state.readsAhead else { return false }
            state.isReading = true
            return true
        }
        guard starts else { return }
        if let direct { return direct.receive(for: self) }
        world.spawn { await self.backgroundLoop() }
    }

    /// Watches the peer while nobody reads: `watcher` is told once, when it ends its side or the connection fails
    /// before ``stopWatching()``. It is held until then.
    func watchForEnd(telling watcher: any EndWatcher) {
        let isOver = state.withLock { state in
            if !state.isOver { state.watcher = watcher }
            return state.isOver
        }
        if isOver { watcher.ended(self) } else { watchForEnd() }
    }

    /// Stops looking for the peer's end; a read that is pending stays so.
    func stopWatching() {
        state.withLock { state in
            state.watchesEnd = false
            state.watcher = nil
        }
    }

    private func backgroundLoop() async {
        while await readOnce() {}
    }

    // MARK: Heads

    /// The next request's head; nil when the peer ended its side before a first byte of it.
    func requestHead(limit: Int, scheme: String) async throws -> RequestHead? {
        _ = state.withLock { $0.buffer.skipEmptyLine() }
        var scanner = HeadScanner()
        while true {
            let head = try state.withLock { state -> RequestHead? in
                guard let length = try scanner.length(in: state.buffer, limit: limit) else { return nil }
                let range = state.buffer.start..<state.buffer.start + length
                let head = try RequestHead(state.buffer.bytes, range, scheme: scheme)
                state.buffer.consume(length)
                return head
            }
            if let head { return head }
            if try await !fill() {
                if isEmpty { return nil }
                throw HTTPError.unexpectedEnd
            }
            state.withLock { state in
                if state.buffer.count <= HTTPBounds.read, state.buffer.skipEmptyLine() { scanner = HeadScanner() }
            }
        }
    }

    /// The next answer's head; nil when the peer ended its side before a first byte of it.
    func responseHead(to method: HTTPRequest.Method) async throws -> ResponseHead? {
        var scanner = HeadScanner()
        while true {
            let head = try state.withLock { state -> ResponseHead? in
                guard let length = try scanner.length(in: state.buffer, limit: HTTPBounds.responseHead) else {
                    return nil
                }
                let range = state.buffer.start..<state.buffer.start + length
                let head = try ResponseHead(state.buffer.bytes, range, to: method)
                state.buffer.consume(length)
                return head
            }
            if let head { return head }
            if try await !fill() {
                if isEmpty { return nil }
                throw HTTPError.unexpectedEnd
            }
        }
    }

    // MARK: Bodies

    /// The body that follows the head that was read.
    func beginBody(_ framing: BodyFraming, limit: Int) {
        state.withLock { $0.decoder = BodyDecoder(framing, limit: limit) }
    }

    /// Whether the body has been read to its end.
    var bodyIsDone: Bool { state.withLock { $0.decoder.remaining == 0 } }
    /// Whether the connection is as a new exchange wants it: open, with nothing unread.
    var isFresh: Bool { state.withLock { !$0.isOver && $0.buffer.isEmpty } }

    /// The whole body, if it is here already; small bodies mostly are.
    func bodyAtHand() throws -> [UInt8]? {
        try state.withLock { state in
            guard let length = state.decoder.remaining, state.buffer.count >= length else { return nil }
            if length == 0 { return [] }
            guard case .piece(let bytes) = try state.decoder.step(&state.buffer),
                try state.decoder.step(&state.buffer) == .end
            else { return nil }
            return bytes
        }
    }

    /// The body's next piece; nil at its end.
    func nextPiece() async throws -> [UInt8]? {
        while true {
            switch try state.withLock({ try $0.decoder.step(&$0.buffer) }) {
            case .piece(let bytes): return bytes
            case .end: return nil
            case .needsMore:
                if try await !fill() { try state.withLock { try $0.decoder.finish() } }
            }
        }
    }

    /// Reads on to the body's end and throws it away; false when more than `limit` bytes were left.
    func drain(limit: Int) async throws -> Bool {
        if let remaining = state.withLock({ $0.decoder.remaining }), remaining > limit { return false }
        var left = limit
        while let piece = try await nextPiece() {
            left -= piece.count
            if left < 0 { return false }
        }
        return true
    }

    /// Throws away what comes until the peer's end, at most `limit` bytes.
    /// - Parameter onward: called before each read; false ends it.
    func discard(limit: Int, while onward: () -> Bool) async {
        var left = limit
        while left > 0, onward() {
            left -= state.withLock { state in
                defer { state.buffer.consume(state.buffer.count) }
                return state.buffer.count
            }
            guard (try? await fill()) == true else { return }
        }
    }

    // MARK: Past the buffer

    /// Lets what comes from now on go to somebody else, who asks for it by ``ask()``. False when it cannot be: tasks
    /// read this connection, somebody waits for it, or it is over.
    func divert(to diversion: any Diversion) -> Bool {
        state.withLock { state in
            guard direct?.isHere == true, !state.isOver, state.reader == nil, state.watcher == nil else {
                return false
            }
            state.diversion = diversion
            return true
        }
    }

    /// Asks for what comes next, unless that was done already.
    func ask() {
        let asks = state.withLock { state in
            defer { state.isReading = true }
            return !state.isReading
        }
        if asks { direct?.receive(for: self) }
    }

    /// What is unread, which is read with that.
    func takeUnread() -> [UInt8] { state.withLock { $0.buffer.take(atMost: .max) } }

    /// Puts bytes behind those that are unread.
    func addUnread(_ bytes: [UInt8]) { state.withLock { $0.buffer.append(bytes) } }

    /// Sends what the kernel takes without waiting; false when that is not all.
    func takesAtOnce(_ bytes: Span<UInt8>) -> Bool {
        guard let direct else { return false }
        do { return try direct.send(bytes) == nil } catch { return false }
    }

    /// Lets what comes go into the buffer again.
    func endDiversion() { state.withLock { $0.diversion = nil } }

    // MARK: After an upgrade

    /// Plain bytes, those read ahead first.
    func read(atMost limit: Int) async throws -> [UInt8] {
        guard try await awaitBytes() else { return [] }
        return state.withLock { $0.buffer.take(atMost: limit) }
    }
}

extension Inbound: StreamReceiver {
    func received(_ bytes: Span<UInt8>) {
        let diversion = state.withLock { state in
            if state.diversion != nil {
                state.isReading = false
                if bytes.isEmpty { state.hasEnded = true }
            }
            return state.diversion
        }
        if let diversion { return diversion.received(bytes, by: self) }
        if take(.success([UInt8](copying: bytes))) { direct?.receive(for: self) }
    }

    func failed(_ error: NetworkError) {
        let diversion = state.withLock { state in
            if state.diversion != nil {
                state.isReading = false
                state.failure = error
            }
            return state.diversion
        }
        if let diversion { return diversion.received(Span(), by: self) }
        _ = take(.failure(error))
    }
}

/// Who is told of the end of a connection. An object and no closure, which would be made each time.
protocol EndWatcher: AnyObject, Sendable {
    /// The peer has ended its side, or the connection has failed.
    func ended(_ inbound: Inbound)
}

/// Who gets a connection's bytes as they come, in place of its buffer.
protocol Diversion: AnyObject, Sendable {
    /// Bytes have come; none when the connection is over. They are gone when this returns.
    func received(_ bytes: Span<UInt8>, by inbound: Inbound)
}

/// A connection's bytes after an upgrade.
final class UpgradedStream: ByteStream {
    private let stream: any ByteStream
    private let inbound: Inbound
    /// Kept alive with the stream.
    private let owner: (any Sendable)?

    init(_ stream: any ByteStream, _ inbound: Inbound, owner: (any Sendable)? = nil) {
        self.stream = stream
        self.inbound = inbound
        self.owner = owner
    }

    deinit { stream.close() }

    var peer: Endpoint? { stream.peer }
    func read(atMost limit: Int) async throws -> [UInt8] { try await inbound.read(atMost: limit) }
    func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }
    func closeWrite() async { await stream.closeWrite() }
    func close() { stream.close() }
}

extension InputBuffer {
    /// Some clients send an empty line after a body; RFC 9112, 2.2 wants it ignored. True when there was one.
    fileprivate mutating func skipEmptyLine() -> Bool {
        guard count >= 2, self[0] == Characters.cr, self[1] == Characters.lf else { return false }
        consume(2)
        return true
    }
}
