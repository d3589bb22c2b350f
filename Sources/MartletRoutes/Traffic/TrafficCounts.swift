internal import MartletBase

/// What went wrong between a proxy and the endpoints of one request.
public struct UpstreamFaults: Sendable, Hashable {
    /// Endpoints that took no connection.
    public var unreachable = 0
    /// Endpoints that did not answer in time.
    public var late = 0
    /// Connections that broke before an answer.
    public var broken = 0

    /// None.
    public init() {}

    /// Adds others.
    public mutating func add(_ others: UpstreamFaults) {
        unreachable += others.unreachable
        late += others.late
        broken += others.broken
    }

    /// Whether there was none.
    public var isEmpty: Bool { unreachable == 0 && late == 0 && broken == 0 }
}

/// Counts the requests of an edge or an ingress, for Prometheus. A pure value.
public struct TrafficCounts: Sendable {
    /// So many routes have rows of their own. When there are more all of them begin anew, as after a restart.
    public static let routes = 4096
    /// Upper bounds of the durations' buckets, in milliseconds: Prometheus' own.
    private static let bounds = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]
    private static let classes = 5

    /// What is known beside what was counted.
    public struct Gauges: Sendable {
        /// Clients' connections that are open.
        public var connections = 0
        /// Upgraded connections that are open.
        public var upgraded = 0
        /// Endpoints that are left alone because they failed too often.
        public var ejected = 0
        /// Lines that the access log had no room for.
        public var droppedLines: UInt64 = 0
        /// What an edge knows of the workers; nil for who asks none.
        public var workers: WorkerHealth?

        /// All zero.
        public init() {}
    }

    private struct Row {
        /// By class of status, `1xx` first.
        var statuses: InlineArray<5, UInt64> = .init(repeating: 0)
    }
    private var rows: [RouteOrigin: Row] = [:]
    private var routeless = Row()
    private var buckets = [UInt64](repeating: 0, count: Self.bounds.count + 1)
    private var nanoseconds: Int64 = 0
    private var faults = UpstreamFaults()
    private var retries: UInt64 = 0

    /// Nothing was counted yet.
    public init() {}

    /// Counts a request that has been answered.
    /// - Parameters:
    ///   - route: the rule that it went by; nil for none.
    ///   - tries: how many endpoints were tried.
    public mutating func count(
        _ route: RouteOrigin?, status: Int, took duration: Duration, tries: Int, _ faults: UpstreamFaults
    ) {
        let statusClass = min(max(status / 100 - 1, 0), Self.classes - 1)
        if let route {
            if rows.count >= Self.routes, rows[route] == nil { rows = [:] }
            rows[route, default: Row()].statuses[statusClass] += 1
        } else {
            routeless.statuses[statusClass] += 1
        }
        let milliseconds = duration.nanoseconds / 1_000_000
        buckets[Self.bounds.firstIndex { milliseconds < $0 } ?? Self.bounds.count] += 1
        nanoseconds &+= max(0, duration.nanoseconds)
        if tries > 1 { retries += UInt64(tries - 1) }
        if faults.isEmpty { return }
        self.faults.add(faults)
    }

    /// Prometheus' text format.
    public func text(_ part: AccessEntry.Part, _ gauges: Gauges) -> String {
        var text = PrometheusText(prefix: "martlet_\(part.rawValue)_")
        text.family("requests_total", "counter", "Requests answered, by route and class of status.")
        var all = rows.map { ($0.key, $0.value) }
        all.sort { ($0.0.namespace, $0.0.name, $0.0.kind) < ($1.0.namespace, $1.0.name, $1.0.kind) }
        for (origin, row) in all {
            let labels = "kind=\"\(origin.kind)\",namespace=\"\(origin.namespace)\",name=\"\(origin.name)\","
            Self.rows(row, labels, &text)
        }
        Self.rows(routeless, "", &text)
        text.family("request_duration_seconds", "histogram", "From a request's head to its answer's last byte.")
        var total: UInt64 = 0
        for (index, count) in buckets.enumerated() {
            total += count
            let bound = index < Self.bounds.count ? Self.written(Self.bounds[index]) : "+Inf"
            text.line("request_duration_seconds_bucket", "le=\"\(bound)\"", "\(total)")
        }
        text.line("request_duration_seconds_sum", "", "\(Double(nanoseconds) / 1e9)")
        text.line("request_duration_seconds_count", "", "\(total)")
        text.family("upstream_errors_total", "counter", "Endpoints that did not answer a request, by the reason.")
        text.line("upstream_errors_total", "reason=\"unreachable\"", "\(faults.unreachable)")
        text.line("upstream_errors_total", "reason=\"timeout\"", "\(faults.late)")
        text.line("upstream_errors_total", "reason=\"broken\"", "\(faults.broken)")
        text.family("upstream_retries_total", "counter", "Requests that went on to a further endpoint.")
        text.line("upstream_retries_total", "", "\(retries)")
        text.family("connections", "gauge", "Clients' connections that are open.")
        text.line("connections", "", "\(gauges.connections)")
        text.family("upgraded_connections", "gauge", "WebSockets and other upgraded connections that are open.")
        text.line("upgraded_connections", "", "\(gauges.upgraded)")
        text.family("endpoints_ejected", "gauge", "Endpoints that are left alone because they failed too often.")
        text.line("endpoints_ejected", "", "\(gauges.ejected)")
        text.family("access_log_dropped_total", "counter", "Lines that the access log had no room for.")
        text.line("access_log_dropped_total", "", "\(gauges.droppedLines)")
        if let workers = gauges.workers { Self.told(of: workers, &text) }
        return text.text
    }

    private static func told(of workers: WorkerHealth, _ text: inout PrometheusText) {
        text.family("workers", "gauge", "Workers whose ingress is known, by whether it answers when it is asked.")
        text.line("workers", "state=\"healthy\"", "\(workers.count - workers.unwell.count)")
        text.line("workers", "state=\"unhealthy\"", "\(workers.unwell.count)")
        text.family("worker_checks_total", "counter", "How often workers' ingresses were asked, by the result.")
        text.line("worker_checks_total", "result=\"success\"", "\(workers.good)")
        text.line("worker_checks_total", "result=\"failure\"", "\(workers.bad)")
    }

    /// Rows of no request are left out.
    private static func rows(_ row: Row, _ labels: String, _ text: inout PrometheusText) {
        for index in 0..<classes where row.statuses[index] > 0 {
            text.line("requests_total", "\(labels)code=\"\(index + 1)xx\"", "\(row.statuses[index])")
        }
    }

    /// Milliseconds as seconds, as short as may be.
    private static func written(_ milliseconds: Int) -> String {
        milliseconds % 1000 == 0 ? "\(milliseconds / 1000)" : "\(Double(milliseconds) / 1000)"
    }
}
