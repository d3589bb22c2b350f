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
        if let stream = streams[id] { stream.catchesUp = false }
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
        let range = watcher.group.range
        let after = watcher.after
        let limits = limits
        let (found, _, term) = try await replica.look { try Self.find(range, after: after, limits, $0) }
        self.term = term
        if watcher.isOver { return true }
        if let oldest = found.oldest {
            _ = cancel(stream.id, watcher.id)
            try await stream.call.send(
                WatchMessages.control(
                    header(at: found.now), id: watcher.id, canceled: true, compactRevision: oldest,
                    reason: Refusal.compacted.reason))
            return true
        }
        watcher.after = found.through
        for message in messages(found, for: watcher) {
            // The next step comes when the client has taken this one.
            try await stream.call.send(message)
            watcher.isQuiet = false
            if watcher.isOver { return true }
        }
        return false
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

    /// The responses for a part of the history, each of bounded size where revisions or the watch allow it.
    private func messages(_ found: Found, for watcher: Watcher) -> [[UInt8]] {
        let head = header(at: found.now).alone
        var messages: [[UInt8]] = []
        var body: [UInt8] = []
        var revision: Int64 = 0
        func flush(isFragment: Bool) {
            messages.append(WatchMessages.response(head, id: watcher.id, fragment: isFragment, body))
            body = []
        }
        for event in found.events where watcher.variant.admits(event) {
            let next = WatchMessages.body(CollectionOfOne(event), watcher.variant)
            let isSame = event.pair.modRevision == revision
            if !body.isEmpty, body.count + next.count > limits.watchMessage, !isSame || watcher.fragments {
                flush(isFragment: isSame)
            }
            body += next
            revision = event.pair.modRevision
        }
        if !body.isEmpty { flush(isFragment: false) }
        return messages
    }
}
