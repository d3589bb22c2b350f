public import MartletRaft
internal import MartletReplica
public import MartletSimulation
public import MartletStore

/// A mistake made on purpose in one of the rooms.
public enum ClusterMutation: Sendable, Hashable, CustomStringConvertible {
    /// In Raft's rules.
    case raft(RaftMutation)
    /// In the store.
    case store(StoreMutation)
    /// In the log's device.
    case disk(DiskMutation)
    /// In what a replica does with them.
    case replica(ReplicaMutation)

    /// All of them.
    public static var all: [ClusterMutation] {
        RaftMutation.allCases.map(raft) + StoreMutation.allCases.map(store) + DiskMutation.allCases.map(disk)
            + ReplicaMutation.allCases.map(replica)
    }

    /// The mutation of that name.
    public init?(name: String) {
        guard let found = Self.all.first(where: { $0.description == name }) else { return nil }
        self = found
    }

    /// Its name.
    public var description: String {
        switch self {
        case .raft(let mutation): "\(mutation)"
        case .store(let mutation): "\(mutation)"
        case .disk(let mutation): "\(mutation)"
        case .replica(let mutation): "\(mutation)"
        }
    }
}

/// Mistakes in the simulated shell around a replica.
public enum ReplicaMutation: String, Sendable, Hashable, CaseIterable {
    /// A client's write is answered as soon as it was proposed.
    case answersEarly
    /// A linearizable read asks nobody.
    case skipsConfirmation
    /// A watch that begins again begins one revision late.
    case resumesLate
}

/// What is simulated.
public struct ClusterPlan: Sendable {
    /// How many members the cluster begins with; nil: 3 or 5, as the seed says.
    public var members: Int?
    /// For how long there are faults and load.
    public var duration: Duration
    /// What is planted.
    public var mutation: ClusterMutation?
    /// The kinds of faults; nil: as the seed says.
    public var faults: [Fault]?
    /// A folder for checkpoints, best in memory. Each run makes one of its own in it and removes it.
    public var directory: String
    /// How many lines of the story are kept.
    public var traceLines: Int

    /// A plan.
    public init(
        members: Int? = 3, duration: Duration = .seconds(30), mutation: ClusterMutation? = nil,
        directory: String = "/dev/shm", traceLines: Int = 0
    ) {
        self.members = members
        self.duration = duration
        self.mutation = mutation
        self.directory = directory
        self.traceLines = traceLines
    }
}

/// A kind of misfortune.
public enum Fault: String, Sendable, Hashable, CaseIterable {
    /// A member's machine loses power, and starts again.
    case crash
    /// All of them do.
    case crashAll
    /// A member's process is stopped for a while.
    case pause
    /// The network falls into two parts.
    case partition
    /// Nothing passes from one member to another.
    case oneWay
    /// The network gets better or worse.
    case weather
    /// A disk takes long.
    case diskStall
    /// A disk is full.
    case diskFull
    /// A sync fails.
    case diskError
    /// Leadership is handed over.
    case transfer
    /// A member is removed, and a new one joins.
    case replace
    /// A disk rots while its member is down; the member is replaced.
    case rot
}

/// What one seed makes of a plan.
struct ClusterProfile: Sendable {
    var members: Int
    var clients: Int
    var keys: Int
    var watchers: Int
    /// Between two calls of a client.
    var pause: Duration
    /// Between two misfortunes.
    var respite: ClosedRange<Duration>
    var faults: [Fault]
    var checkpointEntries: Int
    var logMargin: UInt64
    var historyLimit: Int
    var leaseReads: Bool
    var encodes: Bool
    var network: NetworkWeather
    var disk: DiskWeather

    init(_ plan: ClusterPlan, _ chance: Chance) {
        members = plan.members ?? chance.pick(3, 3, 5)
        clients = chance.number(2...8)
        keys = chance.number(2...10)
        watchers = chance.number(1...4)
        pause = .milliseconds(chance.pick(10, 30, 100))
        let shortest = chance.pick(100, 500, 2000)
        respite = .milliseconds(shortest) ... .milliseconds(shortest * 4)
        // Each kind is on in every second run: some faults hide others.
        let drawn: [Fault] = chance.one(in: 20) ? [] : Fault.allCases.filter { _ in chance.one(in: 2) }
        faults = plan.faults ?? drawn
        checkpointEntries = chance.pick(30, 200, 2000)
        logMargin = UInt64(chance.pick(3, 30, 300))
        historyLimit = chance.pick(40, 400, 10_000)
        leaseReads = false
        encodes = chance.one(in: 4)
        network = chance.one(in: 3) ? .foul : .fair
        disk = chance.one(in: 3) ? DiskWeather(stallOneIn: 500) : DiskWeather()
    }
}
