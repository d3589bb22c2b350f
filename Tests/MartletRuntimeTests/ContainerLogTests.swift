import MartletBase
import MartletRuntime
import Testing

@Suite struct ContainerLogTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `Lines get a time, their stream and a mark`() {
        var log = ContainerLogEncoder(.stdout)
        let time = WallTime(nanoseconds: 1_795_379_700_000_000_042)
        #expect(
            text(log.encode(Array("hello\nwor".utf8), at: time)) == "2026-11-22T20:35:00.000000042Z stdout F hello\n")
        #expect(
            text(log.encode(Array("ld\n\n".utf8), at: WallTime(nanoseconds: 0)))
                == "1970-01-01T00:00:00.000000000Z stdout F world\n1970-01-01T00:00:00.000000000Z stdout F \n")
        #expect(log.finish(at: time).isEmpty)
    }

    @Test func `A long line is split into parts, and a begun line is kept at the end`() {
        var log = ContainerLogEncoder(.stderr, lineLimit: 4)
        let time = WallTime(seconds: 951_782_400)
        let stamp = "2000-02-29T00:00:00.000000000Z stderr"
        #expect(
            text(log.encode(Array("123456789\n1234\nab".utf8), at: time))
                == "\(stamp) P 1234\n\(stamp) P 5678\n\(stamp) F 9\n\(stamp) F 1234\n")
        #expect(text(log.finish(at: time)) == "\(stamp) F ab\n")
    }
}
