/// A stream whose bytes are to be had without a task, on the thread of its world: for those who pass on many short
/// messages, for each of which a task would cost more than the message.
public protocol DirectStream: ByteStream {
    /// Whether the caller is on the world's thread, where ``send(_:)`` may be called.
    var isHere: Bool { get }

    /// Asks once for what comes next. `receiver` is told on the world's thread, or, of what is here already, before
    /// this returns. Not beside a receive that is under way, and not beside a ``ByteStream/read(atMost:)``.
    func receive(for receiver: any StreamReceiver)

    /// Sends as much as the kernel takes without waiting; mostly that is all. Not beside a ``ByteStream/write(_:)``.
    /// - Returns: nil when all of it was taken; else what sends the rest, and must be called before more is sent.
    /// - Throws: ``NetworkError``.
    func send(_ bytes: Span<UInt8>) throws(NetworkError) -> (@Sendable () async throws -> Void)?
}

/// Who is told what comes over a ``DirectStream``.
public protocol StreamReceiver: AnyObject, Sendable {
    /// Bytes have come; none when the peer has ended its side. They are gone when this returns.
    func received(_ bytes: Span<UInt8>)

    /// The stream has failed, or was closed on our side.
    func failed(_ error: NetworkError)
}

extension [UInt8] {
    /// A copy of the bytes of a span.
    public init(copying span: Span<UInt8>) {
        self = span.withUnsafeBufferPointer { Array($0) }
    }

    /// Adds the bytes of a span.
    public mutating func append(copying span: Span<UInt8>) {
        span.withUnsafeBufferPointer { append(contentsOf: $0) }
    }
}
