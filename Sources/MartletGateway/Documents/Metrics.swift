internal import MartletBase
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
        var code: Int

        /// Prometheus' form of it, without the braces.
        var text: String {
            "code=\"\(code)\",group=\"\(group)\",resource=\"\(resource)\",subresource=\"\(subresource)\","
                + "verb=\"\(verb)\",version=\"\(version)\""
        }
    }

    private struct State {
        var counts: [Label: UInt64] = [:]
        var buckets = [UInt64](repeating: 0, count: Metrics.bounds.count + 1)
        var seconds = 0.0
        var other: UInt64 = 0
    }

    /// Upper bounds of the duration's buckets, in seconds.
    private static let bounds = [0.005, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]
    private let state = Mutex(State())

    /// Counts one request and how long it took.
    func count(_ label: Label, took duration: Duration) {
        let seconds = Double(max(0, duration.nanoseconds)) / 1e9
        state.withLock { state in
            if state.counts[label] != nil || state.counts.count < Limits.metricRows {
                state.counts[label, default: 0] += 1
            } else {
                state.other += 1
            }
            let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
            state.buckets[bucket] += 1
            state.seconds += seconds
        }
    }

    /// Prometheus' text format.
    func text(inFlight: (reads: Int, writes: Int, longRunning: Int)) -> String {
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
        var total: UInt64 = 0
        for (index, count) in state.buckets.enumerated() {
            total += count
            let bound = index < Self.bounds.count ? "\(Self.bounds[index])" : "+Inf"
            lines.append("apiserver_request_duration_seconds_bucket{le=\"\(bound)\"} \(total)")
        }
        lines += [
            "apiserver_request_duration_seconds_sum \(state.seconds)",
            "apiserver_request_duration_seconds_count \(total)",
            "# HELP apiserver_current_inflight_requests Requests being answered now.",
            "# TYPE apiserver_current_inflight_requests gauge",
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} \(inFlight.writes)",
            "apiserver_current_inflight_requests{request_kind=\"readOnly\"} \(inFlight.reads)",
            "# HELP apiserver_longrunning_requests Watches and followed logs that are open now.",
            "# TYPE apiserver_longrunning_requests gauge",
            "apiserver_longrunning_requests \(inFlight.longRunning)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
