internal import MartletBase

/// The body of a plain answer on its way through.
enum PlainBody {
    /// So many bytes have yet to come, of so many.
    case length(Int, of: Int)
    /// Chunks have yet to come.
    case chunks(PlainChunks)

    /// Nil for a body that ends in another way.
    init?(_ framing: BodyFraming) {
        switch framing {
        case .none: self = .length(0, of: 0)
        case .length(let length): self = .length(length, of: length)
        case .chunked: self = .chunks(PlainChunks())
        case .untilClose: return nil
        }
    }

    /// Whether all of it has come.
    var isWhole: Bool {
        switch self {
        case .length(let left, _): left == 0
        case .chunks(let chunks): chunks.isWhole
        }
    }

    /// How many bytes have come, without what frames them.
    var count: Int {
        switch self {
        case .length(let left, let all): all - left
        case .chunks(let chunks): chunks.count
        }
    }

    /// Adds to `out` what comes of it; how many bytes belonged to it, which are fewer where there are more than the
    /// answer says. Nil for what is not well formed.
    mutating func pass(_ bytes: Span<UInt8>, to out: inout [UInt8]) -> Int? {
        switch self {
        case .length(let left, let all):
            let count = min(left, bytes.count)
            out.append(copying: bytes.extracting(0..<count))
            self = .length(left - count, of: all)
            return count
        case .chunks(var chunks):
            defer { self = .chunks(chunks) }
            return chunks.pass(bytes, to: &out)
        }
    }
}
