internal import HTTPTypes
internal import MartletBase

/// The reading side of one connection: heads, bodies and, after an upgrade, plain bytes. Server and client share it.
///
/// A read of the stream is never cancelled to change plans, because bytes could be lost with it. While a peer's end
/// has to be noticed (a streamed answer, an idle connection), a read stays pending in the background, and who needs
/// bytes later waits for that one.
actor Inbound {
    private let stream: any ByteStream
    private let world: any World
    private var buffer = InputBuffer()
    private var decoder = BodyDecoder(.none, limit: 0)
    private var isReading = false
    private var hasEnded = false
    private var failure: (any Error)?
    /// Waits for bytes that the background read brings.
    private var reader: CheckedContinuation<Void, Never>?
    /// Waits for the peer's end.
    private var endWaiter: CheckedContinuation<Void, Never>?
    private var watchesEnd = false
    /// Told once of the end of an idle connection.
    private var idleEnd: (@Sendable () -> Void)?

    /// - Parameter first: bytes of the stream that were read already.
    init(_ stream: any ByteStream, first: [UInt8] = [], in world: any World) {
        self.stream = stream
        self.world = world
        if !first.isEmpty { buffer.append(first) }
    }

    // MARK: Bytes

    /// Whether nothing is unread.
    var isEmpty: Bool { buffer.isEmpty }
    /// Whether the peer has ended its side or the connection has failed.
    var isOver: Bool { hasEnded || failure != nil }

    /// Waits until there are unread bytes; false when the peer has ended its side instead.
    func awaitBytes() async throws -> Bool {
        while buffer.isEmpty {
            if try await !fill() { return false }
        }
        return true
    }

    /// Reads once; false at the peer's end.
    private func fill() async throws -> Bool {
        if let failure { throw failure }
        if hasEnded { return false }
        let before = buffer.count
        if isReading {
            guard reader == nil else { throw NetworkError.protocolViolation("two tasks read one HTTP connection") }
            await waitForBackground()
            try Task.checkCancellation()
        } else {
            await readOnce()
            if watchesEnd { readInBackground() }
        }
        if let failure { throw failure }
        return buffer.count > before || !hasEnded
    }

    private func waitForBackground() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { return continuation.resume() }
                reader = continuation
            }
        } onCancel: {
            world.spawn { await self.wakeReader() }
        }
    }

    private func wakeReader() {
        reader?.resume()
        reader = nil
    }

    private func readOnce() async {
        isReading = true
        do {
            let bytes = try await stream.read(atMost: HTTPBounds.read)
            if bytes.isEmpty { hasEnded = true } else { buffer.append(bytes) }
        } catch {
            failure = error
        }
        isReading = false
        wakeReader()
        if isOver {
            wakeEndWaiter()
            tellIdleEnd()
        }
    }

    // MARK: The peer's end

    /// Reads ahead in the background until the peer ends or ``HTTPBounds/readAhead`` bytes are unread.
    func watchForEnd() {
        watchesEnd = true
        readInBackground()
    }

    /// Watches an idle connection: `whenOver` is called once, when the peer ends its side or the connection fails
    /// before ``stopWatching()``.
    func watchWhileIdle(_ whenOver: @escaping @Sendable () -> Void) {
        idleEnd = whenOver
        if isOver { tellIdleEnd() } else { watchForEnd() }
    }

    private func tellIdleEnd() {
        let tell = idleEnd
        idleEnd = nil
        tell?()
    }

    /// Stops looking for the peer's end; a read that is pending stays so.
    func stopWatching() {
        watchesEnd = false
        idleEnd = nil
        wakeEndWaiter()
    }

    /// Returns when the peer has ended its side, the connection has failed, or the task is cancelled.
    func awaitEnd() async {
        // A loop, because the wake-up of an earlier wait's cancellation may come late and hit this one.
        while !isOver && !Task.isCancelled {
            watchForEnd()
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    if isOver || Task.isCancelled { return continuation.resume() }
                    endWaiter = continuation
                }
            } onCancel: {
                world.spawn { await self.stopWatching() }
            }
        }
        watchesEnd = false
    }

    private func wakeEndWaiter() {
        endWaiter?.resume()
        endWaiter = nil
    }

    private func readInBackground() {
        guard !isReading, !isOver, buffer.count < HTTPBounds.readAhead else { return }
        isReading = true
        world.spawn { await self.backgroundLoop() }
    }

    private func backgroundLoop() async {
        repeat {
            await readOnce()
        } while watchesEnd && !isOver && buffer.count < HTTPBounds.readAhead
    }

    // MARK: Heads

    /// The next request's head; nil when the peer ended its side before a first byte of it.
    func requestHead(limit: Int, scheme: String) async throws -> RequestHead? {
        skipEmptyLine()
        var scanner = HeadScanner()
        while true {
            if let length = try scanner.length(in: buffer, limit: limit) {
                let head = try RequestHead(buffer.bytes, buffer.start..<buffer.start + length, scheme: scheme)
                buffer.consume(length)
                return head
            }
            if try await !fill() {
                if buffer.isEmpty { return nil }
                throw HTTPError.unexpectedEnd
            }
            if buffer.count <= HTTPBounds.read { skipEmptyLine(ifUnseen: &scanner) }
        }
    }

    /// Some clients send an empty line after a body; RFC 9112, 2.2 wants it ignored.
    private func skipEmptyLine() {
        if buffer.count >= 2, buffer.bytes[buffer.start] == Characters.cr,
            buffer.bytes[buffer.start + 1] == Characters.lf
        {
            buffer.consume(2)
        }
    }

    private func skipEmptyLine(ifUnseen scanner: inout HeadScanner) {
        guard buffer.first == Characters.cr else { return }
        let before = buffer.count
        skipEmptyLine()
        if buffer.count != before { scanner = HeadScanner() }
    }

    /// The next answer's head; nil when the peer ended its side before a first byte of it.
    func responseHead(to method: HTTPRequest.Method) async throws -> ResponseHead? {
        var scanner = HeadScanner()
        while true {
            if let length = try scanner.length(in: buffer, limit: HTTPBounds.responseHead) {
                let head = try ResponseHead(buffer.bytes, buffer.start..<buffer.start + length, to: method)
                buffer.consume(length)
                return head
            }
            if try await !fill() {
                if buffer.isEmpty { return nil }
                throw HTTPError.unexpectedEnd
            }
        }
    }

    // MARK: Bodies

    /// The body that follows the head that was read.
    func beginBody(_ framing: BodyFraming, limit: Int) {
        decoder = BodyDecoder(framing, limit: limit)
    }

    /// Whether the body has been read to its end.
    var bodyIsDone: Bool { decoder.remaining == 0 }
    /// Whether the connection is as a new exchange wants it: open, with nothing unread.
    var isFresh: Bool { !isOver && buffer.isEmpty }

    /// The whole body, if it is here already; small bodies mostly are.
    func bodyAtHand() throws -> [UInt8]? {
        guard let length = decoder.remaining, buffer.count >= length else { return nil }
        if length == 0 { return [] }
        guard case .piece(let bytes) = try decoder.step(&buffer), try decoder.step(&buffer) == .end else {
            return nil
        }
        return bytes
    }

    /// The body's next piece; nil at its end.
    func nextPiece() async throws -> [UInt8]? {
        while true {
            switch try decoder.step(&buffer) {
            case .piece(let bytes): return bytes
            case .end: return nil
            case .needsMore:
                if try await !fill() { try decoder.finish() }
            }
        }
    }

    /// Reads on to the body's end and throws it away; false when more than `limit` bytes were left.
    func drain(limit: Int) async throws -> Bool {
        if let remaining = decoder.remaining, remaining > limit { return false }
        var left = limit
        while let piece = try await nextPiece() {
            left -= piece.count
            if left < 0 { return false }
        }
        return true
    }

    /// Throws away what comes until the peer's end, at most `limit` bytes.
    func discard(limit: Int) async {
        var left = limit
        while left > 0 {
            left -= buffer.count
            buffer.consume(buffer.count)
            guard (try? await fill()) == true else { return }
        }
    }

    // MARK: After an upgrade

    /// Plain bytes, those read ahead first.
    func read(atMost limit: Int) async throws -> [UInt8] {
        guard try await awaitBytes() else { return [] }
        return buffer.take(atMost: limit)
    }
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
