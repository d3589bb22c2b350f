internal import DequeModule
internal import Logging
internal import MartletBase
internal import MartletRaft
internal import MartletStore

// Snapshots between members. They are pulled: a member that lacks entries which are gone fetches a checkpoint, piece
// by piece, from a follower or from the leader, and puts it into the place of its state.

/// Snapshots on their way.
struct SnapshotTraffic {
    /// One that a peer reads.
    struct Outgoing {
        var reader: SnapshotReader
        var next: UInt64 = 0
        /// The last piece, in case that its answer was lost.
        var last: PeerAnswer?
        var usedAt: MonotonicTime
        var isReading = false
    }
    /// One that came, checked and read.
    struct Arrived {
        var file: IncomingSnapshot
        var state: CheckpointState
        var store: Store
        var done: CheckedContinuation<Bool, Never>
    }

    var outgoing: [UInt64: Outgoing] = [:]
    var nextID: UInt64 = 1
    var fetcher: Task<Void, Never>?
    var arrived: Arrived?
    /// Set while one takes the state's place: nothing else happens then.
    var isInstalling = false

    /// Forgets those whose readers have gone.
    mutating func forgetIdle(_ now: MonotonicTime) {
        guard !outgoing.isEmpty else { return }
        outgoing = outgoing.filter { $0.value.isReading || now - $0.value.usedAt < Limits.snapshotPatience }
    }

    /// Ends what is under way.
    func end() async {
        fetcher?.cancel()
        await fetcher?.value
    }
}

// MARK: Out

extension Replica {
    /// Prepares a snapshot for a peer.
    func openSnapshot(reaching index: UInt64) async throws -> PeerAnswer {
        let reader = try await snapshot()
        guard reader.index >= index else {
            throw PeerError.refused("the snapshot here reaches through entry \(reader.index), not \(index)")
        }
        let id = snapshots.nextID
        snapshots.nextID += 1
        snapshots.outgoing[id] = SnapshotTraffic.Outgoing(reader: reader, usedAt: now)
        return .snapshot(id: id, bytes: UInt64(reader.totalBytes), index: reader.index)
    }

    /// The next piece of a snapshot, or the last one once more.
    func piece(_ number: UInt64, of id: UInt64) async throws -> PeerAnswer {
        guard let outgoing = snapshots.outgoing[id], !outgoing.isReading else {
            throw PeerError.refused("there is no snapshot \(id) here any more")
        }
        if number + 1 == outgoing.next, let last = outgoing.last { return last }
        guard number == outgoing.next else { throw PeerError.refused("piece \(number) is not the next one") }
        snapshots.outgoing[id]?.isReading = true
        defer { snapshots.outgoing[id]?.isReading = false }
        let answer = try await outgoing.reader.next().map(PeerAnswer.piece) ?? .end
        snapshots.outgoing[id]?.next += 1
        snapshots.outgoing[id]?.last = answer
        snapshots.outgoing[id]?.usedAt = now
        return answer
    }
}

// MARK: In

extension Replica {
    /// Begins to fetch a snapshot, unless that goes on already.
    func fetchSnapshot(from sources: [MemberID], reaching index: UInt64) {
        guard snapshots.fetcher == nil, !isClosed else { return }
        snapshots.fetcher = world.spawn {
            await self.fetch(from: sources, reaching: index)
            await self.fetchEnded()
        }
    }

    private func fetchEnded() { snapshots.fetcher = nil }

    private func fetch(from sources: [MemberID], reaching index: UInt64) async {
        for source in sources {
            do {
                if try await fetch(from: source, reaching: index) { return }
                // It came too late to be of use: Raft knows by itself what it lacks now.
                for source in sources { core.step(.snapshotFailed(source), into: &effects) }
                return settle()
            } catch {
                guard !isClosed, !(error is CancellationError) else { return }
                logger.warning("the snapshot of member \(source) was not installed: \(error)")
            }
            guard !hasFailed else { return }
            core.step(.snapshotFailed(source), into: &effects)
            settle()
        }
    }

    /// Fetches and installs one member's snapshot. False when it is no use any more.
    private func fetch(from source: MemberID, reaching index: UInt64) async throws -> Bool {
        guard let folder, let transport else {
            throw ReplicaError.unusable("a replica in memory cannot keep a snapshot")
        }
        let opened = try await ask(source, .openSnapshot(index: index), transport)
        guard case .snapshot(let id, let bytes, let reaches) = opened else {
            throw PeerError.refused("it answered something else")
        }
        logger.info("a snapshot through entry \(reaches), \(bytes) bytes, is fetched from member \(source)")
        let file = try IncomingSnapshot(into: folder)
        do {
            try await fetchPieces(of: id, bytes, from: source, transport, into: file)
            let (state, loaded) = try await file.finish(cluster: identity.cluster, history: history)
            let isInstalled = await withCheckedContinuation { done in
                guard !hasFailed, !isClosed else { return done.resume(returning: false) }
                snapshots.arrived = SnapshotTraffic.Arrived(file: file, state: state, store: loaded, done: done)
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
        of id: UInt64, _ bytes: UInt64, from source: MemberID, _ transport: any PeerTransport,
        into file: IncomingSnapshot
    ) async throws {
        var number: UInt64 = 0
        var fetched = 0
        var nextReport = 10
        while case .piece(let piece) = try await ask(source, .piece(snapshot: id, number: number), transport) {
            try await file.append(piece)
            number += 1
            fetched += piece.count
            let percent = fetched * 100 / max(Int(clamping: bytes), 1)
            if percent >= nextReport {
                logger.info("the snapshot of member \(source): \(percent) % of \(bytes) bytes")
                nextReport = percent / 10 * 10 + 10
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

    /// Puts a snapshot that has come into the place of the state. Called when nothing is being written.
    func installArrived() async {
        guard let arrived = snapshots.arrived, outbox.isEmpty, let folder else { return }
        snapshots.arrived = nil
        let (state, index) = (arrived.state, arrived.state.appliedIndex)
        // A log that holds the snapshot's last entry goes on by itself.
        guard index > core.applied, core.term(at: index) != state.appliedTerm, !isClosed else {
            return arrived.done.resume(returning: false)
        }
        snapshots.isInstalling = true
        defer { snapshots.isInstalling = false }
        while let checkpointer { await checkpointer.value }
        let base = LogBase(position: nextPosition, index: index, term: state.appliedTerm)
        do {
            try await folder.install(arrived.file, as: identity, core.hardState, from: base)
        } catch {
            logger.error("the snapshot could not be put into the checkpoint's place: \(error)")
            return arrived.done.resume(returning: false)
        }
        let mutation = store.mutation
        store = arrived.store
        store.mutation = mutation
        observer?.began(after: index, isSnapshot: true)
        logBase = base
        positions = []
        positionsFrom = index + 1
        progress = CheckpointProgress()
        progress.index = index
        progress.appliedTerm = state.appliedTerm
        progress.wasMember = state.membership.contains(core.member)
        truncation = base.position
        let position = SnapshotPosition(index: index, term: state.appliedTerm, membership: state.membership)
        core.step(.snapshotInstalled(position), into: &effects)
        watchers.fallBehind(now: store.revision)
        logger.info("the snapshot through entry \(index) is installed")
        snapshots.isInstalling = false
        connectPeers()
        reads.applied(through: index)
        settle()
        arrived.done.resume(returning: true)
    }
}
