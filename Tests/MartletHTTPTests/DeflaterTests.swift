import CZlib
import Testing

@testable import MartletHTTP

@Suite struct DeflaterTests {
    /// What zlib itself makes of a gzip stream; nil when that is not whole.
    private static func gunzip(_ bytes: [UInt8], capacity: Int) -> [UInt8]? {
        var stream = z_stream()
        guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return nil
        }
        defer { inflateEnd(&stream) }
        var input = bytes
        var result = Z_OK
        let output = [UInt8](unsafeUninitializedCapacity: capacity + 1) { buffer, count in
            input.withUnsafeMutableBufferPointer { input in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = buffer.baseAddress
                stream.avail_out = UInt32(buffer.count)
                result = inflate(&stream, Z_FINISH)
            }
            count = capacity + 1 - Int(stream.avail_out)
        }
        return result == Z_STREAM_END && stream.avail_in == 0 ? output : nil
    }

    @Test(arguments: [0, 1, 100, 16 * 1024, 100_003, 1_000_000])
    func whatIsDeflatedInPiecesComesBackWhole(count: Int) {
        var seed: UInt32 = 7
        // Hard to deflate in the first half, easy in the second.
        let bytes = (0..<count).map { index -> UInt8 in
            seed = seed &* 1_664_525 &+ 1_013_904_223
            return index < count / 2 ? UInt8(seed >> 24) : UInt8(index & 3)
        }
        for step in [max(1, count), 4096, 77_777] {
            var deflater = Deflater(.gzip, level: .fast)
            var deflated: [UInt8] = []
            for start in stride(from: 0, to: count, by: step) {
                deflated += deflater.deflate(bytes[start..<min(start + step, count)], then: .more)
            }
            deflated += deflater.deflate([], then: .end)
            #expect(Self.gunzip(deflated, capacity: count) == bytes)
            #expect(Self.gunzip(Array(deflated.dropLast()), capacity: count) == nil)
        }
    }
}
