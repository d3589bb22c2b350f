internal import CNGHTTP2
internal import HTTPTypes
internal import MartletBase

/// An HTTP/2 connection of ordinary HTTP: what server and client share.
class WebLink: HTTP2Link, @unchecked Sendable {
    /// Exchanges by their stream.
    final var streams: [Int32: WebStream] = [:]
    /// Bytes of one message that wait for the peer before its writer has to wait.
    static let queueLimit = 64 * 1024

    /// Whether the window of the whole connection is given back before a stream's reader has taken what came: one
    /// reader that is slow must not hold up the others then.
    var sharesWindow: Bool { false }
    /// Bytes of a trailer section.
    var trailerLimit: Int { HTTPBounds.trailers }
    /// An exchange is over, and was taken out of the table.
    func finished(_ stream: WebStream, error: UInt32) {}

    // MARK: In

    override func received(
        _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream
    ) -> Bool {
        guard let stream = stream as? WebStream else { return true }
        guard stream.hasHead else { return stream.head.add(name, value) }
        if stream.trailers == nil { stream.trailers = WebHead(limit: trailerLimit) }
        return stream.trailers?.add(name, value) ?? true
    }

    override func received(_ bytes: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream) {
        guard let stream = stream as? WebStream else { return }
        stream.bodyLeft -= bytes.count
        if stream.bodyLeft < 0 { overrun(stream) }
        guard !stream.isUnread, !stream.isOver else { return give(stream, bytes.count) }
        stream.incoming.append(bytes)
        if sharesWindow { session?.consumeConnection(bytes.count) }
        wakeReader(stream)
    }

    /// The body is over its limit.
    func overrun(_ stream: WebStream) {}

    override func receivedEnd(of stream: HTTP2Stream) {
        guard let stream = stream as? WebStream else { return }
        stream.isReadToEnd = true
        wakeReader(stream)
    }

    /// Gives both windows back what nobody reads.
    private func give(_ stream: WebStream, _ count: Int) {
        if count > 0 { session?.consume(stream.id, count) }
    }

    /// Gives the windows back what was read.
    private func taken(_ stream: WebStream, _ count: Int) {
        if sharesWindow { session?.consumeStream(stream.id, count) } else { session?.consume(stream.id, count) }
        if session?.wantsWrite == true { wakeWriter() }
    }

    /// Nobody wants the rest of the body.
    final func stopReading(_ stream: WebStream) {
        stream.isUnread = true
        let count = stream.incoming.count
        stream.incoming.removeAll()
        if count > 0 { taken(stream, count) }
    }

    /// All of a body that has come whole; nil for one that is still coming.
    final func bodyAtHand(_ stream: WebStream) -> [UInt8]? {
        guard stream.isReadToEnd, stream.failure == nil else { return nil }
        let bytes = stream.incoming.takeAll()
        if !bytes.isEmpty { taken(stream, bytes.count) }
        return bytes
    }

    private enum Step: Sendable {
        case piece([UInt8])
        case end
        case failed(any Error)
        case wait
    }

    private func step(_ stream: WebStream) -> Step {
        if let piece = stream.incoming.popFirst() {
            taken(stream, piece.count)
            return .piece(piece)
        }
        if let failure = stream.failure { return .failed(failure) }
        return stream.isReadToEnd ? .end : .wait
    }

    /// The next piece of the body; nil at its end.
    /// - Throws: why it is not whole, or `CancellationError`.
    final func nextPiece(_ stream: WebStream) async throws -> [UInt8]? {
        while true {
            switch locked({ step(stream) }) {
            case .piece(let piece): return piece
            case .end: return nil
            case .failed(let error): throw error
            case .wait: break
            }
            try await awaitPeer(stream) { $0.incoming.count > 0 || $0.isReadToEnd }
        }
    }

    /// Waits until something that the peer sends makes `condition` true, or the exchange is over.
    final func awaitPeer(_ stream: WebStream, _ condition: (WebStream) -> Bool) async throws {
        try Task.checkCancellation()
        let isAlone = await park(wake: { self.wakeReader(stream) }) { waiting in
            if stream.reader != nil { return false }
            if Task.isCancelled || condition(stream) || stream.failure != nil {
                waiting.resume()
            } else {
                stream.reader = waiting
                stream.readsSince = self.world.now()
            }
            return true
        }
        try Task.checkCancellation()
        guard isAlone else { throw NetworkError.protocolViolation("two tasks read one body") }
    }

    final func wakeReader(_ stream: WebStream) {
        stream.reader?.resume()
        stream.reader = nil
        stream.readsSince = nil
    }

    /// What came behind the body; nil when nothing did, or nothing that is good.
    final func trailers(of stream: WebStream) -> HTTPFields? {
        locked { stream.trailers.flatMap { try? $0.trailers() } }
    }

    // MARK: Out

    /// Sends pieces, waiting for room.
    /// - Throws: why nobody takes them, or `CancellationError`.
    final func write(_ pieces: [[UInt8]], _ stream: WebStream) async throws {
        while true {
            let failure: (any Error)? = locked {
                if stream.isOver || stream.isSent { return stream.failure ?? NetworkError.closed }
                return nil
            }
            if let failure { throw failure }
            try Task.checkCancellation()
            let isQueued = locked {
                guard !stream.isOver, stream.outgoing.count < Self.queueLimit else { return false }
                queue(stream, pieces)
                return true
            }
            if isQueued { break }
            await awaitRoom(stream)
        }
        // A slow peer slows its writer down, also behind large pieces.
        while locked({ !stream.isOver && stream.outgoing.count >= Self.queueLimit }) {
            try Task.checkCancellation()
            await awaitRoom(stream)
        }
    }

    private func awaitRoom(_ stream: WebStream) async {
        _ = await park(wake: { self.wakeSender(stream) }) { waiting in
            if Task.isCancelled || stream.isOver || stream.outgoing.count < Self.queueLimit || stream.writer != nil {
                waiting.resume()
            } else {
                stream.writer = waiting
            }
            return true
        }
    }

    /// Adds to what is sent. Under the lock.
    final func queue(_ stream: WebStream, _ pieces: [[UInt8]]) {
        for piece in pieces { stream.outgoing.append(piece) }
        if stream.writesSince == nil && stream.outgoing.count > 0 { stream.writesSince = world.now() }
        session?.resume(stream)
        wakeWriter()
    }

    /// Nothing follows but these fields. Under the lock.
    final func endSending(_ stream: WebStream, _ trailers: HTTPFields?) {
        if stream.isOver || stream.isSent { return }
        stream.isSent = true
        stream.trailersToSend = trailers
        session?.resume(stream)
        wakeWriter()
    }

    override func submitTrailers(for stream: HTTP2Stream) -> Bool {
        guard let trailers = (stream as? WebStream)?.trailersToSend, !trailers.isEmpty else { return false }
        HTTP2Fields(trailers: trailers).lend { session?.trail($0, stream) }
        return true
    }

    override func sent(_ count: Int, of stream: HTTP2Stream) {
        guard let stream = stream as? WebStream else { return }
        stream.writesSince = stream.outgoing.count > 0 ? world.now() : nil
        if stream.outgoing.count < Self.queueLimit { wakeSender(stream) }
    }

    final func wakeSender(_ stream: WebStream) {
        stream.writer?.resume()
        stream.writer = nil
    }

    // MARK: The end of an exchange

    override func closed(_ stream: HTTP2Stream, error: UInt32) {
        guard let stream = stream as? WebStream, streams.removeValue(forKey: stream.id) != nil else { return }
        finish(stream, isCut(stream, error) ? StreamReset(code: error) : nil, error)
    }

    /// Whether an exchange whose stream was closed with this error code has not come to its end.
    func isCut(_ stream: WebStream, _ error: UInt32) -> Bool { error != 0 || !stream.isReadToEnd }

    /// Gives an exchange up: its stream is reset. Under the lock.
    final func abort(_ stream: WebStream, _ failure: any Error, _ error: nghttp2_error_code = NGHTTP2_CANCEL) {
        guard streams.removeValue(forKey: stream.id) != nil else { return finish(stream, failure, error.rawValue) }
        session?.reset(stream, error)
        wakeWriter()
        finish(stream, failure, error.rawValue)
    }

    private func finish(_ stream: WebStream, _ failure: (any Error)?, _ error: UInt32) {
        if stream.isOver { return }
        stream.isOver = true
        if stream.failure == nil { stream.failure = failure }
        // What came whole stays its reader's; of what did not, nobody needs to see more.
        if stream.failure != nil || stream.isUnread { stopReading(stream) }
        stream.outgoing.removeAll()
        stream.isSent = true
        stream.writesSince = nil
        wakeReader(stream)
        wakeSender(stream)
        finished(stream, error: error)
    }

    /// Ends every exchange. Under the lock.
    final func finishAll(_ failure: any Error) {
        let lost = streams
        streams = [:]
        for (_, stream) in lost.sorted(by: { $0.key < $1.key }) { finish(stream, failure, 0) }
    }

    override func lost(_ why: String) { finishAll(NetworkError.closed) }
}
