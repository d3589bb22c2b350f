/// Takes a message's body out of a connection's bytes (RFC 9112, 6 and 7). A pure value.
struct BodyDecoder: Sendable {
    /// What a step found.
    enum Step: Sendable, Hashable {
        /// A piece of the body.
        case piece([UInt8])
        /// More bytes are needed.
        case needsMore
        /// The body has ended; the bytes that follow belong to the next message.
        case end
    }
    private enum State: Sendable, Hashable {
        case length(Int)
        case chunkSize
        case chunkData(Int)
        case chunkEnd
        case trailers
        case untilClose
        case done
    }
    private var state: State
    private var remainingLimit: Int
    private let limit: Int
    private var scanner = TrailerScanner()

    /// A decoder for one body of at most `limit` bytes.
    init(_ framing: BodyFraming, limit: Int) {
        self.limit = limit
        remainingLimit = limit
        switch framing {
        case .none: state = .done
        case .length(let length): state = .length(length)
        case .chunked: state = .chunkSize
        case .untilClose: state = .untilClose
        }
    }

    /// Bytes still to come, where the framing tells; 0 after the end.
    var remaining: Int? {
        switch state {
        case .length(let length): length
        case .done: 0
        default: nil
        }
    }

    /// Takes the next piece from `buffer`.
    /// - Throws: ``HTTPError``.
    mutating func step(_ buffer: inout InputBuffer) throws(HTTPError) -> Step {
        while true {
            switch state {
            case .done: return .end
            case .length(let left):
                guard left > 0 else {
                    state = .done
                    continue
                }
                return try take(left, from: &buffer) { .length($0) }
            case .untilClose:
                return try take(.max, from: &buffer) { _ in .untilClose }
            case .chunkSize:
                guard let size = try chunkSize(&buffer) else { return .needsMore }
                state = size == 0 ? .trailers : .chunkData(size)
            case .chunkData(let left):
                guard left > 0 else {
                    state = .chunkEnd
                    continue
                }
                return try take(left, from: &buffer) { .chunkData($0) }
            case .chunkEnd:
                guard buffer.count >= 2 else { return .needsMore }
                guard buffer.bytes[buffer.start] == Characters.cr, buffer.bytes[buffer.start + 1] == Characters.lf
                else { throw .malformed("a chunk is longer than it says") }
                buffer.consume(2)
                state = .chunkSize
            case .trailers:
                guard try scanner.skip(&buffer) else { return .needsMore }
                state = .done
            }
        }
    }

    /// The peer has ended its side.
    /// - Throws: ``HTTPError/unexpectedEnd`` when that is not how the body ends.
    mutating func finish() throws(HTTPError) {
        switch state {
        case .untilClose: state = .done
        case .done: return
        default: throw .unexpectedEnd
        }
    }

    private mutating func take(
        _ left: Int, from buffer: inout InputBuffer, then next: (Int) -> State
    ) throws(HTTPError) -> Step {
        if buffer.isEmpty { return .needsMore }
        let piece = buffer.take(atMost: left)
        guard piece.count <= remainingLimit else { throw .bodyTooLarge(limit: limit) }
        remainingLimit -= piece.count
        state = next(left - piece.count)
        return .piece(piece)
    }

    /// The size line: hexadecimal digits, and extensions that are skipped.
    private func chunkSize(_ buffer: inout InputBuffer) throws(HTTPError) -> Int? {
        let unused = buffer.bytes[buffer.start...]
        guard let end = unused.firstIndex(of: Characters.lf) else {
            if unused.count > HTTPBounds.chunkLine { throw .malformed("a chunk's size line is too long") }
            return nil
        }
        let length = end - buffer.start
        guard length >= 2, length <= HTTPBounds.chunkLine, unused[end - 1] == Characters.cr else {
            throw .malformed("a chunk's size line does not end with CRLF")
        }
        let line = unused[unused.startIndex..<end - 1]
        var size = 0
        var digits = 0
        for byte in line {
            guard let digit = Characters.hex(byte) else { break }
            digits += 1
            guard digits <= 15 else { throw .malformed("a chunk's size is too large") }
            size = size << 4 | digit
        }
        let rest = line.dropFirst(digits)
        guard digits > 0, rest.isEmpty || rest.first == UInt8(ascii: ";") else {
            throw .malformed("a chunk's size is no hexadecimal number")
        }
        guard rest.allSatisfy(Characters.isFieldValue) else {
            throw .malformed("a chunk's extension holds a control character")
        }
        buffer.consume(length + 1)
        return size
    }
}

/// Checks and skips the trailer section that ends a chunked body.
private struct TrailerScanner: Sendable {
    private var skipped = 0

    /// Skips the lines that are whole; true when the final empty line was among them.
    mutating func skip(_ buffer: inout InputBuffer) throws(HTTPError) -> Bool {
        while let end = buffer.bytes[buffer.start...].firstIndex(of: Characters.lf) {
            let length = end + 1 - buffer.start
            guard length >= 2, buffer.bytes[end - 1] == Characters.cr else {
                throw .malformed("an LF that no CR precedes")
            }
            skipped += length
            if skipped > HTTPBounds.trailers { throw .headTooLarge(limit: HTTPBounds.trailers) }
            if length > 2 { _ = try FieldLines(buffer.bytes, buffer.start..<end + 1) }
            buffer.consume(length)
            if length == 2 { return true }
        }
        if skipped + buffer.count > HTTPBounds.trailers { throw .headTooLarge(limit: HTTPBounds.trailers) }
        return false
    }
}
