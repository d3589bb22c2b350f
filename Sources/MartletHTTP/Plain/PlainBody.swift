internal import MartletBase

/// The body of a plain answer on its way through.
enum PlainBody {
    /// So many bytes have yet to come.
    case length(Int)
    /// Chunks have yet to come.
    case chunks(PlainChunks)

    /// Nil for a body that ends in another way.
    init?(_ framing: BodyFraming) {
        switch framing {
        case .none: self = .length(0)
        case .length(let length): self = .length(length)
        case .chunked: self = .chunks(PlainChunks())
        case .untilClose: return nil
        }
    }

    /// Whether all of it has come.
    var isWhole: Bool {
        switch self {
        case .length(let left): left == 0
        case .chunks(let chunks): chunks.isWhole
        }
    }

    /// Adds to `out` what comes of it. False when that cannot be passed on: it is not well formed, or there is more
    /// than the answer says.
    mutating func pass(_ bytes: Span<UInt8>, to out: inout [UInt8]) -> Bool {
        switch self {
        case .length(let left):
            guard bytes.count <= left else { return false }
            out.append(copying: bytes)
            self = .length(left - bytes.count)
            return true
        case .chunks(var chunks):
            guard let taken = chunks.pass(bytes, to: &out), taken == bytes.count else { return false }
            self = .chunks(chunks)
            return true
        }
    }
}
