internal import MartletBase
internal import MartletRaft
internal import MartletStore

/// A cluster that goes on from the state of another one: after a restore, or when a quorum is lost for good. It has an
/// id and members of its own, and its log begins after one more entry, which only exists here: it put the new members
/// in the place of the old ones. Members of the old cluster that come back are refused by their cluster's id.
struct Successor: Sendable {
    /// Who goes on.
    var genesis: Genesis
    /// The term of the entry that begins the cluster: later than any of the old one's.
    var term: UInt64
    /// Where the new cluster's log begins in the device.
    var position: UInt64
    /// By how much the revision goes up.
    var bump: Int64
    /// Whether all history is forgotten.
    var forgetsHistory: Bool

    /// Writes the new beginning over the checkpoint that `file` holds, in one transaction a step; `store` is the state
    /// to go on from, and `changes` what happened since the checkpoint.
    func replace(_ file: CheckpointFile, changes: ChangeLog, store: Store) throws {
        guard bump >= 0, store.revision <= Int64.max / 4, bump <= Int64.max / 4 else {
            throw ReplicaError.unusable("the revision \(store.revision) cannot go up by \(bump)")
        }
        var store = store
        let index = store.appliedIndex + 1
        store.succeed(genesis, index: index, bump: bump, forgetsHistory: forgetsHistory)
        var state = CheckpointState(identity: genesis.identity)
        state.appliedIndex = index
        state.appliedTerm = term
        state.membership = genesis.membership
        state.base = LogBase(position: position, index: index, term: term)
        state.hardState = HardState(term: term, vote: nil, commit: index)
        state.take(store)
        try file.write(changes, state)
    }
}
