internal import DequeModule
internal import HTTPTypes
internal import MartletBase

/// One exchange of ordinary HTTP as its HTTP/2 connection keeps it. Everything in it is touched under the lock of its
/// ``WebLink`` only.
class WebStream: HTTP2Stream, @unchecked Sendable {
    /// The head that is coming, or has come.
    final var head: WebHead
    /// Whether the head is whole.
    final var hasHead = false
    /// The trailer section.
    final var trailers: WebHead?
    /// The body as far as it has come and is not taken.
    final var incoming = WebPieces()
    /// Whether the peer sends no more.
    final var isReadToEnd = false
    /// Whether nobody wants the body any more.
    final var isUnread = false
    /// Bytes of the body that may still come.
    final var bodyLeft = Int.max
    /// Why it is over, when it is over before its end.
    final var failure: (any Error)?
    /// Whether it has left the connection's table.
    final var isOver = false
    final var reader: UnsafeContinuation<Void, Never>?
    /// Since when somebody waits for the peer to send.
    final var readsSince: MonotonicTime?

    /// What is to be sent.
    final var outgoing = WebPieces()
    /// Whether nothing follows it.
    final var isSent = false
    final var trailersToSend: HTTPFields?
    final var writer: UnsafeContinuation<Void, Never>?
    /// Since when something waits for the peer to take it.
    final var writesSince: MonotonicTime?

    init(headLimit: Int) { head = WebHead(limit: headLimit) }

    override var waiting: Int { outgoing.count }
    override var isEnded: Bool { isSent }
    override func take(_ count: Int, into output: inout [UInt8]) { outgoing.take(count, into: &output) }
}

/// Bytes in the pieces in which they came. A pure value.
struct WebPieces: Sendable {
    private var pieces: Deque<[UInt8]> = []
    /// How much of the first piece is gone.
    private var position = 0
    /// Bytes that wait.
    private(set) var count = 0

    /// Pieces up to this size grow: frames of one byte each would take far more memory than their bytes.
    private static let small = 16 * 1024

    /// Adds bytes that are lent.
    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        count += bytes.count
        if let last = pieces.indices.last, pieces[last].count + bytes.count <= Self.small {
            pieces[last].append(contentsOf: bytes)
        } else if !bytes.isEmpty {
            pieces.append(Array(bytes))
        }
    }

    /// Adds a piece.
    mutating func append(_ bytes: [UInt8]) {
        count += bytes.count
        if !bytes.isEmpty { pieces.append(bytes) }
    }

    /// Takes the next piece; nil when nothing waits.
    mutating func popFirst() -> [UInt8]? {
        guard var piece = pieces.popFirst() else { return nil }
        if position > 0 { piece.removeFirst(position) }
        position = 0
        count -= piece.count
        return piece
    }

    /// Takes all.
    mutating func takeAll() -> [UInt8] {
        guard var all = popFirst() else { return [] }
        while let more = popFirst() { all += more }
        return all
    }

    /// Moves the next `wanted` bytes to the end of `output`.
    mutating func take(_ wanted: Int, into output: inout [UInt8]) {
        var wanted = min(wanted, count)
        count -= wanted
        while wanted > 0, let first = pieces.first {
            let piece = min(wanted, first.count - position)
            output.append(contentsOf: first[position..<position + piece])
            position += piece
            wanted -= piece
            if position == first.count {
                pieces.removeFirst()
                position = 0
            }
        }
    }

    /// Forgets what waits.
    mutating func removeAll() { self = WebPieces() }
}

/// A stream that its peer has ended before its time.
struct StreamReset: Error, CustomStringConvertible {
    /// The error code (RFC 9113, 7).
    var code: UInt32

    /// Whether nobody has looked at the request: it may be sent again, whatever it is (RFC 9113, 8.7).
    var isUntouched: Bool { code == 7 }

    var description: String { "the peer reset the stream (\(code))" }
}
