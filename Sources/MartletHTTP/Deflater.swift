internal import CZlib

/// Deflates one stream of bytes that comes in pieces (RFC 1951). Holds about 260 KiB.
///
/// Sendable although it holds a C pointer: it cannot be copied, so there is one owner at a time.
public struct Deflater: ~Copyable, @unchecked Sendable {
    /// What stands about the deflated bytes.
    public enum Format: Sendable {
        /// RFC 1950, against a dictionary that the other end knows.
        case zlib(dictionary: [UInt8])
        /// RFC 1952: `Content-Encoding: gzip`.
        case gzip
    }

    /// What follows a piece.
    public enum Sequel: Sendable {
        /// Another piece: bytes may be held back until it comes.
        case more
        /// Another piece, but what is deflated so far can be read, to the last byte.
        case flush
        /// Nothing: the stream is closed.
        case end

        fileprivate var flag: Int32 {
            switch self {
            case .more: Z_NO_FLUSH
            case .flush: Z_SYNC_FLUSH
            case .end: Z_FINISH
            }
        }
    }

    /// How much work is done.
    public enum Level: Sendable {
        /// zlib's own choice.
        case usual
        /// The least.
        case fast

        fileprivate var number: Int32 { self == .usual ? Z_DEFAULT_COMPRESSION : Z_BEST_SPEED }
    }

    /// Bytes by which the output grows.
    private static let step = 16 * 1024

    private let stream: UnsafeMutablePointer<z_stream>

    /// A stream at its beginning.
    public init(_ format: Format, level: Level) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let isReady =
            switch format {
            case .gzip: czlib_deflate_init_gzip(stream, level.number) == Z_OK
            case .zlib(let dictionary):
                czlib_deflate_init(stream, level.number) == Z_OK
                    && deflateSetDictionary(stream, dictionary, UInt32(dictionary.count)) == Z_OK
            }
        precondition(isReady, "no memory for a deflater")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// What the piece, of less than 4 GiB, adds to the stream. After ``Sequel/end`` there must be no other piece.
    public mutating func deflate(_ piece: ArraySlice<UInt8>, then sequel: Sequel) -> [UInt8] {
        piece.withUnsafeBufferPointer { input in
            // zlib does not write there, though its type says so.
            deflate(UnsafeMutablePointer(mutating: input.baseAddress), input.count, sequel)
        }
    }

    private func deflate(_ input: UnsafeMutablePointer<UInt8>?, _ count: Int, _ sequel: Sequel) -> [UInt8] {
        var out: [UInt8] = []
        stream.pointee.next_in = input
        stream.pointee.avail_in = UInt32(count)
        defer { stream.pointee.next_in = nil }
        repeat {
            out += [UInt8](unsafeUninitializedCapacity: Self.step) { buffer, count in
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(Self.step)
                let result = CZlib.deflate(stream, sequel.flag)
                precondition([Z_OK, Z_BUF_ERROR, Z_STREAM_END].contains(result), "zlib refuses to deflate")
                count = Self.step - Int(stream.pointee.avail_out)
            }
        } while stream.pointee.avail_out == 0
        return out
    }
}
