internal import DequeModule
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore

/// All watches of all clients.
///
/// The changes come from the replica once. They are matched with the ranges that are watched, written once for each
/// range and variant, and handed to the streams with each watch's id in front. A watch costs no task and no queue: one
/// whose stream is full, or that begins in the past, reads on from the history, in turns with the others of its stream,
/// and joins the rest when it has seen all that they have.
actor WatchHub {
    let replica: Replica
    let identity: Header
    let limits: EtcdLimits
    let logger: Logger
    let world: any World

    var streams: [UInt64: WatchStream] = [:]
    private var nextStream: UInt64 = 1
    private var groups = RangeIndex<WatchGroup>()
    /// Watches of all streams.
    private(set) var count = 0
    /// All changes through this revision went to the live watches.
    private(set) var position: Int64 = 0
    var term: UInt64 = 0
    /// The task that takes the changes from the replica, while there are watches.
    private var feed: Task<Void, Never>?
    private var generation = 0
    private var clock: Task<Void, Never>?
    private var askers: Set<UInt64> = []

    init(_ replica: Replica, identity: Header, limits: EtcdLimits, logger: Logger, in world: any World) {
        self.replica = replica
        self.identity = identity
        self.limits = limits
        self.logger = logger
        self.world = world
    }

    // MARK: Streams and their watches

    func open(_ call: GRPCServerCall) -> UInt64 {
        defer { nextStream += 1 }
        streams[nextStream] = WatchStream(call, id: nextStream)
        return nextStream
    }

    /// Ends a stream's watches.
    func close(_ id: UInt64) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        askers.remove(id)
        for watcher in stream.watchers.values { end(watcher) }
        stream.watchers = [:]
        stream.lagging = []
        restIfIdle()
    }

    /// Makes a watch. It begins with ``start(_:_:now:term:)``, when the client has been told of it.
    /// - Throws: ``Refusal``; its reason is for the client's eyes.
    func create(_ id: UInt64, _ options: WatchOptions, now: Int64) throws(Refusal) -> Int64 {
        guard let stream = streams[id] else { throw .canceled }
        guard stream.watchers.count < limits.watchesPerStream else { throw .tooManyRequests }
        if options.isInverted { throw .other("mvcc: watcher range is empty") }
        var chosen = options.id
        if chosen == 0 {
            while stream.watchers[stream.nextID] != nil { stream.nextID += 1 }
            chosen = stream.nextID
            stream.nextID += 1
        } else if stream.watchers[chosen] != nil {
            throw .other("mvcc: duplicate watch ID provided on the WatchStream")
        }
        let group = groups[options.range] ?? WatchGroup(options.range)
        if group.count == 0 { groups.insert(group, for: options.range) }
        group.count += 1
        count += 1
        let after = options.start > 0 ? options.start - 1 : now
        stream.watchers[chosen] = Watcher(options, id: chosen, after: after, group: group, stream: stream)
        return chosen
    }

    /// Lets a watch begin. `now` is a revision that the store has had.
    func start(_ id: UInt64, _ watch: Int64, now: Int64, term: UInt64) {
        guard let watcher = streams[id]?.watchers[watch] else { return }
        self.term = term
        if feed == nil { follow(after: now) }
        admit(watcher)
    }

    /// Ends one watch; false when there is none of that id.
    func cancel(_ id: UInt64, _ watch: Int64) -> Bool {
        guard let stream = streams[id], let watcher = stream.watchers.removeValue(forKey: watch) else { return false }
        stream.lagging.removeAll { $0 === watcher }
        end(watcher)
        restIfIdle()
        return true
    }

    private func end(_ watcher: Watcher) {
        guard !watcher.isOver else { return }
        watcher.isOver = true
        let group = watcher.group
        group.leave(watcher)
        group.count -= 1
        count -= 1
        if group.count == 0 { groups.remove(group.range) }
    }

    /// Lets a watch that has seen all that the live ones have join them; others read on from the history.
    func admit(_ watcher: Watcher) {
        if watcher.after >= position {
            watcher.group.join(watcher)
        } else {
            watcher.stream.lagging.append(watcher)
            catchUp(watcher.stream)
        }
    }

    // MARK: The feed

    private func follow(after revision: Int64) {
        position = revision
        generation += 1
        let mine = generation
        feed = world.spawn { [weak self] in await self?.take(mine) }
        let interval = limits.progressInterval
        clock = world.spawn { [weak self, world] in
            while (try? await world.sleep(for: interval)) != nil { await self?.tick(mine) }
        }
    }

    /// Takes nothing from the replica while nobody watches.
    private func restIfIdle() {
        guard count == 0, let feed else { return }
        feed.cancel()
        clock?.cancel()
        self.feed = nil
        clock = nil
        generation += 1
    }

    private func take(_ mine: Int) async {
        while mine == generation {
            do {
                let watch = try await replica.watch(from: [], to: [], after: position)
                while let (events, through) = try await watch.next() {
                    let term = events.isEmpty ? self.term : await replica.term
                    guard mine == generation else { return }
                    self.term = term
                    deliver(events, through: through)
                }
                return
            } catch is StoreError {
                // The history has gone on without us, as after a snapshot: each watch sees for itself what is left.
                let now = await replica.revision
                guard mine == generation else { return }
                for stream in streams.values {
                    for watcher in stream.watchers.values where watcher.place >= 0 { lag(watcher) }
                }
                position = max(position, now)
            } catch {
                return
            }
        }
    }

    /// Hands changes to all whom they concern, in messages of bounded size.
    func deliver(_ events: [StoreEvent], through revision: Int64) {
        var start = 0
        while start < events.count {
            var end = start
            var bytes = 0
            // Whole revisions only.
            while end < events.count {
                let isNew = end > start && events[end].pair.modRevision != events[end - 1].pair.modRevision
                if isNew, bytes >= limits.watchMessage { break }
                bytes += events[end].pair.key.count + events[end].pair.value.count
                end += 1
            }
            let through = end == events.count ? revision : events[end - 1].pair.modRevision
            deliver(events[start..<end], through)
            position = max(position, through)
            start = end
        }
        position = max(position, revision)
        tellAskers()
    }

    private func deliver(_ events: ArraySlice<StoreEvent>, _ through: Int64) {
        var touched: [WatchGroup] = []
        for event in events {
            groups.forEach(containing: event.pair.key) { group in
                if group.events.isEmpty { touched.append(group) }
                group.events.append(event)
            }
        }
        let header = header(at: through)
        // Ranges that overlap mostly see the same.
        var complete: [WatchVariant: [UInt8]] = [:]
        var failed: [Watcher] = []
        for group in touched {
            let seesAll = group.events.count == events.count
            for (variant, watchers) in group.live {
                let known = seesAll ? complete[variant] : nil
                let message = known ?? WatchMessages.shared(header, group.events, variant)
                if seesAll { complete[variant] = message }
                send(message, of: group.events, header, to: watchers, &failed)
            }
            group.events.removeAll()
        }
        for watcher in failed { lag(watcher) }
    }

    /// Offers live watches of one kind the events of their range; `failed` takes those whose streams have no room.
    private func send(
        _ message: [UInt8], of events: [StoreEvent], _ header: Header, to watchers: [Watcher], _ failed: inout [Watcher]
    ) {
        guard let first = events.first?.pair.modRevision else { return }
        for watcher in watchers {
            var message = message
            if watcher.after >= first {
                let after = watcher.after
                let rest = events.filter { $0.pair.modRevision > after }
                message = WatchMessages.shared(header, rest, watcher.variant)
            }
            if message.isEmpty { continue }
            // A large revision goes through the history's path, which may divide it.
            let mustDivide = watcher.fragments && message.count > limits.request
            if !mustDivide, watcher.call.offer(watcher.mark, message) {
                watcher.isQuiet = false
            } else {
                failed.append(watcher)
            }
        }
    }

    /// From now on the watch reads from the history.
    private func lag(_ watcher: Watcher) {
        watcher.group.leave(watcher)
        watcher.after = max(watcher.after, position)
        watcher.stream.lagging.append(watcher)
        catchUp(watcher.stream)
    }

    /// A header at a revision.
    func header(at revision: Int64) -> Header {
        Header(cluster: identity.cluster, member: identity.member, revision: revision, term: term)
    }

    // MARK: Progress

    /// Tells a stream's client when all its watches have seen what the store has now.
    func askProgress(_ id: UInt64, now: Int64) {
        guard let stream = streams[id] else { return }
        stream.progressAsked = max(stream.progressAsked, now)
        if count == 0 { position = max(position, now) }
        askers.insert(id)
        tellAskers()
    }

    func tellAskers() {
        for id in askers {
            guard let stream = streams[id] else {
                askers.remove(id)
                continue
            }
            guard stream.lagging.isEmpty, !stream.catchesUp, position >= stream.progressAsked else { continue }
            // -1 stands for all watches of the stream.
            if stream.call.offer(WatchMessages.control(header(at: position), id: -1)) {
                stream.progressAsked = 0
                askers.remove(id)
            }
        }
    }

    private func tick(_ mine: Int) {
        guard mine == generation else { return }
        for stream in streams.values {
            for watcher in stream.watchers.values where watcher.notifiesProgress && watcher.place >= 0 {
                if watcher.isQuiet {
                    _ = stream.call.offer(WatchMessages.control(header(at: position), id: watcher.id))
                }
                watcher.isQuiet = true
            }
        }
        tellAskers()
    }
}
