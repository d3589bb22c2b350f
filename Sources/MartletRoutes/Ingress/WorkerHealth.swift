public import MartletBase

/// Which workers' ingresses answer an edge that asks each of them time and again. A pure value: it is told of answers,
/// and says when to ask next.
public struct WorkerHealth: Sendable {
    /// The host that is asked for. Nobody has it (RFC 6761), and no route of an ingress leads there.
    public static let host = "health.martlet.invalid"
    /// How often a worker is asked, give or take a quarter: edges that began together do not go on so.
    public static let every = Duration.seconds(2)
    /// How soon one is asked again whose last answer was another than those before.
    public static let again = Duration.milliseconds(500)
    /// How long it may take to answer.
    public static let patience = Duration.seconds(2)
    /// So many bad answers in a row, or good ones, make up the edge's mind.
    public static let streak = 2

    /// What an edge thinks of a worker from now on.
    public enum Change: Sendable, Hashable {
        /// It does not answer: others go first.
        case leftOut
        /// It answers again.
        case takenBack
    }

    private struct Record {
        var isWell = true
        /// How many answers in a row say otherwise.
        var contrary = 0
    }
    private var records: [Endpoint: Record] = [:]
    /// Those that do not answer.
    public private(set) var unwell: Set<Endpoint> = []
    /// How many answers were good so far.
    public private(set) var good: UInt64 = 0
    /// How many were bad, or did not come.
    public private(set) var bad: UInt64 = 0

    /// No worker is known.
    public init() {}

    /// How many workers are known.
    public var count: Int { records.count }

    /// Knows these workers and no others. New ones are taken for well until they are asked.
    public mutating func keep(only known: Set<Endpoint>) {
        records = records.filter { known.contains($0.key) }
        unwell.formIntersection(known)
        for endpoint in known where records[endpoint] == nil { records[endpoint] = Record() }
    }

    /// How long to wait before a worker is asked next.
    /// - Parameter draw: 64 random bits.
    public func pause(before endpoint: Endpoint, draw: UInt64) -> Duration {
        if let record = records[endpoint], record.contrary > 0 { return Self.again }
        let half = Self.every.nanoseconds / 2
        return .nanoseconds(half * 3 / 2 + Int64(draw % UInt64(half)))
    }

    /// A worker has answered, or has not.
    public mutating func judge(_ endpoint: Endpoint, answered: Bool) -> Change? {
        guard var record = records[endpoint] else { return nil }
        if answered { good += 1 } else { bad += 1 }
        record.contrary = answered == record.isWell ? 0 : record.contrary + 1
        defer { records[endpoint] = record }
        guard record.contrary >= Self.streak else { return nil }
        record = Record(isWell: answered)
        if answered { unwell.remove(endpoint) } else { unwell.insert(endpoint) }
        return answered ? .takenBack : .leftOut
    }
}
