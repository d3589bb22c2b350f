import MartletBase
import MartletRoutes
import Testing

@Suite("Workers that an edge asks whether they serve") struct WorkerHealthTests {
    private let one = Endpoint.ip("192.0.2.11", port: 31080)
    private let two = Endpoint.ip("192.0.2.12", port: 31080)

    private func known() -> WorkerHealth {
        var health = WorkerHealth()
        health.keep(only: [one, two])
        return health
    }

    /// What each of these answers (`+`) and silences (`-`) came to: left out (`L`), taken back (`B`), or nothing (`.`).
    private func changes(_ answers: String) -> String {
        var health = known()
        return String(
            answers.map { answer in
                switch health.judge(one, answered: answer == "+") {
                case .leftOut: "L"
                case .takenBack: "B"
                case nil: "."
                }
            } as [Character])
    }

    @Test("two bad answers in a row leave a worker out, two good ones take it back")
    func streaks() {
        #expect(changes("+-+-+") == ".....")
        #expect(changes("--") == ".L")
        #expect(changes("----++++") == ".L...B..")
        #expect(changes("--+-+-++--") == ".L.....B.L")
    }

    @Test("others stay as they are, and one that goes and comes back is new")
    func keeping() {
        var health = known()
        #expect(health.count == 2 && health.unwell.isEmpty)
        _ = health.judge(one, answered: false)
        #expect(health.judge(one, answered: false) == .leftOut)
        #expect(health.unwell == [one])
        health.keep(only: [two])
        #expect(health.count == 1 && health.unwell.isEmpty)
        // An answer that was on its way when its worker went.
        #expect(health.judge(one, answered: true) == nil && health.good == 0 && health.bad == 2)
        health.keep(only: [one, two])
        #expect(health.unwell.isEmpty && health.judge(one, answered: false) == nil)
    }

    @Test("a worker is asked every two seconds or so, and soon again after an answer that is new")
    func pauses() {
        var health = known()
        var random = SplitMix64(seed: 5)
        let drawn = (0..<1000).map { _ in health.pause(before: one, draw: random.next()) }
        #expect(drawn.allSatisfy { $0 >= .milliseconds(1500) && $0 < .milliseconds(2500) })
        #expect(Set(drawn).count > 900)
        _ = health.judge(one, answered: false)
        #expect(health.pause(before: one, draw: 7) == WorkerHealth.again)
        #expect(health.pause(before: two, draw: 7) > WorkerHealth.again)
        _ = health.judge(one, answered: false)
        #expect(health.pause(before: one, draw: 7) > WorkerHealth.again)
        _ = health.judge(one, answered: true)
        #expect(health.pause(before: one, draw: 7) == WorkerHealth.again)
    }

    @Test("an edge's metrics tell of them")
    func metrics() {
        var gauges = TrafficCounts.Gauges()
        var health = known()
        for _ in 0..<2 { _ = health.judge(one, answered: false) }
        for _ in 0..<3 { _ = health.judge(two, answered: true) }
        gauges.workers = health
        let lines = TrafficCounts().text(.edge, gauges).split(separator: "\n")
        #expect(lines.contains("martlet_edge_workers{state=\"healthy\"} 1"))
        #expect(lines.contains("martlet_edge_workers{state=\"unhealthy\"} 1"))
        #expect(lines.contains("martlet_edge_worker_checks_total{result=\"success\"} 3"))
        #expect(lines.contains("martlet_edge_worker_checks_total{result=\"failure\"} 2"))
    }
}
