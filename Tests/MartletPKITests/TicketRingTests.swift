import FuzzSupport
import MartletBase
import MartletObject
import Testing

@testable import MartletPKI

@Suite("Keys of TLS sessions") struct TicketRingTests {
    private static let start = WallTime(seconds: 1_800_000_000)
    /// Draws keys that are told apart by their number.
    private struct Source {
        var count: UInt8 = 0
        mutating func draw() -> [UInt8] {
            count += 1
            return [UInt8](repeating: count, count: TicketRing.keySize)
        }
    }
    private func numbers(_ ring: TicketRing) -> [UInt8] { ring.inUseFirst.map { $0[0] } }

    @Test("the next key is known for a whole turn before it is used, and for another one after")
    func turns() throws {
        var source = Source()
        var ring = TicketRing(now: Self.start) { source.draw() }
        #expect(numbers(ring) == [2, 1])
        var now = Self.start + (TicketRing.period - .seconds(1))
        #expect(!ring.turn(now: now) { source.draw() })
        now = now + .seconds(1)
        #expect(ring.turn(now: now) { source.draw() })
        #expect(numbers(ring) == [1, 3, 2], "the one that was next is in use, the one before still opens")
        #expect(!ring.turn(now: now) { source.draw() })
        now = now + TicketRing.period
        #expect(ring.turn(now: now) { source.draw() })
        #expect(numbers(ring) == [3, 4, 1], "the first one is gone")
    }

    @Test("an edge that has not heard of a turn yet, and one that has, open each other's tickets")
    func neighbours() {
        var source = Source()
        var ring = TicketRing(now: Self.start) { source.draw() }
        for turn in 1...10 {
            let before = ring
            #expect(ring.turn(now: Self.start + TicketRing.period * turn) { source.draw() })
            #expect(before.inUseFirst.contains(ring.inUseFirst[0]))
            #expect(ring.inUseFirst.contains(before.inUseFirst[0]))
        }
    }

    @Test("a ring that nobody turned for long is drawn anew, one of a clock that differs a little is kept")
    func old() {
        var source = Source()
        var ring = TicketRing(now: Self.start) { source.draw() }
        #expect(!ring.turn(now: Self.start + .seconds(-60)) { source.draw() })
        #expect(ring.turn(now: Self.start + TicketRing.period * 3) { source.draw() })
        #expect(numbers(ring) == [4, 3])
        #expect(ring.turn(now: Self.start) { source.draw() }, "its keys are from far ahead")
        #expect(numbers(ring) == [6, 5])
    }

    @Test("it is read back as it was written, and nothing else is taken for one")
    func fuzzedReading() throws {
        var source = Source()
        var ring = TicketRing(now: Self.start) { source.draw() }
        #expect(TicketRing(ring.json) == ring)
        _ = ring.turn(now: Self.start + TicketRing.period) { source.draw() }
        #expect(TicketRing(ring.json) == ring)
        let bytes = ring.json.encoded()
        var random = MartletBase.SplitMix64(seed: Fuzz.seed(31))
        for _ in 0..<Fuzz.runs(2000) {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(in: 32...126, using: &random)
            }
            guard let json = try? JSON(parsing: changed), let read = TicketRing(json) else { continue }
            #expect(read.inUseFirst.allSatisfy { $0.count == TicketRing.keySize })
        }
        for text in ["{}", "null", #"{"turnedAt":"2027-01-01T00:00:00Z","keys":[]}"#] {
            #expect(TicketRing(try JSON(parsing: Array(text.utf8))) == nil)
        }
    }
}
