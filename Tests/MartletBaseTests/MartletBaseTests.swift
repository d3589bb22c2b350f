import MartletBase
import Testing

@Suite struct BaseTests {
    @Test func `durations and times clamp instead of trapping`() {
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.milliseconds(1500).nanoseconds == 1_500_000_000)
        #expect((Duration.seconds(9_223_372_036) + .milliseconds(999)).nanoseconds == .max)
        #expect((Duration.seconds(-9_223_372_036) - .milliseconds(999)).nanoseconds == .min)
        #expect(MonotonicTime(nanoseconds: 5) + .seconds(-1) == MonotonicTime(nanoseconds: 0))
        #expect(MonotonicTime(nanoseconds: 5) + .seconds(Int64.min) == MonotonicTime(nanoseconds: 0))
        #expect(MonotonicTime(nanoseconds: .max - 1) + .seconds(1) == MonotonicTime(nanoseconds: .max))
        #expect(MonotonicTime(nanoseconds: 5) - MonotonicTime(nanoseconds: 9) == .nanoseconds(-4))
        #expect(WallTime(nanoseconds: -1).seconds == -1)
    }

    @Test func `endpoints read as people write them`() {
        #expect(Endpoint.ip("::1", port: 80).description == "[::1]:80")
        #expect(Endpoint.ip("10.0.0.1", port: 80).description == "10.0.0.1:80")
        #expect(Endpoint.unix("/run/x").description == "unix:/run/x")
    }

    @Test func `a memory log keeps order, cuts and continues where it is told`() async throws {
        let log = MemoryLog()
        try await log.append([LogRecord(index: 1, payload: [1]), LogRecord(index: 2, payload: [2])])
        await #expect(throws: LogError.outOfRange(index: 4, held: 1..<3)) {
            try await log.append([LogRecord(index: 4, payload: [])])
        }
        try await log.truncateSuffix(from: 2)
        #expect(await log.bounds == 1..<2)
        try await log.truncatePrefix(before: 7)
        #expect(await log.bounds == 7..<7)
        try await log.append([LogRecord(index: 7, payload: [7])])
        #expect(try await log.read(from: 7, limit: 5) == [LogRecord(index: 7, payload: [7])])
        await log.close()
        await #expect(throws: LogError.closed) { try await log.truncatePrefix(before: 8) }
    }
}

@Suite struct WallTimeEdgeTests {
    @Test func theFirstAndTheLastMomentsHaveSeconds() {
        #expect(WallTime(nanoseconds: .min).seconds == -9_223_372_037)
        #expect(WallTime(nanoseconds: -1).seconds == -1 && WallTime(nanoseconds: -1_000_000_000).seconds == -1)
        #expect(WallTime(seconds: .max).nanoseconds == .max && WallTime(seconds: .min).nanoseconds == .min)
    }
}
