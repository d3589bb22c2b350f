internal import MartletBase

/// A chunked body on its way through (RFC 9112, 7.1). What is passed on is framed anew and without extensions and
/// trailers, so that no next reader can see another end in it.
struct PlainChunks {
    private enum Place {
        /// In a chunk's size line.
        case size(Int, digits: Int, length: Int, isOver: Bool)
        /// In a chunk's data, of which so much is to come.
        case data(Int)
        /// Behind a chunk's data, before its line end.
        case dataEnd
        /// In a trailer line, so long until now, of all trailers so many bytes.
        case trailer(Int, all: Int)
        case end
    }
    /// How many bytes of data have come.
    private(set) var count = 0
    private var place = Place.size(0, digits: 0, length: 0, isOver: false)
    /// Whether the byte before was a CR that an LF has to follow.
    private var awaitsLF = false

    /// Whether all of it has come.
    var isWhole: Bool { if case .end = place { true } else { false } }

    /// Adds to `out` what of `bytes` belongs to the body; how many bytes that were, or nil for what is not well formed.
    mutating func pass(_ bytes: Span<UInt8>, to out: inout [UInt8]) -> Int? {
        var at = 0
        while at < bytes.count, !isWhole {
            if case .data(let left) = place {
                let piece = bytes.extracting(at..<min(bytes.count, at + left))
                out += HeadWriter.chunkHead(piece.count)
                out.append(copying: piece)
                out += HeadWriter.chunkEnd
                at += piece.count
                count += piece.count
                place = piece.count == left ? .dataEnd : .data(left - piece.count)
                continue
            }
            guard take(bytes[at]) else { return nil }
            at += 1
        }
        if isWhole { out += HeadWriter.lastChunk }
        return at
    }

    /// Takes a byte that is not data; false when it cannot stand there.
    private mutating func take(_ byte: UInt8) -> Bool {
        if awaitsLF {
            guard byte == Characters.lf else { return false }
            awaitsLF = false
            return endLine()
        }
        if byte == Characters.lf { return false }
        if byte == Characters.cr {
            awaitsLF = true
            return true
        }
        switch place {
        case .size(let size, let digits, let length, let isOver):
            guard length < HTTPBounds.chunkLine else { return false }
            if !isOver, let digit = Characters.hex(byte) {
                guard digits < 15 else { return false }
                place = .size(size << 4 | digit, digits: digits + 1, length: length + 1, isOver: false)
                return true
            }
            let isExtension = isOver || byte == UInt8(ascii: ";")
            guard digits > 0, isExtension, Characters.isFieldValue(byte) else { return false }
            place = .size(size, digits: digits, length: length + 1, isOver: true)
            return true
        case .trailer(let length, let all):
            guard all < HTTPBounds.trailers, Characters.isFieldValue(byte) else { return false }
            place = .trailer(length + 1, all: all + 1)
            return true
        case .data, .dataEnd, .end: return false
        }
    }

    private mutating func endLine() -> Bool {
        switch place {
        case .size(let size, let digits, _, _):
            guard digits > 0 else { return false }
            place = size > 0 ? .data(size) : .trailer(0, all: 0)
        case .dataEnd: place = .size(0, digits: 0, length: 0, isOver: false)
        case .trailer(let length, let all): place = length == 0 ? .end : .trailer(0, all: all + 2)
        case .data, .end: return false
        }
        return true
    }
}
