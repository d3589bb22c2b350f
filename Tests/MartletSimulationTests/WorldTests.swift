import MartletBase
import MartletSimulation
import Synchronization
import Testing

/// A list that tasks add to.
final class Notes: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

actor Counter {
    private(set) var value = 0
    func add() async {
        let before = value
        await Task.yield()
        value = before + 1
    }
}

@Suite struct ASimulatedWorld {
    @Test func sleepsForYearsAtOnceAndInTheOrderOfDeadlines() throws {
        let world = SimWorld(seed: 1)
        let notes = Notes()
        try world.run {
            await withTaskGroup(of: Void.self) { group in
                for days in [300, 1, 20] {
                    group.addTask {
                        try? await world.sleep(for: .seconds(days * 86_400))
                        notes.add("\(days)")
                    }
                }
            }
        }
        #expect(notes.all == ["1", "20", "300"])
    }

    @Test func findsADeadlock() {
        let world = SimWorld(seed: 1)
        #expect(throws: SimulationError.self) {
            try world.run { await withCheckedContinuation { (never: CheckedContinuation<Void, Never>) in keep(never) } }
        }
        release()
    }

    @Test func findsALoopInWhichNothingHappens() {
        let world = SimWorld(seed: 1)
        #expect(throws: SimulationError.endless(jobs: 1001)) {
            try world.run(jobLimit: 1000) { while true { await Task.yield() } }
        }
    }

    @Test func isTheSameForTheSameSeedAndAnotherForAnother() throws {
        func story(_ seed: UInt64) throws -> ([String], UInt64) {
            let world = SimWorld(seed: seed, shuffle: 1)
            let notes = Notes()
            try world.run {
                let counter = Counter()
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<10 {
                        group.addTask {
                            for _ in 0..<5 {
                                await counter.add()
                                try? await world.sleep(for: .milliseconds(Int(world.random() % 10)))
                            }
                            notes.add("\(number) at \(world.now().nanoseconds)")
                        }
                    }
                }
                notes.add("\(await counter.value)")
            }
            return (notes.all, world.fingerprint)
        }
        let stories = try (UInt64(1)...20).map(story)
        for seed in UInt64(1)...20 { #expect(try story(seed) == stories[Int(seed) - 1]) }
        #expect(Set(stories.map(\.1)).count == 20)
        #expect(Set(stories.map(\.0.last)).count > 1, "an actor that yields loses counts, by another order")
    }

    @Test func cancelsSleepersAtItsEnd() throws {
        let world = SimWorld(seed: 1)
        let notes = Notes()
        try world.run {
            world.spawn {
                do { try await world.sleep(for: .seconds(1000)) } catch { notes.add("\(error)") }
            }
            try await world.sleep(for: .seconds(1))
        }
        #expect(notes.all == ["CancellationError()"])
    }

    @Test func runsNothingOfAHostThatIsPaused() throws {
        let world = SimWorld(seed: 1)
        let notes = Notes()
        try world.run {
            let host = world.host(1)
            host.spawn {
                for _ in 0..<5 {
                    try? await host.sleep(for: .seconds(1))
                    notes.add("\((host.now().nanoseconds + 500_000_000) / 1_000_000_000)")
                }
            }
            try await world.sleep(for: .milliseconds(2500))
            host.pause()
            try await world.sleep(for: .seconds(10))
            host.resume()
            try await world.sleep(for: .seconds(10))
        }
        #expect(notes.all == ["2", "3", "14", "15", "16"])
    }
}

private let kept = Mutex<CheckedContinuation<Void, Never>?>(nil)
private func keep(_ continuation: CheckedContinuation<Void, Never>) { kept.withLock { $0 = continuation } }
private func release() {
    let continuation = kept.withLock { kept in
        defer { kept = nil }
        return kept
    }
    continuation?.resume()
}

@Suite struct ASimulatedNetwork {
    @Test(arguments: UInt64(1)...20)
    func carriesStreamsInOrderAndWithoutLoss(seed: UInt64) throws {
        let world = SimWorld(seed: seed)
        world.network.weather = NetworkWeather(delay: .microseconds(10) ... .milliseconds(20), slowOneIn: 5)
        let received: [UInt8] = try world.run {
            let server = world.host(1)
            let client = world.host(2)
            let listener = try await server.listen(on: .ip("10.0.0.1", port: 0))
            client.spawn {
                guard let stream = try? await client.connect(to: listener.endpoint) else { return }
                for number in 0..<2000 { try? await stream.write(Array(repeating: UInt8(number % 251), count: 300)) }
                await stream.closeWrite()
                _ = try? await stream.read(atMost: 1)
            }
            let stream = try await listener.accept()
            var all: [UInt8] = []
            while true {
                let bytes = try await stream.read(atMost: 10_000)
                if bytes.isEmpty { break }
                all += bytes
            }
            return all
        }
        #expect(received.count == 600_000)
        #expect(received.indices.allSatisfy { received[$0] == UInt8($0 / 300 % 251) })
    }

    @Test func holdsStreamsWhileALinkIsCutAndResetsThemWhenItStaysCut() throws {
        let world = SimWorld(seed: 3)
        try world.run {
            let (server, client) = (world.host(1), world.host(2))
            let listener = try await server.listen(on: .ip("10.0.0.1", port: 80))
            let near = try await client.connect(to: listener.endpoint)
            let far = try await listener.accept()
            world.network.block(from: 2, to: 1)
            try await near.write([1])
            world.after(.seconds(2)) { world.network.heal() }
            #expect(try await far.read(atMost: 10) == [1])
            #expect(world.now().nanoseconds >= 3_000_000_000)
            world.network.block(from: 2, to: 1)
            try await far.write([2])
            #expect(try await near.read(atMost: 10) == [2], "the other way is open")
            try await near.write([3])
            await #expect(throws: NetworkError.self) { _ = try await far.read(atMost: 10) }
            world.network.heal()
            await #expect(throws: NetworkError.self) { _ = try await client.connect(to: .ip("10.0.0.9", port: 80)) }
            let next = try await client.connect(to: listener.endpoint)
            world.network.crash(1)
            await #expect(throws: NetworkError.self) { _ = try await next.read(atMost: 10) }
            await #expect(throws: NetworkError.self) { _ = try await client.connect(to: listener.endpoint) }
        }
    }

    @Test func losesRepeatsAndReordersMessages() throws {
        let world = SimWorld(seed: 5)
        world.network.weather = .foul
        let notes = Notes()
        try world.run {
            for number in 0..<1000 { world.network.carry(from: 1, to: 2) { notes.add("\(number)") } }
            try await world.sleep(for: .seconds(10))
            world.network.partition([[1], [2, 3]])
            world.network.carry(from: 1, to: 2) { notes.add("never") }
            world.network.carry(from: 3, to: 2) { notes.add("within") }
            try await world.sleep(for: .seconds(10))
        }
        let arrived = notes.all.compactMap { Int($0) }
        #expect(Set(arrived).count < 1000 && Set(arrived).count > 900)
        #expect(arrived.count > Set(arrived).count)
        #expect(arrived != arrived.sorted())
        #expect(!notes.all.contains("never"))
    }
}
