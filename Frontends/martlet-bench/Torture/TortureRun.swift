import Foundation
import MartletBase
import MartletEtcdClient
import MartletEtcdMessages
import MartletHTTP
import MartletIO
import MartletSimulation

/// One run: the clients, and what is done to the members meanwhile.
actor Torture {
    /// What is done to members.
    enum Blow: String, CaseIterable {
        case killOne = "kill one"
        case killLeader = "kill the leader"
        case stopOne = "stop one"
        case stopLeader = "stop the leader"
        case killTwo = "kill two"
        case killAll = "kill all"
    }

    /// How often, and how soon writes were answered again.
    struct Tally {
        var count = 0
        /// Nanoseconds from the blow (or, where it took the majority, from its end) to the next answered write.
        var recoveries: [UInt64] = []
    }

    private let world: Reactor
    private let processes: StoreProcesses
    private let clients: [EtcdClient]
    private var random: SplitMix64
    private let history = TortureHistory()
    private var tallies: [Blow: Tally] = [:]
    private var isOver = false
    private var nextValue: UInt64 = 0
    /// Keys are given up after so many calls, so that each history stays short enough to be judged.
    private static let callsPerGeneration = 400
    private static let keysPerGeneration = 4

    /// A run over these members.
    init(program: String, members: Int, folder: String, seed: UInt64, in world: Reactor) async throws {
        self.world = world
        let processes = try await StoreProcesses(program: program, count: members, folder: folder, in: world)
        clients = try processes.clients()
        self.processes = processes
        random = SplitMix64(seed: seed)
    }

    /// Runs it; false when something was found.
    func run(clients count: Int, seconds: Int) async throws -> Bool {
        for number in processes.members.indices { try processes.start(number) }
        do {
            try await settle("the start")
            let end = world.now() + .seconds(seconds)
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<count { group.addTask { await self.load() } }
                group.addTask { await self.fight(until: end) }
                group.addTask { await self.report(until: end) }
            }
            try await settle("the end")
            try await readAll()
            try await compare()
        } catch {
            print("found: \(error)")
            await processes.killAll()
            return false
        }
        await processes.killAll()
        return judge()
    }

    // MARK: Load

    private func load() async {
        var generation = -1
        var lastSeen: [String: UInt64?] = [:]
        while !isOver {
            let now = (history.answered + history.unknown) / Self.callsPerGeneration
            if now != generation {
                generation = now
                lastSeen = [:]
            }
            let key = "torture/\(generation)/\(random.next() % UInt64(Self.keysPerGeneration))"
            let client = clients[Int(random.next() % UInt64(clients.count))]
            nextValue += 1
            let input: RegisterModel.Input =
                switch random.next() % 4 {
                case 0: .put(nextValue)
                case 1: .swap(lastSeen[key] ?? nil, nextValue)
                default: .get
                }
            let seen = await call(client, key, input)
            if let seen { lastSeen[key] = seen }
        }
    }

    /// Makes one call and notes it; returns what the key is now known to hold.
    private func call(_ client: EtcdClient, _ key: String, _ input: RegisterModel.Input) async -> UInt64?? {
        let start = world.now().nanoseconds
        var output: RegisterModel.Output?
        var seen: UInt64??
        do {
            switch input {
            case .get:
                let value = try await client.get(key).flatMap { UInt64($0) }
                (output, seen) = (.value(value), value)
            case .put(let value):
                try await client.put(key, String(value))
                (output, seen) = (.done, value)
            case .swap(let expected, let value):
                let done = try await client.swap(key, from: expected.map(String.init), to: String(value))
                output = .swapped(done)
                if done { seen = value }
            case .delete, .choose: break
            }
        } catch {
            // A member that is down refuses the connection: that call has never been made. The others are asked next.
            try? await world.sleep(for: .milliseconds(50))
            if let status = error as? GRPCStatus, status.message.contains("connect to") { return nil }
        }
        let end = output == nil ? nil : world.now().nanoseconds
        history.note(key, ConcurrentCall(start: start, end: end, input: input, output: output))
        return seen
    }

    // MARK: Blows

    private func fight(until end: MonotonicTime) async {
        while world.now() < end {
            await pause(1000...3000)
            let blow = Blow.allCases[Int(random.next() % UInt64(Blow.allCases.count))]
            await strike(blow)
        }
        isOver = true
    }

    private func pause(_ milliseconds: ClosedRange<UInt64>) async {
        let span = milliseconds.upperBound - milliseconds.lowerBound
        try? await world.sleep(for: .milliseconds(Int64(milliseconds.lowerBound + random.next() % span)))
    }

    private func strike(_ blow: Blow) async {
        let all = Array(processes.members.indices)
        let one = Int(random.next() % UInt64(all.count))
        let victims: [Int]
        switch blow {
        case .killOne, .stopOne: victims = [one]
        case .killLeader, .stopLeader: victims = [await leader() ?? one]
        case .killTwo: victims = [one, (one + 1) % all.count]
        case .killAll: victims = all
        }
        let takesMajority = victims.count > (all.count - 1) / 2
        let isStop = blow == .stopOne || blow == .stopLeader
        var since = world.now()
        for victim in victims {
            if isStop { processes.stop(victim) } else { await processes.kill(victim) }
        }
        if !takesMajority { await noteRecovery(from: blow, since: since) }
        await pause(200...3000)
        for victim in victims {
            if isStop { processes.resume(victim) } else { try? processes.start(victim) }
        }
        if takesMajority {
            since = world.now()
            await noteRecovery(from: blow, since: since)
        }
        tallies[blow, default: Tally()].count += 1
    }

    /// Waits for a write that began and was answered after `since`.
    private func noteRecovery(from blow: Blow, since: MonotonicTime) async {
        let limit = since + .seconds(20)
        while history.lastWriteBegun <= since, world.now() < limit { try? await world.sleep(for: .milliseconds(5)) }
        tallies[blow, default: Tally()].recoveries.append(UInt64((world.now() - since).nanoseconds))
    }

    private func leader() async -> Int? {
        for client in clients {
            guard let status = try? await client.status(), status.leader != 0 else { continue }
            for (number, other) in clients.enumerated() where processes.isUp(number) {
                if let its = try? await other.status(), its.header.memberID == status.leader { return number }
            }
        }
        return nil
    }

    /// Prints at once, also into a file or a pipe, where people read the progress.
    private static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

    private func report(until end: MonotonicTime) async {
        while world.now() < end, !isOver {
            try? await world.sleep(for: .seconds(10))
            let left = max(0, (end - world.now()).nanoseconds / 1_000_000_000)
            let blows = tallies.values.reduce(0) { $0 + $1.count }
            Self.say("   \(left) s to go: \(history.answered) answers, \(history.unknown) without one, \(blows) blows")
        }
    }

    // MARK: The end

    /// Waits until each member answers a linearizable read.
    private func settle(_ when: String) async throws {
        let limit = world.now() + .seconds(30)
        for (number, client) in clients.enumerated() {
            while (try? await client.get("settled") ?? "absent") == nil {
                guard world.now() < limit else { throw Found("\(processes.members[number].name) is stuck at \(when)") }
                try? await world.sleep(for: .milliseconds(50))
            }
        }
    }

    /// One last read of each key, from each member: what was acknowledged must be there.
    private func readAll() async throws {
        for (number, key) in history.keys.enumerated() {
            _ = await call(clients[number % clients.count], key, .get)
        }
    }

    /// All members hold the same.
    private func compare() async throws {
        let revision = try await clients[0].status().header.revision
        var hashes: [UInt32] = []
        for client in clients {
            _ = try await client.get("settled")
            hashes.append(try await client.hash(at: revision).hash)
        }
        guard Set(hashes).count == 1 else { throw Found("the members differ at revision \(revision): \(hashes)") }
    }

    private func judge() -> Bool {
        print("== What was done, and how soon a write was answered again (ms)")
        for blow in Blow.allCases {
            guard let tally = tallies[blow] else { continue }
            let sorted = tally.recoveries.sorted()
            let figures =
                sorted.isEmpty
                ? "" : "median \(sorted[sorted.count / 2] / 1_000_000), worst \(sorted[sorted.count - 1] / 1_000_000)"
            print(
                "   " + blow.rawValue.padding(toLength: 18, withPad: " ", startingAt: 0)
                    + "\(tally.count) times   \(figures)")
        }
        print(
            "== \(history.answered) answers, \(history.unknown) calls without one, \(history.keys.count) keys: judging")
        let (violated, unjudged) = history.judge()
        for key in violated.prefix(3) { print("found: \(key) is not linearizable:\n\(history.story(of: key))") }
        if !unjudged.isEmpty { print("   \(unjudged.count) keys took too long to judge: \(unjudged.prefix(5))") }
        return violated.isEmpty && unjudged.isEmpty
    }
}

/// What a run found.
struct Found: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
