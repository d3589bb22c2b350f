internal import DequeModule
internal import Logging
internal import MartletBase
internal import MartletRaft
internal import MartletStore

// Snapshots on their way in: a member that lacks entries which are gone fetches a checkpoint, piece by piece, from a
// follower or from the leader, and puts it into the place of its state.

/// How far a member is with a snapshot that it needs. There is one at a time.
enum SnapshotIntake {
    /// None is needed.
    case idle
    /// One is fetched, checked and read.
    case fetching
    /// It is here, and waits until nothing is being written to the log.
    case arrived(ArrivedSnapshot)
    /// It takes the state's place.
    case installing

    /// Whether another one may be fetched.
    var isIdle: Bool { if case .idle = self { true } else { false } }

    /// Whether one waits for the log.
    var hasArrived: Bool { if case .arrived = self { true } else { false } }

    /// Whether anything may happen to Raft. What comes while the state is exchanged is lost, as on a bad line; what
    /// waits here goes on waiting.
    var takesEvents: Bool { if case .installing = self { false } else { true } }

    /// Begins to put what has arrived into the state's place.
    mutating func install() -> ArrivedSnapshot? {
        guard case .arrived(let snapshot) = self else { return nil }
        self = .installing
        return snapshot
    }

    /// What has arrived will not be installed.
    mutating func drop() {
        guard case .arrived(let snapshot) = self else { return }
        self = .fetching
        snapshot.done.resume(returning: false)
    }
}

/// A snapshot that came, checked and read.
struct ArrivedSnapshot {
    var file: IncomingSnapshot
    var state: CheckpointState
    var store: Store
    /// Told whether it was installed.
    var done: CheckedContinuation<Bool, Never>
}

// MARK: Fetching

extension Replica {
    /// Begins to fetch a snapshot. Raft asks for none while one is on its way; if it does all the same, it hears that
    /// this failed, and will ask again.
    func fetchSnapshot(from sources: [MemberID], reaching index: UInt64) {
        guard intake.isIdle, !isClosed else { return snapshotFailed(sources) }
        intake = .fetching
        fetcher = world.spawn { await self.fetch(from: sources, reaching: index) }
    }

    private func snapshotFailed(_ sources: [MemberID]) {
        for source in sources { core.step(.snapshotFailed(source), into: &effects) }
    }

    private func fetch(from sources: [MemberID], reaching index: UInt64) async {
        for source in sources where !isClosed && !hasFailed {
            do {
                if try await fetch(from: source, reaching: index) { return }
                // It came too late to be of use: Raft knows by itself what it lacks now.
                break
            } catch {
                if !isClosed { logger.warning("the snapshot of member \(source) was not installed: \(error)") }
            }
        }
        // First this, then the report: the next wish may come at once.
        intake = .idle
        guard !isClosed, !hasFailed else { return }
        snapshotFailed(sources)
        settle()
    }

    /// Fetches and installs one member's snapshot. False when it is no use any more.
    private func fetch(from source: MemberID, reaching index: UInt64) async throws -> Bool {
        guard let folder, let transport else {
            throw ReplicaError.unusable("a replica in memory cannot keep a snapshot")
        }
        guard case .snapshot(let id) = try await ask(source, .openSnapshot(index: index), transport) else {
            throw PeerError.refused("it answered something else")
        }
        logger.info("a snapshot through entry \(index) or further is fetched from member \(source)")
        let file = try IncomingSnapshot(into: folder)
        do {
            try await fetchPieces(of: id, from: source, transport, into: file)
            let (state, loaded) = try await file.finish(cluster: identity.cluster, history: history)
            let isInstalled = await withCheckedContinuation { done in
                guard !hasFailed, !isClosed else { return done.resume(returning: false) }
                intake = .arrived(ArrivedSnapshot(file: file, state: state, store: loaded, done: done))
                startDriver()
            }
            if !isInstalled { await file.discard() }
            return isInstalled
        } catch {
            await file.discard()
            throw error
        }
    }

    private func fetchPieces(
        of id: UInt64, from source: MemberID, _ transport: any PeerTransport, into file: IncomingSnapshot
    ) async throws {
        var number: UInt64 = 0
        var fetched = 0
        var nextReport = 10
        while let (piece, total) = try await fetchPiece(number, of: id, from: source, transport) {
            try await file.append(piece)
            number += 1
            fetched += piece.count
            let percent = Int(clamping: UInt64(fetched) * 100 / max(total, 1))
            if percent >= nextReport {
                logger.info("the snapshot of member \(source): \(percent) % of \(total) bytes")
                nextReport = percent / 10 * 10 + 10
            }
        }
    }

    /// A piece, and the bytes of all pieces; nil after the last. Waits for as long as making a snapshot may take.
    private func fetchPiece(
        _ number: UInt64, of id: UInt64, from source: MemberID, _ transport: any PeerTransport
    ) async throws -> (bytes: [UInt8], total: UInt64)? {
        let deadline = world.now() + Limits.snapshotMaking
        var pause = Limits.tick
        while true {
            switch try await ask(source, .piece(snapshot: id, number: number), transport) {
            case .piece(let bytes, let total): return (bytes, total)
            case .end: return nil
            case .notYet:
                guard world.now() < deadline else { throw PeerError.timedOut(source) }
                try await world.sleep(for: pause)
                pause = min(pause * 2, Limits.snapshotPause)
            default: throw PeerError.refused("it answered something else")
            }
        }
    }

    /// Asks a member, again and again while it cannot be reached: a broken connection goes on where it was.
    private func ask(_ member: MemberID, _ request: PeerRequest, _ transport: any PeerTransport) async throws
        -> PeerAnswer
    {
        var tries = 0
        while true {
            do {
                return try PeerAnswer(decoding: try await transport.call(member, request.encoded()))
            } catch let error as PeerError {
                tries += 1
                if case .refused = error { throw error }
                if tries >= Limits.snapshotTries { throw error }
                try await world.sleep(for: Limits.snapshotPause)
            }
        }
    }
}

// MARK: Installing

extension Replica {
    /// Puts a snapshot that has come into the place of the state. Called when nothing is being written to the log.
    func installArrived() async {
        guard outbox.isEmpty, let folder, let arrived = intake.install() else { return }
        await withCheckpointFile { await $0.install(arrived, in: folder) }
    }

    private func install(_ arrived: ArrivedSnapshot, in folder: DataFolder) async {
        let index = arrived.state.appliedIndex
        let base = LogBase(position: nextPosition, index: index, term: arrived.state.appliedTerm)
        // A log that holds the snapshot's last entry goes on by itself.
        var isWanted = index > core.applied && core.term(at: index) != base.term && !isClosed
        if isWanted {
            do { try await folder.install(arrived.file, as: identity, core.hardState, from: base) } catch {
                logger.error("the snapshot could not be put into the checkpoint's place: \(error)")
                isWanted = false
            }
        }
        guard isWanted else {
            intake = .fetching
            return arrived.done.resume(returning: false)
        }
        adopt(arrived, from: base)
        intake = .idle
        connectPeers()
        reads.applied(through: index)
        settle()
        arrived.done.resume(returning: true)
    }

    /// The files are a snapshot's now, and so is the state from here on.
    private func adopt(_ arrived: ArrivedSnapshot, from base: LogBase) {
        let membership = arrived.state.membership
        let mutation = store.mutation
        store = arrived.store
        store.mutation = mutation
        observer?.began(after: base.index, isSnapshot: true)
        logBase = base
        positions = []
        positionsFrom = base.index + 1
        progress = CheckpointProgress(keepsChanges: true)
        progress.index = base.index
        checkpointFailure = nil
        progress.appliedTerm = base.term
        progress.wasMember = membership.contains(core.member)
        truncation = base.position
        let position = SnapshotPosition(index: base.index, term: base.term, membership: membership)
        core.step(.snapshotInstalled(position), into: &effects)
        watchers.fallBehind(now: store.revision)
        logger.info("the snapshot through entry \(base.index) is installed")
    }
}
