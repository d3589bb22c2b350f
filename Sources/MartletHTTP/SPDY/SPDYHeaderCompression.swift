internal import CZlib

/// Deflates the header blocks of one direction of a connection: each continues the stream of the one before.
struct SPDYDeflater: ~Copyable, Sendable {
    private var deflater = Deflater(.zlib(dictionary: SPDYDictionary.bytes), level: .usual)

    /// The block, deflated, ending at a byte's border.
    mutating func deflate(_ block: [UInt8]) -> [UInt8] { deflater.deflate(block[...], then: .flush) }
}

/// Inflates the header blocks of one direction of a connection.
///
/// Sendable although it holds a C pointer: it cannot be copied, so there is one owner at a time.
struct SPDYInflater: ~Copyable, @unchecked Sendable {
    private let stream: UnsafeMutablePointer<z_stream>

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        precondition(czlib_inflate_init(stream) == Z_OK, "no memory for an inflater")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// The block as it was before.
    /// - Throws: ``SPDYError`` when it is not deflated, or longer than `limit`.
    mutating func inflate(_ block: [UInt8], limit: Int) throws(SPDYError) -> [UInt8] {
        var block = block
        var out: [UInt8] = []
        var fault: String?
        block.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            while fault == nil {
                var result = Z_OK
                let piece = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = 4096
                    result = CZlib.inflate(stream, Z_SYNC_FLUSH)
                    count = 4096 - Int(stream.pointee.avail_out)
                }
                out += piece
                if out.count > limit {
                    fault = "a header block is over the limit of \(limit) bytes"
                } else if result == Z_NEED_DICT {
                    let dictionary = SPDYDictionary.bytes
                    if inflateSetDictionary(stream, dictionary, UInt32(dictionary.count)) != Z_OK {
                        fault = "a header block wants another dictionary"
                    }
                } else if result == Z_BUF_ERROR || (result == Z_OK && piece.count < 4096) {
                    break
                } else if result != Z_OK {
                    fault = "a header block cannot be inflated"
                }
            }
            if fault == nil && stream.pointee.avail_in > 0 { fault = "a header block has bytes behind its end" }
        }
        stream.pointee.next_in = nil
        if let fault { throw SPDYError(fault) }
        return out
    }
}
