public import MartletBase
internal import Synchronization

/// One side of a SPDY/3.1 connection: pings are answered here, all other frames are the owner's.
///
/// One task receives; any number may send. Nothing is queued: a slow peer slows who sends to it.
public final class SPDYConnection: Sendable {
    private let stream: any ByteStream
    private let gate: WriteGate
    private let encoder = Mutex(SPDYEncoder())
    private let decoder = Mutex(SPDYDecoder())

    private let isClient: Bool

    /// The connection that `stream` has become; whether this side has opened it.
    public init(_ stream: any ByteStream, isClient: Bool) {
        self.stream = stream
        self.isClient = isClient
        gate = WriteGate(stream)
    }

    /// The next frame; nil at the peer's end.
    /// - Throws: ``SPDYError``, or what the stream throws.
    public func receive() async throws -> SPDYFrame? {
        while true {
            switch try decoder.withLock({ try $0.next() }) {
            // A client's pings are odd; one of our own is an answer.
            case .ping(let id): if (id & 1 == 0) == isClient { try await send(.ping(id)) }
            case .window, .settings: continue
            case let frame?: return frame
            case nil:
                let bytes = try await stream.read(atMost: HTTPBounds.read)
                if bytes.isEmpty { return nil }
                decoder.withLock { $0.feed(bytes) }
            }
        }
    }

    /// Sends a frame.
    /// - Throws: what the stream throws.
    public func send(_ frame: SPDYFrame) async throws {
        // Encoded when its turn has come: header blocks must go out in the order of their deflation.
        try await gate.write { self.encoder.withLock { $0.encode(frame) } }
    }

    /// Ends the connection under it at once.
    public func cut() { stream.close() }
}
