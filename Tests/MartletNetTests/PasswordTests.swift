import Glibc
import Logging
import MartletBase
import MartletIO
import Synchronization
import Testing

@testable import MartletNet
@testable import MartletRoutes

/// A hash that takes as long as the test wants, and holds a thread meanwhile.
private final class SlowHash: Sendable {
    private let state = Mutex((asked: [String](), isOpen: false))
    var asked: [String] { state.withLock { $0.asked } }

    func matches(_ password: String, _ hash: String) -> Bool? {
        state.withLock { $0.asked.append(password) }
        while !state.withLock({ $0.isOpen }) { _ = poll(nil, 0, 1) }
        return password == hash
    }
    func open() { state.withLock { $0.isOpen = true } }
}

@Suite("Passwords that are slow to check") struct PasswordTests {
    private let rules = BasicAuthentication(realm: "r", hashes: ["ann": "good"])
    private let web = RouteOrigin(kind: "Ingress", namespace: "n", name: "web")

    private func run(_ body: (PasswordChecks, SlowHash, Reactor) async throws -> Void) async throws {
        let world = try Reactor()
        let hash = SlowHash()
        try await withTaskExecutorPreference(world.executor) {
            let checks = PasswordChecks(in: world, logger: Logger(label: "test"), matches: hash.matches)
            defer { checks.close() }
            defer { hash.open() }
            try await body(checks, hash, world)
        }
        world.shutdown()
    }

    private func field(_ password: String) -> String { "Basic " + Base64.encode(Array("ann:\(password)".utf8)) }

    @Test("many requests with the same password cost one hash, and those behind them none")
    func once() async throws {
        try await run { checks, hash, world in
            try await withThrowingTaskGroup(of: PasswordVerdict.self) { group in
                for _ in 0..<100 {
                    group.addTask { await checks.judge(field("good"), rules, of: IPAddress("192.0.2.1"), to: web) }
                }
                while hash.asked.isEmpty { try await world.sleep(for: .milliseconds(1)) }
                hash.open()
                for try await verdict in group { #expect(verdict == .good) }
            }
            #expect(await checks.judge(field("good"), rules, of: IPAddress("192.0.2.2"), to: web) == .good)
            #expect(hash.asked == ["good"])
        }
    }

    @Test("a flood of wrong passwords is refused, and keeps no other host from its turn")
    func flood() async throws {
        try await run { checks, hash, world in
            let shop = RouteOrigin(kind: "Ingress", namespace: "n", name: "shop")
            try await withThrowingTaskGroup(of: PasswordVerdict.self) { group in
                for number in 0..<PasswordLine.mostOfOne + 3 {
                    group.addTask {
                        await checks.judge(field("wrong \(number)"), rules, of: IPAddress("192.0.2.1"), to: web)
                    }
                }
                while hash.asked.isEmpty { try await world.sleep(for: .milliseconds(1)) }
                async let good = checks.judge(field("good"), rules, of: IPAddress("192.0.2.2"), to: shop)
                // Each asks for its place before the first hash is done.
                for _ in 0..<200 { await Task.yield() }
                hash.open()
                var verdicts: [PasswordVerdict] = []
                for try await verdict in group { verdicts.append(verdict) }
                #expect(await good == .good)
                #expect(verdicts.count { $0 == .unknown(.tooManyOfOne) } == 3)
                #expect(verdicts.count { $0 == .bad } == PasswordLine.mostOfOne)
            }
            let place = try #require(hash.asked.firstIndex(of: "good"))
            #expect(place <= 2, "at most one of the other host's goes between")
        }
    }
}
