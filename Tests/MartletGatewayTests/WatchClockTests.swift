import MartletBase
import MartletIO
import Synchronization
import Testing

@testable import MartletGateway

@Suite struct WatchClockTests {
    private final class Rung: Sendable {
        private let names = Mutex<[String]>([])
        var all: [String] { names.withLock { $0 } }
        func note(_ name: String) { names.withLock { $0.append(name) } }
    }

    private static func run(_ body: @escaping @Sendable (Reactor, WatchClock, Rung) async throws -> Void) async throws {
        let world = try Reactor(name: "clock-test")
        defer { world.shutdown() }
        try await Task(executorPreference: world.executor) {
            try await body(world, WatchClock(in: world), Rung())
        }.value
    }

    @Test(.timeLimit(.minutes(1))) func alarmsRingOnceInTheOrderOfTheirTimes() async throws {
        try await Self.run { world, clock, rung in
            let now = world.now()
            _ = clock.add(at: now + .milliseconds(1)) { rung.note("a") }
            _ = clock.add(at: now + .milliseconds(1)) { rung.note("b") }
            _ = clock.add(at: now + .milliseconds(300)) { rung.note("late") }
            let moved = clock.add(at: now + .milliseconds(100)) { rung.note("moved") }
            let gone = clock.add(at: now + .milliseconds(100)) { rung.note("gone") }
            clock.remove(gone)
            clock.set(moved, to: now + .milliseconds(600))
            while !rung.all.contains("moved") { try await world.sleep(for: .milliseconds(10)) }
            #expect(rung.all == ["a", "b", "late", "moved"])
            // It rings again when it is told to.
            clock.set(moved, to: world.now() + .milliseconds(1))
            while rung.all.count < 5 { try await world.sleep(for: .milliseconds(10)) }
            #expect(rung.all.last == "moved")
        }
    }

    @Test(.timeLimit(.minutes(1))) func theClockStartsAgainAfterTheLastHasGone() async throws {
        try await Self.run { world, clock, rung in
            for name in ["first", "second"] {
                let alarm = clock.add(at: world.now() + .milliseconds(1)) { rung.note(name) }
                while !rung.all.contains(name) { try await world.sleep(for: .milliseconds(10)) }
                clock.remove(alarm)
                try await world.sleep(for: .milliseconds(1100))
            }
            #expect(rung.all == ["first", "second"])
        }
    }
}
