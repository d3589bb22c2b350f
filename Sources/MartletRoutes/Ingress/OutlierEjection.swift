public import MartletBase

/// Which endpoints are left alone for a while because they failed too often in a row (Envoy's outlier detection). A
/// pure value: it is told of outcomes and of the time.
public struct OutlierEjection: Sendable {
    /// When an endpoint is ejected, and for how long.
    public struct Limits: Sendable {
        /// So many failures in a row eject.
        public var failures = 5
        /// How long the first ejection lasts; the second twice as long, and so on.
        public var base: Duration = .seconds(30)
        /// How long an ejection lasts at most.
        public var longest: Duration = .seconds(300)
        /// So many percent of a Service's endpoints may be ejected at a time; one always may.
        public var percent = 10

        /// The usual limits.
        public init() {}
    }

    private struct Record: Sendable {
        /// Failures in a row.
        var failures = 0
        /// How often it was ejected, less one for each ``Limits/base`` that it has done well since.
        var ejections = 0
        /// Until when it is ejected, or from when on it does well.
        var until: MonotonicTime?
    }
    private var records: [Endpoint: Record] = [:]
    private let limits: Limits

    /// Nobody has failed yet.
    public init(_ limits: Limits = Limits()) { self.limits = limits }

    /// Whether nothing is known of anybody: nobody has failed for a while.
    public var isQuiet: Bool { records.isEmpty }

    /// Whether an endpoint has not failed for a while.
    public func isQuiet(of endpoint: Endpoint) -> Bool { records[endpoint] == nil }

    /// Whether an endpoint is ejected now.
    public func isEjected(_ endpoint: Endpoint, at now: MonotonicTime) -> Bool {
        guard let record = records[endpoint], record.ejections > 0, let until = record.until else { return false }
        return now < until
    }

    /// How many endpoints are ejected now.
    public func ejected(at now: MonotonicTime) -> Int { records.keys.count { isEjected($0, at: now) } }

    /// An endpoint has answered, with no fault of its own.
    public mutating func succeeded(_ endpoint: Endpoint, at now: MonotonicTime) {
        guard var record = records[endpoint] else { return }
        record.failures = 0
        if let until = record.until, now >= until + limits.base {
            record.ejections -= 1
            record.until = now
        }
        records[endpoint] = record.ejections > 0 ? record : nil
    }

    /// An endpoint took no connection, broke off, or answered with a 5xx status. True when that ejects it.
    /// - Parameter all: the endpoints of its Service.
    public mutating func failed(_ endpoint: Endpoint, among all: [Endpoint], at now: MonotonicTime) -> Bool {
        var record = records[endpoint] ?? Record()
        record.failures += 1
        defer { records[endpoint] = record }
        guard record.failures >= limits.failures, !isEjected(endpoint, at: now) else { return false }
        let ejected = all.count { isEjected($0, at: now) }
        guard ejected < max(1, all.count * limits.percent / 100) else { return false }
        record.failures = 0
        record.ejections += 1
        record.until = now + min(limits.longest, limits.base * record.ejections)
        return true
    }

    /// Forgets all other endpoints: this bounds what is kept by what the tables name.
    public mutating func keep(only known: Set<Endpoint>) {
        if !records.isEmpty { records = records.filter { known.contains($0.key) } }
    }
}
