public import Logging
public import MartletBase
internal import MartletRaft
internal import MartletStore

/// What a replica is made of, beside its state and its log.
struct ReplicaParts: Sendable {
    var pace = CheckpointPace()
    var history = HistoryLimits()
    var peers: PeerConfiguration?
    var transport: (any PeerTransport)?
    var leaseReads = false
    var mutations = ReplicaMutations()
    var observer: (any ReplicaObserver)?
}

extension Replica {
    /// Opens the files, replays what the log holds past the checkpoint, and takes part in its group. A group of one
    /// leads, and has applied its log, when this returns.
    /// - Throws: ``LogError``, ``NetworkError`` or ``ReplicaError``.
    public static func open(_ configuration: ReplicaConfiguration, in world: any World, logger: Logger) async throws
        -> Replica
    {
        var parts = ReplicaParts()
        parts.history = HistoryLimits(revisions: configuration.historyLimit)
        parts.peers = configuration.peers
        parts.leaseReads = configuration.leaseReads
        guard !configuration.directory.isEmpty else {
            return try await open(on: MemoryLog(), beside: nil, parts, in: world, logger: logger)
        }
        // What cannot be is said before anything is written.
        if let peers = configuration.peers, DataFolder.isNew(configuration.directory) { try peers.checkBootstrap() }
        let (folder, log) = try await DataFolder.open(configuration.directory)
        if let torn = folder.torn { logger.warning("\(torn)") }
        do {
            return try await open(on: log, beside: folder, parts, in: world, logger: logger)
        } catch {
            await log.close()
            await folder.close()
            throw error
        }
    }

    /// Opens a replica on a log device alone, without a checkpoint: all of the log is replayed. For simulated disks
    /// and networks.
    /// - Parameters:
    ///   - peers: which member it is; nil: a group of one. Its listening endpoint is not used when there is a
    ///     `transport`.
    ///   - transport: the way to the others; nil: streams of the world.
    /// - Throws: ``LogError``, ``NetworkError`` or ``ReplicaError``.
    public static func open(
        on device: any LogDevice, historyLimit: Int = 10_000, peers: PeerConfiguration? = nil,
        transport: (any PeerTransport)? = nil, leaseReads: Bool = false, mutations: ReplicaMutations = .init(),
        in world: any World, logger: Logger
    ) async throws -> Replica {
        var parts = ReplicaParts()
        parts.history = HistoryLimits(revisions: historyLimit)
        parts.peers = peers
        parts.transport = transport
        parts.leaseReads = leaseReads
        parts.mutations = mutations
        return try await open(on: device, beside: nil, parts, in: world, logger: logger)
    }

    /// Opens a replica on a log device and the checkpoint in `folder`. A new one begins with `genesis`, or as its
    /// configuration says, or as a group of one.
    static func open(
        on device: any LogDevice, beside folder: DataFolder?, genesis: Genesis? = nil, historyLimit: Int = 10_000,
        pace: CheckpointPace = CheckpointPace(), in world: any World, logger: Logger
    ) async throws -> Replica {
        var parts = ReplicaParts()
        parts.history = HistoryLimits(revisions: historyLimit)
        parts.pace = pace
        return try await open(on: device, beside: folder, genesis: genesis, parts, in: world, logger: logger)
    }

    static func open(
        on device: any LogDevice, beside folder: DataFolder?, genesis given: Genesis? = nil, _ parts: ReplicaParts,
        in world: any World, logger: Logger
    ) async throws -> Replica {
        var parts = parts
        var genesis = given
        if genesis == nil {
            // A folder with data knows who it is; a bare log must be told each time.
            let isNeeded = folder?.isNew ?? true
            if let peers = parts.peers {
                if isNeeded { genesis = try await peers.genesis(in: world, logger: logger) }
            } else {
                genesis = .alone(.drawn(in: world), name: "", peerURLs: [], clientURLs: [])
            }
        }
        let state = try await StartingState.open(device, folder, genesis: genesis, history: parts.history)
        if let name = parts.peers?.name { try state.checkName(name, in: folder) }
        let log = try await RecoveredLog(reading: device, from: state.base, in: folder)
        if let peers = parts.peers, parts.transport == nil {
            parts.transport = StreamPeerTransport(
                cluster: state.identity.cluster, member: MemberID(state.identity.member), listeningOn: peers.listen,
                security: peers.security, in: world, logger: logger)
        }
        let replica = try Replica(
            from: state, log: log, device: device, folder: folder, parts, in: world, logger: logger)
        do {
            try await replica.start()
        } catch {
            await parts.transport?.close()
            throw error
        }
        return replica
    }

    /// Brings the member up. A group of one leads, and has applied its log, when this returns.
    private func start() async throws {
        if let transport {
            try await transport.start(self)
            connectPeers()
        }
        if isAlone { core.step(.tick, into: &effects) }
        settle()
        while let driver { await driver.value }
        if let stopReason { throw ReplicaError.stopped(stopReason) }
        ticker = world.spawn { [world, weak self] in
            while (try? await world.sleep(for: Limits.tick)) != nil, let replica = self { await replica.tick() }
        }
    }

    /// Whether this member is its whole group.
    var isAlone: Bool { core.membership.all == [core.member] }
}
