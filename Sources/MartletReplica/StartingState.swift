internal import MartletBase
internal import MartletIO
internal import MartletRaft
internal import MartletStore

/// How much history a store keeps.
struct HistoryLimits: Sendable, Hashable {
    var revisions = 10_000
    var bytes = Store.defaultHistoryBytes
    /// As much as there is.
    static let all = HistoryLimits(revisions: .max, bytes: .max)
}

/// What a replica begins with.
struct StartingState: Sendable {
    var identity: ReplicaIdentity
    var store: Store
    var appliedTerm: UInt64 = 0
    /// Who were members at the last applied entry.
    var membership = Membership()
    /// The hard state that the checkpoint knew; the log may know a later one.
    var hardState = HardState()
    /// Where the log begins that goes with this state.
    var base = LogBase()

    /// Reads the checkpoint, or makes what a new member begins with: identity, first checkpoint and the first records
    /// of the log.
    /// - Parameters:
    ///   - folder: nil for a replica that has only its log, and replays all of it.
    ///   - genesis: what to begin with when there is no data; nil when there must be some.
    /// - Throws: ``LogError`` or ``ReplicaError``.
    static func open(
        _ device: any LogDevice, _ folder: DataFolder?, genesis: Genesis?, history: HistoryLimits
    ) async throws -> StartingState {
        let bounds = await device.bounds
        let isNew = folder?.isNew ?? (bounds.upperBound == 1)
        guard isNew else {
            if let folder { return try await load(folder, device, history) }
            guard let genesis else {
                throw ReplicaError.unusable("a replica without a folder needs to be told who it is")
            }
            let isAlone = genesis.members.count == 1
            let identity = isAlone ? try await Genesis.identity(ofOneIn: device) : nil
            return StartingState(identity: identity ?? genesis.identity, store: Store(history))
        }
        guard let genesis else {
            throw ReplicaError.unusable(
                "\(folder?.directory ?? "the log") holds no member's data: say how to begin, as the first members of a "
                    + "cluster or by joining one")
        }
        var state = StartingState(identity: genesis.identity, store: Store(history))
        // What a crash left of a first attempt is of nobody.
        state.base.position = bounds.upperBound
        if let folder {
            let first = state.checkpoint
            try await folder.worker.run { try folder.checkpoint.write(ChangeLog(), first) }
        }
        let records = genesis.records.enumerated().map {
            LogRecord(index: bounds.upperBound + UInt64($0), payload: $1.encoded())
        }
        try await device.append(records)
        try await folder?.finishMaking(genesis.identity)
        return state
    }

    /// The state of the last checkpoint.
    private static func load(_ folder: DataFolder, _ device: any LogDevice, _ history: HistoryLimits) async throws
        -> StartingState
    {
        let file = folder.checkpoint
        guard let found = file.state else { throw ReplicaError.unusable("\(file.path) holds no checkpoint") }
        guard found.identity.member != 0 else {
            throw ReplicaError.unusable(
                "\(file.path) is a snapshot, of no member; make a data folder of it with martlet-store snapshot restore"
            )
        }
        var state = StartingState(
            identity: found.identity, store: try await folder.worker.run { try file.loadStore(history) })
        state.appliedTerm = found.appliedTerm
        state.membership = found.membership
        state.hardState = found.hardState
        state.base = found.base
        // A crash came between a snapshot's arrival and the end of the log before it.
        if await device.bounds.lowerBound < found.base.position {
            try await device.truncatePrefix(before: found.base.position)
        }
        return state
    }

    /// Refuses the data of a member that has another name than the one that is to run.
    func checkName(_ name: String, in folder: DataFolder?) throws(ReplicaError) {
        guard let own = store.members[identity.member], !own.name.isEmpty, own.name != name else { return }
        throw .unusable(
            "\(folder?.directory ?? "the log") is the data of member \(own.name), and this one is called \(name): "
                + "give it a data folder of its own, or the name \(own.name)")
    }

    /// The checkpoint of this state.
    var checkpoint: CheckpointState {
        var state = CheckpointState(identity: identity)
        state.appliedIndex = store.appliedIndex
        state.appliedTerm = appliedTerm
        state.membership = membership
        state.base = base
        state.hardState = hardState
        state.take(store)
        return state
    }
}
