/// Bytes that were read and not used yet: append at the end, take from the front, without copying where possible.
struct InputBuffer: Sendable {
    /// All bytes; those before ``start`` are used up.
    private(set) var bytes: [UInt8] = []
    /// Where the unused bytes begin.
    private(set) var start = 0

    /// How many bytes are unused.
    var count: Int { bytes.count - start }
    /// Whether all is used.
    var isEmpty: Bool { bytes.count == start }
    /// The first unused byte.
    var first: UInt8? { isEmpty ? nil : bytes[start] }

    /// An unused byte, counted from the first.
    subscript(_ offset: Int) -> UInt8 { bytes[start + offset] }

    /// Adds what was read.
    mutating func append(_ new: [UInt8]) {
        if isEmpty {
            bytes = new
            start = 0
            return
        }
        if start > bytes.count / 2 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += new
    }

    /// Uses up `count` bytes; at most those that are there.
    mutating func consume(_ count: Int) {
        start = min(start + max(0, count), bytes.count)
        if isEmpty {
            bytes.removeAll(keepingCapacity: false)
            start = 0
        }
    }

    /// Takes at most `limit` bytes from the front.
    mutating func take(atMost limit: Int) -> [UInt8] {
        let length = min(max(0, limit), count)
        if start == 0 && length == bytes.count {
            let all = bytes
            bytes = []
            return all
        }
        let piece = Array(bytes[start..<start + length])
        consume(length)
        return piece
    }
}
