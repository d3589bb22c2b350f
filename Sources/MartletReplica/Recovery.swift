internal import DequeModule
internal import MartletBase
internal import MartletRaft
internal import MartletStore

/// What a log device holds, put in order: the latest hard state and the entries, without those that were replaced.
struct RecoveredLog: Sendable {
    var hardState = HardState()
    var entries: Deque<RaftEntry> = []
    /// Where each entry stands in the device.
    var positions: Deque<UInt64> = []
    var nextPosition: UInt64 = 1

    /// Reads the whole device.
    /// - Throws: ``LogError``, or ``ReplicaError/unusable(_:)`` for records that are none of ours.
    init(reading device: any LogDevice) async throws {
        let bounds = await device.bounds
        nextPosition = bounds.lowerBound
        while nextPosition < bounds.upperBound {
            let records = try await device.read(from: nextPosition, limit: Limits.recoveryRecords)
            guard !records.isEmpty else {
                throw ReplicaError.unusable("the log ends at record \(nextPosition), before its own end; restore it")
            }
            for record in records { try take(record) }
        }
    }

    private mutating func take(_ record: LogRecord) throws {
        let content: RaftRecord
        do { content = try RaftRecord(decoding: record.payload) } catch {
            throw ReplicaError.unusable(
                "record \(record.index) of the log is not of this program (\(error)); run the release that wrote it")
        }
        switch content {
        case .hardState(let state): hardState = hardState.merged(with: state)
        case .restart(let position):
            throw ReplicaError.unusable(
                "record \(record.index) of the log restarts after a snapshot at \(position.index); "
                    + "restore this member from a snapshot")
        case .entry(let entry):
            let first = entries.first?.index ?? entry.index
            guard entry.index <= first + UInt64(entries.count) else {
                throw ReplicaError.unusable(
                    "record \(record.index) of the log holds entry \(entry.index), which does not follow; "
                        + "restore this member from a snapshot")
            }
            // An entry replaces the one of its index and all after it, here perhaps all that the device has kept.
            let keep = Int(max(entry.index, first) - first)
            entries.removeLast(entries.count - keep)
            positions.removeLast(positions.count - keep)
            entries.append(entry)
            positions.append(record.index)
        }
        nextPosition = record.index + 1
    }

    /// Raft as it goes on from here, when the state that it feeds is `state`.
    /// - Throws: ``ReplicaError/unusable(_:)`` when log and state do not belong together.
    func core(_ configuration: RaftConfiguration, continuing state: StartingState) throws -> RaftCore {
        let applied = state.store.appliedIndex
        let first = entries.first?.index ?? 1
        let last = first + UInt64(entries.count) - 1
        guard first == 1 || first <= applied, applied <= last else {
            throw ReplicaError.unusable(
                "the checkpoint reaches through entry \(applied), but the log holds \(first) through \(last); "
                    + "put back the log's files, or restore this member from a snapshot")
        }
        if applied > 0, entries[Int(applied - first)].term != state.appliedTerm {
            throw ReplicaError.unusable(
                "the log's entry \(applied) is not the one that the checkpoint ends with; put back the files that "
                    + "belong together, or restore this member from a snapshot")
        }
        // A log that lost its front begins with an entry that the checkpoint covers: that one is the anchor.
        let anchor = first > 1 ? entries.first : nil
        let alone = Membership(voters: [configuration.member])
        return RaftCore(
            configuration, hardState: hardState.merged(with: state.hardState),
            snapshot: SnapshotPosition(index: anchor?.index ?? 0, term: anchor?.term ?? 0, membership: alone),
            entries: Array(anchor == nil ? entries[...] : entries.dropFirst()),
            applied: applied)
    }
}
