internal import MartletBase
internal import MartletRaft

// Snapshots on their way out to peers, which pull them: each asks for one, waits until it is made, and fetches it
// piece by piece. Making one takes as long as it takes to copy the checkpoint, so no question waits for that.

/// The snapshots that peers fetch, at most one for each.
struct SnapshotsOut {
    /// One that is made or ready.
    private struct Outgoing {
        let id: UInt64
        /// Through which entry it must reach.
        var wanted: UInt64
        var stage = Stage.making
        var usedAt: MonotonicTime

        /// Whether it may be handed out to one who asks for a snapshot through entry `index`.
        func mayServe(_ index: UInt64) -> Bool {
            switch stage {
            case .making: true
            case .ready(let pieces): pieces.next == 0 && !pieces.isReading && pieces.reader.index >= index
            case .failed: false
            }
        }
    }
    /// How far one is.
    enum Stage {
        case making
        case ready(Pieces)
        case failed(String)
    }
    /// One that is read, piece by piece.
    struct Pieces {
        let reader: SnapshotReader
        var next: UInt64 = 0
        /// The last piece, in case that its answer was lost.
        var last: PeerAnswer?
        /// Whether the next one is being read now.
        var isReading = false
    }

    private var outgoing: [MemberID: Outgoing] = [:]
    private var lastID: UInt64 = 0

    /// The snapshot that a peer's question is about: one that is being made for it, or is ready and not begun yet,
    /// else a new one, which is to be made.
    mutating func open(for peer: MemberID, reaching index: UInt64, now: MonotonicTime) -> (id: UInt64, isNew: Bool) {
        if var known = outgoing[peer], known.mayServe(index) {
            known.wanted = max(known.wanted, index)
            outgoing[peer] = known
            return (known.id, false)
        }
        lastID += 1
        outgoing[peer] = Outgoing(id: lastID, wanted: index, usedAt: now)
        return (lastID, true)
    }

    /// A snapshot was made. It is dropped when nobody waits for it any more.
    mutating func made(_ id: UInt64, for peer: MemberID, _ result: Result<SnapshotReader, any Error>) {
        guard let wanted = outgoing[peer]?.wanted, outgoing[peer]?.id == id else { return }
        switch result {
        case .success(let reader) where reader.index >= wanted: outgoing[peer]?.stage = .ready(Pieces(reader: reader))
        case .success(let reader):
            outgoing[peer]?.stage = .failed("the snapshot here reaches through entry \(reader.index), not \(wanted)")
        case .failure(let error): outgoing[peer]?.stage = .failed("\(error)")
        }
    }

    /// How far a peer's snapshot is; nil when it is not there any more.
    mutating func stage(of id: UInt64, for peer: MemberID, now: MonotonicTime) -> Stage? {
        guard outgoing[peer]?.id == id else { return nil }
        outgoing[peer]?.usedAt = now
        return outgoing[peer]?.stage
    }

    /// Goes on with a snapshot that is read.
    mutating func put(_ pieces: Pieces, of id: UInt64, for peer: MemberID) {
        if outgoing[peer]?.id == id { outgoing[peer]?.stage = .ready(pieces) }
    }

    /// Forgets those whose readers have gone.
    mutating func forgetIdle(_ now: MonotonicTime) {
        guard !outgoing.isEmpty else { return }
        outgoing = outgoing.filter { now - $0.value.usedAt < Limits.snapshotPatience }
    }
}

extension Replica {
    /// Has a snapshot made for a peer, and names it at once.
    func openSnapshot(reaching index: UInt64, for peer: MemberID) -> PeerAnswer {
        let (id, isNew) = snapshotsOut.open(for: peer, reaching: index, now: now)
        if isNew { world.spawn { await self.makeSnapshot(id, for: peer) } }
        return .snapshot(id: id)
    }

    private func makeSnapshot(_ id: UInt64, for peer: MemberID) async {
        do { snapshotsOut.made(id, for: peer, .success(try await snapshot())) } catch {
            snapshotsOut.made(id, for: peer, .failure(error))
        }
    }

    /// The next piece of a peer's snapshot, or the last one once more; "not yet" while it is made or read.
    func piece(_ number: UInt64, of id: UInt64, for peer: MemberID) async throws -> PeerAnswer {
        var pieces: SnapshotsOut.Pieces
        switch snapshotsOut.stage(of: id, for: peer, now: now) {
        case nil: throw PeerError.refused("there is no snapshot \(id) here any more")
        case .making: return .notYet
        case .failed(let why): throw PeerError.refused(why)
        case .ready(let found): pieces = found
        }
        if number &+ 1 == pieces.next, let last = pieces.last { return last }
        guard number == pieces.next else { throw PeerError.refused("piece \(number) is not the next one") }
        guard !pieces.isReading else { return .notYet }
        pieces.isReading = true
        snapshotsOut.put(pieces, of: id, for: peer)
        pieces.isReading = false
        do {
            let bytes = try await pieces.reader.next()
            let answer = bytes.map { PeerAnswer.piece($0, of: UInt64(pieces.reader.totalBytes)) } ?? .end
            pieces.next += 1
            pieces.last = answer
            snapshotsOut.put(pieces, of: id, for: peer)
            return answer
        } catch {
            snapshotsOut.put(pieces, of: id, for: peer)
            throw error
        }
    }
}
