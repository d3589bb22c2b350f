internal import HTTPTypes
internal import MartletBase
internal import Synchronization

/// A kept connection ended before any byte of an answer: the server may just have closed it for idleness.
struct StaleConnection: Error, Sendable {
    var cause: any Error
}

/// One connection of a client. Closes its stream when nobody holds it any more.
final class ClientConnection: Sendable {
    let stream: any ByteStream
    let inbound: Inbound
    private let world: any World

    private struct Upload: Sendable {
        var isOver = true
        var failure: (any Error)?
        var task: Task<Void, Never>?
    }
    private let upload = Mutex(Upload())

    init(_ stream: any ByteStream, in world: any World) {
        self.stream = stream
        self.world = world
        inbound = Inbound(stream, in: world)
    }

    deinit { close() }

    /// Closes the connection; what is being sent is given up.
    func close() {
        stream.close()
        upload.withLock { $0.task }?.cancel()
    }

    /// Whether the request's body has gone out whole.
    var isUploaded: Bool { upload.withLock { $0.isOver && $0.failure == nil } }
    /// What the body's own stream threw.
    var uploadFailure: (any Error)? { upload.withLock { $0.failure } }

    // MARK: The request

    /// Sends a request. A small body goes out with the head; any other goes out from a task of its own, so that an
    /// early answer (413, say) is read while it does.
    func start(_ head: HTTPRequest, _ body: RequestBody, defaultHost: String) async throws {
        switch body {
        case .bytes(let bytes):
            let framing: BodyFraming = bytes.isEmpty ? .none : .length(bytes.count)
            let lines = try HeadWriter.request(head, framing: framing, defaultHost: defaultHost)
            guard bytes.count > HTTPBounds.joinedBody else { return try await write(lines + bytes) }
            try await write(lines)
            send { write in try await write(bytes) }
        case .stream(let next):
            let length = head.headerFields[.contentLength].flatMap { Int($0) }
            let framing: BodyFraming = length.map { .length($0) } ?? .chunked
            try await write(HeadWriter.request(head, framing: framing, defaultHost: defaultHost))
            send { write in
                var left = length ?? .max
                while let piece = try await next() {
                    if piece.isEmpty { continue }
                    left -= piece.count
                    guard left >= 0 else { break }
                    try await write(framing == .chunked ? HeadWriter.chunk(piece) : piece)
                }
                guard length == nil || left == 0 else {
                    throw NetworkError.protocolViolation("a body has not the length that its head names")
                }
                if framing == .chunked { try await write(HeadWriter.lastChunk) }
            }
        }
    }

    /// A write that fails is not yet the end: the server may have answered before it stopped reading.
    private func write(_ bytes: [UInt8]) async throws {
        do {
            try await stream.write(bytes)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            upload.withLock { $0.isOver = false }
        }
    }

    private func send(
        _ produce: @escaping @Sendable (_ write: @Sendable ([UInt8]) async throws -> Void) async throws -> Void
    ) {
        upload.withLock { $0.isOver = false }
        // A peer may take a long body as slowly as it likes: the kernel cannot tell that from silence.
        stream.limitSilence(.zero)
        let stream = self.stream
        // Holds the connection weakly: who reads the answer owns it.
        let task = world.spawn { [weak self] in
            do {
                try await produce { bytes in
                    do { try await stream.write(bytes) } catch { throw WriteFailed() }
                }
                self?.upload.withLock { $0.isOver = true }
            } catch is WriteFailed {
                return
            } catch {
                self?.upload.withLock { $0.failure = error }
                stream.close()
            }
        }
        upload.withLock { $0.task = task }
    }

    private struct WriteFailed: Error {}

    // MARK: The answer

    /// The head of the answer, after those that only inform (1xx).
    func finalHead(to method: HTTPRequest.Method) async throws -> ResponseHead {
        do {
            guard try await inbound.awaitBytes() else { throw HTTPError.unexpectedEnd }
        } catch {
            throw StaleConnection(cause: error)
        }
        for _ in 0..<HTTPBounds.informational {
            guard let head = try await inbound.responseHead(to: method) else { throw HTTPError.unexpectedEnd }
            let code = head.response.status.code
            if code >= 200 || code == 101 { return head }
        }
        throw HTTPError.malformed("too many informational answers")
    }
}

/// Reads an answer's body and gives the connection back at its end. Dropped before that, it closes the connection.
final class AnswerReader: Sendable {
    private let connection: ClientConnection
    private let release: @Sendable () -> Void
    private let isOver = Atomic<Bool>(false)

    init(_ connection: ClientConnection, release: @escaping @Sendable () -> Void) {
        self.connection = connection
        self.release = release
    }

    deinit {
        if !isOver.load(ordering: .acquiring) { connection.close() }
    }

    /// The next piece; nil at the end.
    func next() async throws -> [UInt8]? {
        if isOver.load(ordering: .acquiring) { return nil }
        let connection = self.connection
        do {
            let piece = try await withTaskCancellationHandler {
                try await connection.inbound.nextPiece()
            } onCancel: {
                connection.close()
            }
            if connection.inbound.bodyIsDone { finish() }
            return piece
        } catch {
            connection.close()
            throw Task.isCancelled ? CancellationError() : connection.uploadFailure ?? error
        }
    }

    /// The body has ended: the connection is free, unless its request is still going out.
    func finish() {
        guard !isOver.exchange(true, ordering: .acquiringAndReleasing) else { return }
        if connection.isUploaded { release() } else { connection.close() }
    }
}

/// The idle connections of one client, those used longest ago first. One that its server ends is closed and forgotten
/// at once; one that nobody needed for ``HTTPBounds/clientIdle`` at the next use of the pool.
final class ConnectionPool: EndWatcher {
    private struct Idle: Sendable {
        var connection: ClientConnection
        var since: MonotonicTime
    }
    private let limit: Int
    private let world: any World
    private struct State {
        var idle: [Idle] = []
        var isOver = false
    }
    private let state = Mutex(State())

    init(limit: Int, world: any World) {
        self.limit = limit
        self.world = world
    }

    /// How many connections are kept.
    var count: Int { state.withLock { $0.idle.count } }

    /// The connection that was used last, if it is still as it was left.
    func take() -> ClientConnection? {
        dropExpired()
        while let connection = state.withLock({ $0.idle.popLast()?.connection }) {
            connection.inbound.stopWatching()
            if connection.inbound.isFresh { return connection }
            connection.close()
        }
        return nil
    }

    /// Keeps a connection whose exchange has ended, in place of the oldest when there are too many.
    func keep(_ connection: ClientConnection) {
        dropExpired()
        guard limit > 0, connection.inbound.isFresh else { return connection.close() }
        // The pool is held so by what it holds itself, until that is taken or ends.
        connection.inbound.watchForEnd(telling: self)
        let entry = Idle(connection: connection, since: world.now())
        let dropped = state.withLock { state -> Idle? in
            if state.isOver { return entry }
            state.idle.append(entry)
            return state.idle.count > limit ? state.idle.removeFirst() : nil
        }
        dropped?.connection.close()
        // Its end may have come before it stood among the others.
        if connection.inbound.isOver { ended(connection.inbound) }
    }

    /// Closes a connection if it is idle; one that somebody has taken is theirs.
    func ended(_ inbound: Inbound) {
        let dropped = state.withLock { state in
            state.idle.firstIndex { $0.connection.inbound === inbound }.map { state.idle.remove(at: $0) }
        }
        dropped?.connection.close()
    }

    private func dropExpired() {
        let now = world.now()
        let expired = state.withLock { state in
            let expired = state.idle.prefix { now - $0.since >= HTTPBounds.clientIdle }
            state.idle.removeFirst(expired.count)
            return expired
        }
        for entry in expired { entry.connection.close() }
    }

    /// Closes all of them, and keeps none from now on: answers that are still coming give theirs back later.
    func end() {
        state.withLock { $0.isOver = true }
        closeAll()
    }

    /// Closes all of them.
    func closeAll() {
        let all = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for entry in all { entry.connection.close() }
    }
}
