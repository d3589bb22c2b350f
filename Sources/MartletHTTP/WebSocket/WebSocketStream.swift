public import MartletBase
internal import Synchronization

/// A WebSocket over a stream: pings are answered and closes returned here; messages are passed on as they come.
///
/// One task receives; any number may send. Nothing is queued: a slow peer slows who sends to it, and who does not
/// receive slows the peer.
public final class WebSocketStream: Sendable {
    private let stream: any ByteStream
    private let encoder: WebSocketEncoder
    private let decoder: Mutex<WebSocketDecoder>
    private let gate: WriteGate
    private let world: any World
    private let role: WebSocketRole
    private let hasSentClose = Atomic<Bool>(false)

    /// The WebSocket that `stream` has become.
    /// - Parameter limit: the longest message that is taken, in bytes.
    public init(_ stream: any ByteStream, role: WebSocketRole, limit: Int = .max, in world: any World) {
        self.stream = stream
        self.role = role
        self.world = world
        encoder = WebSocketEncoder(role: role)
        decoder = Mutex(WebSocketDecoder(role: role, limit: limit))
        gate = WriteGate(stream)
    }

    /// A piece of a message, as it comes; nil when the peer has closed the WebSocket, or its end.
    /// - Throws: ``WebSocketError`` (which the peer is told), or what the stream throws.
    public func receive() async throws -> WebSocketEvent? {
        while true {
            let event: WebSocketEvent?
            do {
                event = try decoder.withLock { try $0.next() }
            } catch {
                if let error = error as? WebSocketError { await close(code: error.code, reason: error.description) }
                throw error
            }
            switch event {
            case .piece: return event
            case .ping(let payload): try await write(.pong, payload)
            case .pong: continue
            case .close(let code, _):
                await close(code: code ?? 1000, reason: "")
                return nil
            case nil:
                let bytes = try await stream.read(atMost: HTTPBounds.read)
                if bytes.isEmpty { return nil }
                decoder.withLock { $0.feed(bytes) }
            }
        }
    }

    /// Sends a whole message.
    /// - Throws: what the stream throws, ``NetworkError/closed`` after a close.
    public func send(_ payload: [UInt8], isText: Bool = false) async throws {
        guard !hasSentClose.load(ordering: .acquiring) else { throw NetworkError.closed }
        try await write(isText ? .text : .binary, payload)
    }

    /// Asks whether the peer is there.
    public func ping() async throws { try await write(.ping, []) }

    /// Says why the WebSocket ends, once; the stream stays for the peer's last words.
    public func close(code: UInt16, reason: String) async {
        guard !hasSentClose.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let frame = encoder.close(code: code, reason: reason, mask: mask())
        try? await gate.write { frame }
        if role == .server { await stream.closeWrite() }
    }

    /// Says why the WebSocket ends, waits a moment for the peer to end, too, and ends the connection.
    public func end(code: UInt16, reason: String) async {
        let alarm = world.spawn { [stream, world] in
            try? await world.sleep(for: HTTPBounds.linger)
            stream.close()
        }
        await close(code: code, reason: reason)
        while let bytes = try? await stream.read(atMost: HTTPBounds.read), !bytes.isEmpty {}
        alarm.cancel()
        stream.close()
    }

    /// Ends the connection under it at once.
    public func cut() { stream.close() }

    private func write(_ opcode: WebSocketOpcode, _ payload: [UInt8]) async throws {
        let frame = encoder.frame(opcode, payload, mask: mask())
        try await gate.write { frame }
    }

    private func mask() -> UInt32 { role == .client ? UInt32(truncatingIfNeeded: world.random()) : 0 }
}
