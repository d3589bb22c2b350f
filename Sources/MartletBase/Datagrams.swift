/// A world with datagrams: messages that come whole or not at all.
public protocol DatagramWorld: World {
    /// Takes datagrams on an IP endpoint (port 0: a free one). `handler` runs on the world's executor's thread, one
    /// datagram after the other, and must not wait.
    /// - Throws: ``NetworkError``.
    func receiveDatagrams(
        on endpoint: Endpoint, handler: @escaping @Sendable (Span<UInt8>, DatagramPeer, inout [UInt8]) -> Void
    ) throws -> any DatagramPort

    /// A stream of datagrams to and from one peer: each write is one, and so is each read; others' are not seen.
    /// - Parameter port: our own port.
    /// - Throws: ``NetworkError``; the system's `EADDRINUSE` when the port is taken.
    func datagramStream(to endpoint: Endpoint, from port: UInt16) throws -> any ByteStream
}

/// Who sent a datagram, as the system has it: good for answers only.
public struct DatagramPeer: Sendable, Hashable {
    /// The system's words for it.
    public var words: InlineArray<4, UInt64>

    /// A peer from the system's words.
    public init(words: InlineArray<4, UInt64>) { self.words = words }

    /// Whether both are the same.
    public static func == (a: DatagramPeer, b: DatagramPeer) -> Bool {
        (0..<4).allSatisfy { a.words[$0] == b.words[$0] }
    }

    /// All words.
    public func hash(into hasher: inout Hasher) { for index in 0..<4 { hasher.combine(words[index]) } }
}

/// A place that takes datagrams. What its handler puts into the array goes back to the sender.
public protocol DatagramPort: Sendable {
    /// Where it really is.
    var endpoint: Endpoint { get }

    /// Sends one datagram; it may be lost, as any may.
    func send(_ bytes: [UInt8], to peer: DatagramPeer)

    /// Takes no more. May be called twice.
    func close()
}
