internal import DequeModule
public import MartletBase
internal import Synchronization

/// TLS over a byte stream.
///
/// One task may read while another writes. Plaintext is decrypted and encrypted in memory under a lock that is never
/// held while waiting. Only writers send: each takes its turn, encrypts a batch and sends it before the next, so
/// ciphertext leaves in the order in which it was made. What reading makes us answer (a key update) waits for the
/// next write, as RFC 8446, 4.6.3 allows.
public final class TLSStream: ByteStream {
    /// The verified client certificate's subject (server side).
    public let peerCertificate: CertificateSubject?
    /// Whether the client showed a certificate that is no good, and was let in all the same (server side).
    public let peerIsUnverified: Bool
    /// The server name that the client named.
    public let serverName: String?
    /// The protocol agreed by ALPN.
    public let applicationProtocol: String?
    /// `TLSv1.2` or `TLSv1.3`.
    public let version: String

    private let transport: any ByteStream
    private let pump: Mutex<TLSPump>
    private let turn = Turn()
    private let cleanEnd = Atomic(false)
    private let isEnded = Atomic(false)

    /// TLS over `transport`, after the handshake.
    init(over transport: any ByteStream, pump: consuming TLSPump) {
        peerCertificate = pump.peerSubject
        peerIsUnverified = pump.peerIsUnverified
        serverName = pump.serverName
        applicationProtocol = pump.applicationProtocol
        version = pump.version
        self.transport = transport
        self.pump = Mutex(pump)
    }

    /// Whether the peer ended its side as TLS asks (close_notify). Counts when ``read(atMost:)`` has returned an
    /// empty array: false means that somebody in between may have cut the stream, so a body that is framed by the
    /// end of the stream must not be trusted to be whole.
    public var endedCleanly: Bool { cleanEnd.load(ordering: .acquiring) }

    public var peer: Endpoint? { transport.peer }

    /// The carrier's.
    public func limitSilence(_ limit: Duration) { transport.limitSilence(limit) }

    public func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            switch pump.withLock({ $0.read(atMost: limit) }) {
            case .bytes(let bytes): return bytes
            case .end:
                cleanEnd.store(true, ordering: .releasing)
                return []
            case .failed(let reason):
                await sendAlert()
                transport.close()
                throw NetworkError.protocolViolation(reason)
            case .wantsInput:
                let bytes = try await transport.read(atMost: TLSPump.inputSize)
                if bytes.isEmpty { return [] }
                pump.withLock { $0.feed(bytes) }
            }
        }
    }

    public func write(_ bytes: [UInt8]) async throws {
        await turn.take()
        defer { turn.pass() }
        var rest = bytes[...]
        while !rest.isEmpty {
            let batch = rest.prefix(TLSPump.batchSize)
            rest = rest.dropFirst(batch.count)
            let records = try seal(batch.span)
            do {
                try await transport.write(records)
            } catch {
                fail()
                throw error
            }
        }
    }

    /// The records that hold `batch`, after whatever else has to be sent first.
    private func seal(_ batch: Span<UInt8>) throws(NetworkError) -> [UInt8] {
        if isEnded.load(ordering: .acquiring) { throw .closed }
        let sealed: Result<[UInt8], NetworkError> = pump.withLock { pump in
            guard let records = pump.seal(batch) else { return .failure(.protocolViolation(pump.failure)) }
            return .success(records)
        }
        return try sealed.get()
    }

    public func closeWrite() async {
        await turn.take()
        defer { turn.pass() }
        guard !isEnded.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let output = pump.withLock { pump in
            pump.shutdown()
            return pump.takeOutput()
        }
        // When the peer is gone already there is nobody to tell.
        if !output.isEmpty { try? await transport.write(output) }
        await transport.closeWrite()
    }

    /// Tells the peer why reading failed, unless a writer is busy: the stream is closed anyway.
    private func sendAlert() async {
        guard turn.takeIfFree() else { return }
        defer { turn.pass() }
        isEnded.store(true, ordering: .releasing)
        let output = pump.withLock { $0.takeOutput() }
        if !output.isEmpty { try? await transport.write(output) }
    }

    public func close() { transport.close() }

    // MARK: Without a task

    /// Itself, where its carrier does without tasks.
    public var direct: (any DirectStream)? { transport.direct == nil ? nil : self }

    private struct Incoming {
        var receiver: (any StreamReceiver)?
        /// Whether somebody gives out what there is, and looks for a receiver when that is done.
        var isGiving = false
    }
    private let incoming = Mutex(Incoming())
}

extension TLSStream: DirectStream {
    /// The carrier's.
    public var isHere: Bool { transport.direct?.isHere ?? false }

    /// Decrypts what is here; the carrier is asked when that is nothing.
    public func receive(for receiver: any StreamReceiver) {
        // A receiver asks for more while it is given something: it gets that when it has returned.
        let gives = incoming.withLock { incoming in
            incoming.receiver = receiver
            defer { incoming.isGiving = true }
            return !incoming.isGiving
        }
        if gives { give() }
    }

    /// Gives out what is here to those who ask, and asks for more when nothing is.
    private func give() {
        while incoming.withLock({ incoming in
            incoming.isGiving = incoming.receiver != nil
            return incoming.isGiving
        }) {
            switch pump.withLock({ $0.read(atMost: TLSPump.inputSize) }) {
            case .bytes(let bytes): takeReceiver()?.received(bytes.span)
            case .end:
                cleanEnd.store(true, ordering: .releasing)
                takeReceiver()?.received(Span())
            case .failed(let reason):
                if isHere, turn.takeIfFree() {
                    isEnded.store(true, ordering: .releasing)
                    let output = pump.withLock { $0.takeOutput() }
                    _ = try? transport.direct?.send(output.span)
                    turn.pass()
                }
                transport.close()
                takeReceiver()?.failed(.protocolViolation(reason))
            case .wantsInput:
                incoming.withLock { $0.isGiving = false }
                transport.direct?.receive(for: self)
                return
            }
        }
    }

    private func takeReceiver() -> (any StreamReceiver)? { incoming.withLock { $0.receiver.take() } }

    /// Encrypts all of it; what the carrier does not take at once are records.
    public func send(_ bytes: Span<UInt8>) throws(NetworkError) -> (@Sendable () async throws -> Void)? {
        guard let direct = transport.direct, turn.takeIfFree() else {
            let bytes = [UInt8](copying: bytes)
            return { try await self.write(bytes) }
        }
        do {
            let records = try seal(bytes)
            guard let rest = try direct.send(records.span) else {
                turn.pass()
                return nil
            }
            return {
                defer { self.turn.pass() }
                do {
                    try await rest()
                } catch {
                    self.fail()
                    throw error
                }
            }
        } catch {
            fail()
            turn.pass()
            throw error
        }
    }

    /// Some records are lost, so that the peer could decrypt nothing after them.
    private func fail() {
        isEnded.store(true, ordering: .releasing)
        transport.close()
    }
}

extension TLSStream: StreamReceiver {
    /// The carrier's: ciphertext.
    public func received(_ bytes: Span<UInt8>) {
        if bytes.isEmpty {
            takeReceiver()?.received(bytes)
        } else {
            pump.withLock { $0.feed(bytes) }
            give()
        }
    }

    /// The carrier's.
    public func failed(_ error: NetworkError) { takeReceiver()?.failed(error) }
}

/// A lock for tasks: its holders follow each other in the order in which they asked.
///
/// The queue is as long as there are tasks that write to one stream: one, and one that closes it.
final class Turn: Sendable {
    private struct State {
        var isTaken = false
        var waiting: Deque<CheckedContinuation<Void, Never>> = []
    }
    private let state = Mutex(State())

    /// Waits for the turn.
    func take() async {
        if takeIfFree() { return }
        await withCheckedContinuation { continuation in
            let isOurs = state.withLock { state in
                if state.isTaken {
                    state.waiting.append(continuation)
                    return false
                }
                state.isTaken = true
                return true
            }
            if isOurs { continuation.resume() }
        }
    }

    /// Takes the turn when nobody has it.
    func takeIfFree() -> Bool {
        state.withLock { state in
            if state.isTaken { return false }
            state.isTaken = true
            return true
        }
    }

    /// Passes the turn on.
    func pass() {
        let next = state.withLock { state in
            if state.waiting.isEmpty { state.isTaken = false }
            return state.waiting.popFirst()
        }
        next?.resume()
    }
}
