internal import CNGHTTP2
internal import MartletBase
internal import Synchronization

/// One HTTP/2 connection: what carries its bytes, whatever its streams are for.
///
/// A lock guards it all, so that streams need no hop to an actor. Two tasks carry the bytes: the one that reads runs
/// what the bytes say; the one that writes is woken when there is something to send and comes behind all jobs that are
/// ready then, so what they send leaves in one write.
///
/// `@unchecked Sendable`: what can change is touched under `mutex` only. nghttp2's session is no exception.
class HTTP2Link: HTTP2SessionOwner, @unchecked Sendable {
    final let world: any World
    final let session: HTTP2Session?
    /// Why the connection is over; nil while it is not.
    final var failure: String?
    /// Tasks to be cancelled when the lock is free again: what they do then may want it.
    final var cancelled: [Task<Void, Never>] = []
    private let mutex = Mutex(())
    private var stream: (any ByteStream)?
    private var writer: UnsafeContinuation<Void, Never>?
    /// Whether there may be something to send.
    private var hasOutput = true

    init(in world: any World, role: HTTP2Session.Role, hasSession: Bool = true) {
        self.world = world
        session = hasSession ? HTTP2Session(role) : nil
        session?.owner = self
    }

    /// Runs `body` under the lock.
    final func locked<T: Sendable>(_ body: () -> T) -> T {
        var late: [Task<Void, Never>] = []
        let result = mutex.withLock { _ in
            let result = body()
            if !cancelled.isEmpty { swap(&late, &cancelled) }
            return result
        }
        for task in late { task.cancel() }
        return result
    }

    // MARK: For those with streams to fill in

    func opened(_ id: Int32) -> HTTP2Stream? { nil }
    func received(
        _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream
    ) -> Bool { true }
    func receivedHead(for stream: HTTP2Stream) {}
    func received(_ bytes: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream) {}
    func receivedEnd(of stream: HTTP2Stream) {}
    func closed(_ stream: HTTP2Stream, error: UInt32) {}
    func goingAway() {}
    func receivedFrame(_ kind: HTTP2FrameKind) {}
    func submitTrailers(for stream: HTTP2Stream) -> Bool { false }
    func sent(_ count: Int, of stream: HTTP2Stream) {}
    func answeredEarly(_ stream: HTTP2Stream) { session?.declineRest(of: stream) }
    /// A write begins or has ended.
    func writing(_ begins: Bool) {}
    /// Whether the connection shall end when nothing is left to send.
    var endsWhenSent: Bool { false }
    /// The connection is over: its streams are, too.
    func lost(_ why: String) {}
    /// Closes what carried the connection.
    func close(_ stream: any ByteStream) { stream.close() }

    // MARK: The connection

    /// Waits until the continuation that `place` puts somewhere is resumed. False when `place` refused it.
    /// - Parameter wake: resumes it under the lock, for a task that is cancelled.
    final func park(
        wake: @Sendable () -> Void, _ place: (UnsafeContinuation<Void, Never>) -> Bool
    ) async -> Bool {
        var isPlaced = true
        await withTaskCancellationHandler {
            await withUnsafeContinuation { waiting in
                isPlaced = locked { place(waiting) }
                if !isPlaced { waiting.resume() }
            }
        } onCancel: {
            locked { wake() }
        }
        return isPlaced
    }

    /// Takes what was received. Under the lock. False when the connection must end.
    final func receive(_ bytes: [UInt8]) -> Bool {
        guard let session, failure == nil, session.receive(bytes) else { return false }
        if session.wantsWrite { wakeWriter() } else if session.isOver { return false }
        return true
    }

    /// The connection is there: what waits goes out. Under the lock.
    final func attach(_ stream: any ByteStream) {
        self.stream = stream
        world.spawn { await self.write(to: stream) }
    }

    /// Ends the connection, and with it every stream.
    final func fail(_ why: String) { locked { end(why) } }

    /// As ``fail(_:)``, under the lock.
    final func end(_ why: String) {
        guard failure == nil else { return }
        failure = why
        if let stream { close(stream) }
        stream = nil
        lost(why)
        wakeWriter()
    }

    /// There is something to send. Under the lock.
    final func wakeWriter() {
        hasOutput = true
        writer?.resume()
        writer = nil
    }

    /// Writes what there is to write until the connection is over.
    private func write(to stream: any ByteStream) async {
        var bytes: [UInt8] = []
        while await outputIsReady() {
            // As few calls as needed: what becomes ready while a batch is written goes with the next.
            guard locked({ takeOutput(&bytes) }) else { return }
            if bytes.isEmpty {
                // The memory of a burst is kept until the burst is over.
                if bytes.capacity > HTTP2Session.keptOutput { bytes = [] }
                continue
            }
            do {
                try await stream.write(bytes)
            } catch {
                return fail("\(error)")
            }
            bytes.removeAll(keepingCapacity: true)
            locked { writing(false) }
        }
    }

    private func takeOutput(_ bytes: inout [UInt8]) -> Bool {
        guard failure == nil, let session else { return false }
        guard session.output(into: &bytes) else {
            end("the session is broken")
            return false
        }
        hasOutput = !bytes.isEmpty
        if hasOutput { writing(true) }
        return true
    }

    /// Waits until there is something to send; false when the connection is over.
    private func outputIsReady() async -> Bool {
        await withUnsafeContinuation { waiting in
            locked {
                guard failure == nil, let session, !hasOutput else { return waiting.resume() }
                if session.isOver || endsWhenSent { end("the connection has ended") } else { writer = waiting }
                if failure != nil { waiting.resume() }
            }
        }
        return locked { failure == nil }
    }
}
