internal import MartletBase
internal import MartletObject
internal import Synchronization

/// Counts requests, under Kubernetes' names (apiserver_request_total, ...).
final class Metrics: Sendable {
    /// What a request is counted under.
    struct Label: Sendable, Hashable {
        var verb: String
        var group: String
        var version: String
        var resource: String
        var subresource: String
        var scope: Scope
        var isDryRun: Bool
        var code: Int

        /// How much a request is about.
        enum Scope: String, Sendable {
            case none = ""
            case resource
            case namespace
            case cluster
        }

        /// Prometheus' form of it, without the braces and the code.
        var target: String {
            "component=\"apiserver\",dry_run=\"\(isDryRun ? "All" : "")\",group=\"\(group)\",resource=\"\(resource)\","
                + "scope=\"\(scope.rawValue)\",subresource=\"\(subresource)\",verb=\"\(verb)\",version=\"\(version)\""
        }
        var text: String { "code=\"\(code)\",\(target)" }
    }

    private struct Durations {
        var buckets = [UInt64](repeating: 0, count: Metrics.bounds.count + 1)
        var seconds = 0.0

        mutating func add(_ seconds: Double) {
            buckets[Metrics.bounds.firstIndex { seconds <= $0 } ?? Metrics.bounds.count] += 1
            self.seconds += seconds
        }
    }

    private struct State {
        var counts: [Label: UInt64] = [:]
        /// By label with the code 0.
        var durations: [Label: Durations] = [:]
        /// Of what has no row of its own any more.
        var other: UInt64 = 0
        var otherDurations = Durations()
    }

    /// Upper bounds of the duration's buckets, in seconds: Kubernetes'.
    private static let bounds = [
        0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
    ]
    private let state = Mutex(State())

    /// Verbs of requests that last as long as the client wants.
    private static let lasting: Set<String> = ["WATCH", "CONNECT"]

    /// Counts one request and how long it took. Watches and streams are counted, and not timed.
    func count(_ label: Label, took duration: Duration) {
        let seconds = Double(max(0, duration.nanoseconds)) / 1e9
        var target = label
        target.code = 0
        state.withLock { state in
            if state.counts[label] != nil || state.counts.count < Limits.metricRows {
                state.counts[label, default: 0] += 1
            } else {
                state.other += 1
            }
            if Self.lasting.contains(label.verb) { return }
            if state.durations[target] != nil || state.durations.count < Limits.metricRows {
                state.durations[target, default: Durations()].add(seconds)
            } else {
                state.otherDurations.add(seconds)
            }
        }
    }

    /// Prometheus' text format.
    func text(inFlight: (reads: Int, writes: Int, longRunning: Int), objects: [(resource: String, count: Int)])
        -> String
    {
        let state = state.withLock { $0 }
        var lines = [
            "# HELP apiserver_request_total Requests answered, by verb, resource and HTTP status.",
            "# TYPE apiserver_request_total counter",
        ]
        for (label, count) in state.counts.sorted(by: { $0.key.text < $1.key.text }) {
            lines.append("apiserver_request_total{\(label.text)} \(count)")
        }
        if state.other > 0 { lines.append("apiserver_request_total{resource=\"other\"} \(state.other)") }
        lines += [
            "# HELP apiserver_request_duration_seconds Time until the answer's head, in seconds.",
            "# TYPE apiserver_request_duration_seconds histogram",
        ]
        for (label, durations) in state.durations.sorted(by: { $0.key.target < $1.key.target }) {
            lines += Self.histogram(durations, label.target)
        }
        if state.other > 0 { lines += Self.histogram(state.otherDurations, "resource=\"other\"") }
        lines += [
            "# HELP apiserver_current_inflight_requests Requests being answered now.",
            "# TYPE apiserver_current_inflight_requests gauge",
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} \(inFlight.writes)",
            "apiserver_current_inflight_requests{request_kind=\"readOnly\"} \(inFlight.reads)",
            "# HELP apiserver_longrunning_requests Watches and followed logs that are open now.",
            "# TYPE apiserver_longrunning_requests gauge",
            "apiserver_longrunning_requests \(inFlight.longRunning)",
            "# HELP apiserver_storage_objects Objects in the store, by resource.",
            "# TYPE apiserver_storage_objects gauge",
        ]
        lines += objects.map { "apiserver_storage_objects{resource=\"\($0.resource)\"} \($0.count)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func histogram(_ durations: Durations, _ labels: String) -> [String] {
        let name = "apiserver_request_duration_seconds"
        var total: UInt64 = 0
        var lines: [String] = []
        for (index, count) in durations.buckets.enumerated() {
            total += count
            lines.append("\(name)_bucket{\(labels),le=\"\(bound(index))\"} \(total)")
        }
        return lines + ["\(name)_sum{\(labels)} \(durations.seconds)", "\(name)_count{\(labels)} \(total)"]
    }

    /// As Kubernetes writes it, where rules look for `le="1"`.
    private static func bound(_ index: Int) -> String {
        guard index < bounds.count else { return "+Inf" }
        let bound = bounds[index]
        return bound == bound.rounded() ? "\(Int(bound))" : "\(bound)"
    }
}

extension Gateway {
    /// How many objects there are of each kind that is served.
    func objectCounts(_ catalog: KindCatalog) async -> [(resource: String, count: Int)] {
        var counts: [(resource: String, count: Int)] = []
        for kind in catalog.kinds where kind.isHome {
            let range = Keys.collection(kind, namespace: "")
            counts.append((kind.qualifiedPlural, await registry.storage.count(range)))
        }
        return counts
    }
}
