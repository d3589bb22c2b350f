internal import DequeModule
internal import MartletBase
internal import MartletRaft
internal import MartletStore

/// What a log device holds, put in order: the latest hard state and the entries, without those that were replaced.
struct RecoveredLog: Sendable {
    var hardState = HardState()
    /// The entry before the first one; 0 at the beginning of the world.
    var base: LogBase
    var entries: Deque<RaftEntry> = []
    /// Where each entry stands in the device.
    var positions: Deque<UInt64> = []
    var nextPosition: UInt64 = 1
    /// What the log is called in errors.
    private let name: String

    /// Reads the device from `base` on. `folder` is where it is, when it is somewhere.
    /// - Throws: ``LogError``, or ``ReplicaError/unusable(_:)`` for records that are none of ours.
    init(reading device: any LogDevice, from base: LogBase = LogBase(), in folder: DataFolder? = nil) async throws {
        self.base = base
        name = folder.map { "\($0.directory)/wal" } ?? "the log"
        let bounds = await device.bounds
        nextPosition = max(bounds.lowerBound, min(base.position, bounds.upperBound))
        while nextPosition < bounds.upperBound {
            let records = try await device.read(from: nextPosition, limit: Limits.recoveryRecords)
            guard !records.isEmpty else {
                throw ReplicaError.unusable("\(name) ends at record \(nextPosition), before its own end; restore it")
            }
            for record in records { try take(record) }
        }
    }

    private mutating func take(_ record: LogRecord) throws {
        let content: RaftRecord
        do { content = try RaftRecord(decoding: record.payload) } catch {
            throw ReplicaError.unusable(
                "\(name): record \(record.index) is not of this program (\(error)); run the release that wrote it")
        }
        switch content {
        case .hardState(let state): hardState = hardState.merged(with: state)
        case .restart(let position):
            base = LogBase(position: record.index, index: position.index, term: position.term)
            entries = []
            positions = []
        case .entry(let entry): try take(entry, at: record.index)
        }
        nextPosition = record.index + 1
    }

    private mutating func take(_ entry: RaftEntry, at position: UInt64) throws {
        // A snapshot that was installed stands for it.
        guard entry.index > base.index else { return }
        let first = entries.first?.index ?? entry.index
        guard entry.index <= first + UInt64(entries.count) else {
            throw ReplicaError.unusable(
                "\(name): record \(position) holds entry \(entry.index), which does not follow; "
                    + "restore this member from a snapshot")
        }
        // An entry replaces the one of its index and all after it, here perhaps all that the device has kept.
        let keep = Int(max(entry.index, first) - first)
        entries.removeLast(entries.count - keep)
        positions.removeLast(positions.count - keep)
        entries.append(entry)
        positions.append(position)
    }

    /// Raft as it goes on from here, when the state that it feeds is `state`.
    /// - Throws: ``ReplicaError/unusable(_:)`` when log and state do not belong together.
    func core(_ configuration: RaftConfiguration, continuing state: StartingState) throws -> RaftCore {
        try check(against: state)
        // A log that lost its front begins with an entry that the checkpoint covers: that one is the anchor. What the
        // entries up to the checkpoint's end say of memberships comes to what the checkpoint says.
        let hasFront = entries.isEmpty || entries.first?.index == base.index + 1
        let anchor = hasFront ? nil : entries.first
        let position = SnapshotPosition(
            index: anchor?.index ?? base.index, term: anchor?.term ?? base.term,
            membership: membership(continuing: state))
        return RaftCore(
            configuration, hardState: hardState.merged(with: state.hardState), snapshot: position,
            entries: Array(anchor == nil ? entries[...] : entries.dropFirst()), applied: state.store.appliedIndex)
    }

    /// Who were members where the state ends; before the first entry, those that it names.
    private func membership(continuing state: StartingState) -> Membership {
        guard state.store.appliedIndex == 0, let first = entries.first, first.index == 1, first.kind == .membership
        else {
            return state.membership
        }
        return (try? MembershipEntry(decoding: first.payload).membership) ?? state.membership
    }

    private func check(against state: StartingState) throws {
        let applied = state.store.appliedIndex
        let first = entries.first?.index ?? base.index + 1
        let last = first + UInt64(entries.count) - 1
        guard applied >= base.index else {
            throw ReplicaError.unusable(
                "\(name) goes on after a snapshot of entry \(base.index), but the checkpoint reaches "
                    + "through \(applied); put back the files that belong together, or restore this member")
        }
        guard first == base.index + 1 || first <= applied, applied <= last else {
            throw ReplicaError.unusable(
                "\(name) holds entries \(first) through \(last), but the checkpoint reaches "
                    + "through \(applied); put back the log's files, or restore this member from a snapshot")
        }
        let term = applied == base.index ? base.term : entries[Int(applied - first)].term
        guard term == state.appliedTerm else {
            throw ReplicaError.unusable(
                "\(name): entry \(applied) is not the one that the checkpoint ends with; put back the files that "
                    + "belong together, or restore this member from a snapshot")
        }
    }
}
