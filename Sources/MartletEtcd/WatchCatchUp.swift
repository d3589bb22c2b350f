internal import DequeModule
internal import MartletBase
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore

/// Watches that read from the history.
extension WatchHub {
    /// Begins to serve a stream's watches that lag, unless that is under way.
    func catchUp(_ stream: WatchStream) {
        guard !stream.catchesUp else { return }
        stream.catchesUp = true
        let id = stream.id
        world.spawn { [weak self] in await self?.serve(id) }
    }

    /// Serves the watches of a stream in turns, a bounded step each, until none lags or the stream is over.
    private func serve(_ id: UInt64) async {
        while let stream = streams[id], !stream.lagging.isEmpty {
            let watcher = stream.lagging.removeFirst()
            do {
                if try await step(watcher, stream) { continue }
            } catch {
                // The client is gone or the replica is closed: the stream's own task ends the rest.
                stream.catchesUp = false
                return
            }
            if !watcher.isOver { admit(watcher) }
        }
        if let stream = streams[id] {
            stream.catchesUp = false
            stream.part = nil
        }
        tellAskers()
    }

    /// What the history holds for a watch.
    private struct Found: Sendable {
        var events: [StoreEvent] = []
        /// All through this revision is in `events`, or in what was sent before.
        var through: Int64
        var now: Int64
        /// Set when what the watch wants is forgotten: the oldest revision that is left.
        var oldest: Int64?
    }

    /// Sends a watch the next part of the history. True when the watch is over.
    private func step(_ watcher: Watcher, _ stream: WatchStream) async throws -> Bool {
        // Others may have lagged less, so that this one can join at once.
        if watcher.isOver { return true }
        if watcher.after >= position { return false }
        guard let part = try await part(for: watcher, stream) else { return true }
        watcher.after = part.through
        for message in part.messages {
            // The next step comes when the client has taken this one.
            try await stream.call.send(watcher.mark, message)
            watcher.isQuiet = false
            if watcher.isOver { return true }
        }
        return false
    }

    /// The next part of the history for a watch; nil when the watch is over. Watches that fell behind together, which
    /// follow each other, share it.
    private func part(for watcher: Watcher, _ stream: WatchStream) async throws -> WatchPart? {
        let need = watcher.need
        if let part = stream.part, part.need == need { return part }
        let (range, after, limits) = (need.group.range, need.after, limits)
        let (found, _, term) = try await replica.look { try Self.find(range, after: after, limits, $0) }
        self.term = term
        if watcher.isOver { return nil }
        if let oldest = found.oldest {
            _ = cancel(stream.id, watcher.id)
            try await stream.call.send(
                WatchMessages.control(
                    header(at: found.now), id: watcher.id, canceled: true, compactRevision: oldest,
                    reason: Refusal.compacted.reason))
            return nil
        }
        let part = WatchPart(
            need, of: found.events, through: found.through, header(at: found.now), limit: limits.watchMessage)
        stream.part = part
        return part
    }

    private static func find(
        _ range: KeyRange, after: Int64, _ limits: EtcdLimits, _ store: borrowing Store
    ) throws -> Found {
        let oldest = store.oldestRevision
        if after >= oldest {
            let (events, through) = try store.events(
                in: range, after: after, scanLimit: limits.scannedRevisions, eventLimit: limits.eventsPerStep)
            return Found(events: events, through: through, now: store.revision)
        }
        guard after == oldest - 1 else { return Found(through: after, now: store.revision, oldest: oldest) }
        // Of the oldest revision that is left the keys it set are known, as in etcd after a compaction.
        var query = RangeQuery(range, revision: oldest, order: RangeQuery.Order(.mod))
        query.minMod = oldest
        query.maxMod = oldest
        let events = try store.range(query).pairs.map {
            StoreEvent(pair: $0, previous: nil, isDeletion: false)
        }
        return Found(events: events, through: oldest, now: store.revision)
    }
}
