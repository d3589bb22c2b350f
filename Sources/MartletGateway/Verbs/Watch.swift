internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletReplica
internal import MartletStore
internal import Synchronization

/// What a watch's query asks for.
struct WatchOptions: Sendable, Hashable {
    /// After which revision to begin; nil: with what is there now.
    var after: Int64?
    /// Whether the objects that are there now come first, as ADDED events.
    var sendsInitialEvents: Bool
    /// Whether a bookmark marks the end of those.
    var marksInitialEnd: Bool
    var allowsBookmarks: Bool
    var timeoutSeconds: Int64?

    init(_ query: Query) throws(APIError) {
        allowsBookmarks = query.flag("allowWatchBookmarks") ?? false
        timeoutSeconds = try query.integer("timeoutSeconds")
        let revision = try Registry.revision(query)
        let wanted = query.flag("sendInitialEvents")
        try Registry.checkWatchOptions(query)
        sendsInitialEvents = wanted ?? (revision == nil)
        marksInitialEnd = wanted == true && allowsBookmarks
        after = revision
    }
}

extension Registry {
    /// Prepares a watch: what can be refused is refused here, before the answer's head is sent.
    /// - Parameter room: what large events take their memory from.
    func watch(
        _ target: Target, query: Query, renderer: Renderer, room: Admittance.Room
    ) async throws(APIError) -> WatchSession {
        let selection = try Selection(target, query: query)
        let options = try WatchOptions(query)
        if let after = options.after { try await reach(after) } else { try await storage.confirm() }
        let current = await storage.revision()
        // With initial events the state is sent as it is now, which is not older than any revision asked for.
        let start = options.sendsInitialEvents ? current : options.after ?? current
        let seconds =
            options.timeoutSeconds.flatMap { $0 > 0 ? min($0, 86_400) : nil }
            ?? Int64(Limits.watchSeconds) + Int64(world.random() % UInt64(Limits.watchSeconds))
        var session = WatchSession(
            registry: self, kind: target.kind, selection: selection, options: options, renderer: renderer,
            start: start, deadline: world.now() + .seconds(seconds), room: room)
        do {
            session.changes = try await storage.watch(selection.range, after: start)
        } catch  where error.code == 410 {
            // Upstream says this inside the stream, and clients look for it there.
            session.refusal = error
        }
        return session
    }
}

/// One watch: its objects first, if wanted, and then every change.
struct WatchSession: Sendable {
    let registry: Registry
    let kind: ResourceKind
    let selection: Selection
    let options: WatchOptions
    let renderer: Renderer
    /// The changes after this revision are sent.
    let start: Int64
    let deadline: MonotonicTime
    /// Nil when the watch is refused.
    fileprivate(set) var changes: StoreWatch?
    fileprivate(set) var refusal: APIError?
    /// Returns when the kind is no longer served as it was: the watch ends then.
    var untilGone: (@Sendable () async -> Void)?
    /// What large events take their memory from while they are sent.
    let room: Admittance.Room
    /// How long room for one is waited for.
    var patience = Limits.watchPatience

    init(
        registry: Registry, kind: ResourceKind, selection: Selection, options: WatchOptions, renderer: Renderer,
        start: Int64, deadline: MonotonicTime, room: Admittance.Room
    ) {
        self.registry = registry
        self.kind = kind
        self.selection = selection
        self.options = options
        self.renderer = renderer
        self.start = start
        self.deadline = deadline
        self.room = room
    }

    /// Writes events until the deadline, the end of the store, or the caller's going away.
    func run(_ writer: any BodyWriter) async throws {
        guard let changes else {
            if let refusal { try await writer.write(Self.error(refusal)) }
            return
        }
        defer { changes.cancel() }
        var state = State()
        do {
            if options.sendsInitialEvents { try await sendInitial(to: writer, &state) }
        } catch let error as APIError {
            try await writer.write(Self.error(error))
            return
        }
        try await follow(changes, writer, &state)
    }

    private struct State {
        /// Whether a table's headings have been sent.
        var hasHeadings = false
        /// Everything up to here has been sent.
        var revision: Int64 = 0
    }

    private func sendInitial(to writer: any BodyWriter, _ state: inout State) async throws {
        var lines: [UInt8] = []
        var walk = RangeWalk(registry.storage, over: selection.range, at: start)
        while let pair = try await walk.next() {
            guard selection.admits(pair) else { continue }
            if pair.value.count > Limits.watchPiece {
                if !lines.isEmpty { try await writer.write(lines) }
                lines.removeAll()
                let event = StoreEvent(pair: pair, previous: nil, isDeletion: false)
                try await sendLarge(event, isInitial: true, to: writer, &state)
                continue
            }
            lines += WatchEvent.line("ADDED", try rendered(pair.served(as: kind), &state))
            if lines.count < Limits.watchPiece { continue }
            try await writer.write(lines)
            lines.removeAll(keepingCapacity: true)
        }
        if !lines.isEmpty { try await writer.write(lines) }
        if options.marksInitialEnd { try await writer.write(bookmark(start, endsInitial: true)) }
    }

    private func follow(_ changes: StoreWatch, _ writer: any BodyWriter, _ state: inout State) async throws {
        state.revision = start
        let (world, storage, deadline) = (registry.world, registry.storage, deadline)
        let last = LastRevision()
        var nextTick = Self.tick(after: world.now(), deadline)
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            if let untilGone {
                group.addTask {
                    await untilGone()
                    // The last objects went before their kind did: that is told before the end.
                    let revision = await storage.revision()
                    last.value.store(revision, ordering: .relaxed)
                    changes.requestProgress()
                }
            }
            // Wakes the loop below when it is time for a bookmark, or for the end.
            group.addTask {
                while true {
                    let next = Self.tick(after: world.now(), deadline)
                    try await world.sleep(until: next)
                    changes.requestProgress()
                    if next == deadline { return }
                }
            }
            do {
                while let (events, revision) = try await changes.next() {
                    try await send(events, to: writer, &state)
                    state.revision = max(state.revision, revision)
                    if state.revision >= last.value.load(ordering: .relaxed) { return }
                    let now = world.now()
                    guard now >= nextTick else { continue }
                    // At the end too, as upstream just before it: whoever resumes does so from here.
                    if options.allowsBookmarks { try await writer.write(bookmark(state.revision, endsInitial: false)) }
                    if now >= deadline { return }
                    nextTick = Self.tick(after: now, deadline)
                }
            } catch is CancellationError {
                return
            } catch let error as StoreError {
                try await writer.write(Self.error(APIError(error, requested: 0)))
            } catch let error as APIError {
                try await writer.write(Self.error(error))
            }
        }
    }

    /// The revision with which a watch ends whose kind is gone.
    private final class LastRevision: Sendable {
        let value = Atomic<Int64>(.max)
    }

    private static func tick(after now: MonotonicTime, _ deadline: MonotonicTime) -> MonotonicTime {
        min(deadline, now + Limits.bookmarkInterval)
    }

    /// Sends events, as many at a time as make a piece.
    private func send(_ events: [StoreEvent], to writer: any BodyWriter, _ state: inout State) async throws {
        var lines: [UInt8] = []
        for change in events {
            if change.pair.value.count + (change.previous?.value.count ?? 0) > Limits.watchPiece {
                if !lines.isEmpty { try await writer.write(lines) }
                lines.removeAll()
                try await sendLarge(change, isInitial: false, to: writer, &state)
                continue
            }
            let event = try registry.sharedEvents.event(for: change, kind: kind)
            if renderer.representation == .json, selection.isEverything {
                // One event alone is shared by all that watch it, not copied.
                if events.count == 1 { return try await writer.write(event.line) }
                lines += event.line
            } else if let seen = event.seen(by: selection) {
                lines += WatchEvent.line(seen.change.rawValue, try rendered(seen.bytes, &state))
            }
            if lines.count >= Limits.watchPiece {
                try await writer.write(lines)
                lines.removeAll(keepingCapacity: true)
            }
        }
        if !lines.isEmpty { try await writer.write(lines) }
    }

    /// Sends one event that takes much memory. It is made, or held, once there is room for all of it: until then
    /// nothing is held but what the store holds too.
    private func sendLarge(
        _ change: StoreEvent, isInitial: Bool, to writer: any BodyWriter, _ state: inout State
    ) async throws {
        let size = max(change.pair.value.count, change.previous?.value.count ?? 0)
        let buffers = min(3 * size, Limits.eventBuffers)
        // In a form of its own it is held as it was read and as it is sent.
        let copy = renderer.representation == .json && selection.isEverything ? 0 : 2 * size
        var own = buffers + copy
        let (event, share) = try await claim(own) { room throws(APIError) in
            try registry.sharedEvents.event(for: change, kind: kind, isInitial: isInitial, in: room)
        }
        defer {
            room.shrink(by: own)
            withExtendedLifetime(share) {}
        }
        guard let seen = isInitial ? (event.change, event.bytes) : event.seen(by: selection) else { return }
        if renderer.representation == .json, seen.change == event.change {
            room.shrink(by: copy)
            own = buffers
            return try await writer.write(event.line)
        }
        try await writer.write(WatchEvent.line(seen.change.rawValue, try rendered(seen.bytes, &state)))
    }

    /// Waits for memory: so many bytes of this watch's own, and what `take` takes from an empty room; none is held
    /// without the other, or those who wait could be in each other's way.
    /// - Throws: 429 when there is none for too long: whoever asks again later finds the object as it is then.
    private func claim<Taken>(
        _ own: Int, _ take: (Admittance.Room) throws(APIError) -> Taken?
    ) async throws -> Taken {
        let end = registry.world.now() + patience
        while true {
            if room.grow(by: own) {
                do {
                    if let taken = try take(room.another()) { return taken }
                } catch {
                    room.shrink(by: own)
                    throw error
                }
                room.shrink(by: own)
            }
            if registry.world.now() >= end { throw APIError.tooManyRequests }
            try await registry.world.sleep(for: Limits.watchPause)
        }
    }

    private func rendered(_ bytes: [UInt8], _ state: inout State) throws(APIError) -> [UInt8] {
        guard renderer.isTable else { return try renderer.object(bytes, kind: kind) }
        // A watch lives long: an object may be younger than it.
        var renderer = renderer
        renderer.now = registry.world.wallTime()
        let object = try Renderer.parse(bytes)
        let metadata: JSON = ["resourceVersion": .string(object.resourceVersion)]
        let table = renderer.table([object], kind: kind, metadata: metadata, headings: !state.hasHeadings)
        state.hasHeadings = true
        return table.encoded()
    }

    /// A bookmark: everything up to `revision` has been sent.
    private func bookmark(_ revision: Int64, endsInitial: Bool) -> [UInt8] {
        var metadata: JSON = ["resourceVersion": .string(String(revision)), "creationTimestamp": .null]
        if endsInitial { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        let object: JSON
        switch renderer.representation {
        case .table: object = renderer.table([], kind: kind, metadata: metadata, headings: false)
        case .metadata:
            object = [
                "kind": "PartialObjectMetadata", "apiVersion": .string(renderer.metaVersion), "metadata": metadata,
            ]
        case .json, .discovery:
            object = ["kind": .string(kind.kind), "apiVersion": .string(kind.apiVersion), "metadata": metadata]
        }
        return WatchEvent.line("BOOKMARK", object.encoded())
    }

    private static func error(_ error: APIError) -> [UInt8] { WatchEvent.line("ERROR", error.status.encoded()) }
}
