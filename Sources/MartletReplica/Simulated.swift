package import Logging
package import MartletBase
internal import MartletIO
package import MartletRaft
package import MartletStore

// What a simulation needs of a replica beyond what a program does.

/// Hears what a member applies, in order.
package protocol ReplicaObserver: Sendable {
    /// The member's state is now that after entry `index`: it has read its files, or installed a snapshot.
    func began(after index: UInt64, isSnapshot: Bool)
    /// An entry was applied.
    func applied(_ entry: RaftEntry, _ applied: Applied, stateHash: UInt64)
}

/// What a simulated replica is made of, beside its log.
package struct SimulatedParts: Sendable {
    /// Where its checkpoint is.
    package var folder: String
    /// Whether nothing is in it yet.
    package var isNew: Bool
    /// Told when the folder has all that a member needs to go on from.
    package var made: @Sendable () -> Void = {}
    /// Awaited before each piece of work on files; throws when the machine is dead.
    package var beforeFileWork: @Sendable () async throws -> Void = {}
    /// As for ``ReplicaConfiguration``.
    package var peers: PeerConfiguration
    /// The way to the others.
    package var transport: any PeerTransport
    /// As for ``ReplicaConfiguration``.
    package var historyLimit = 10_000
    /// A checkpoint is written after so many entries.
    package var checkpointEntries = 10_000
    /// So many entries before the checkpoint stay in the log.
    package var logMargin: UInt64 = 1000
    /// As for ``ReplicaConfiguration``.
    package var leaseReads = false
    /// What is planted.
    package var mutations = ReplicaMutations()
    /// Who hears of what is applied.
    package var observer: any ReplicaObserver

    /// A simulated replica's parts; the others are set afterwards.
    package init(
        folder: String, isNew: Bool, peers: PeerConfiguration, transport: any PeerTransport,
        observer: any ReplicaObserver
    ) {
        self.folder = folder
        self.isNew = isNew
        self.peers = peers
        self.transport = transport
        self.observer = observer
    }
}

extension Replica {
    /// Opens a replica on a simulated log. Its checkpoint is a real file, worked on without another thread.
    package static func open(on device: any LogDevice, simulated: SimulatedParts, in world: any World, logger: Logger)
        async throws -> Replica
    {
        var parts = ReplicaParts()
        parts.pace = CheckpointPace(
            entries: simulated.checkpointEntries, bytes: 32 << 20, logMargin: simulated.logMargin)
        parts.history = HistoryLimits(revisions: simulated.historyLimit)
        parts.peers = simulated.peers
        parts.transport = simulated.transport
        parts.leaseReads = simulated.leaseReads
        parts.mutations = simulated.mutations
        parts.observer = simulated.observer
        let gate = simulated.beforeFileWork
        let folder = try await DataFolder(
            simulatedIn: simulated.folder, isNew: simulated.isNew, makeWorker: { _ in BlockingWorker(gate: gate) },
            made: simulated.made)
        do {
            return try await open(on: device, beside: folder, parts, in: world, logger: logger)
        } catch {
            folder.checkpoint.close()
            throw error
        }
    }

    /// The machine has lost power: no file is touched any more.
    package nonisolated func dropFiles() { folder?.checkpoint.close() }

    /// How many members vote; 0 while a change of them is not finished.
    package var settledVoters: Int {
        guard !core.membership.isJoint, core.membership(at: core.applied) == core.membership else { return 0 }
        return core.membership.voters.count
    }
}
