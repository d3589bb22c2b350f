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

    /// Lines that are sent together, as many as make a piece.
    private struct Batch {
        private var lines: [[UInt8]] = []
        private var size = 0

        var isFull: Bool { size >= Limits.watchPiece }

        mutating func add(_ line: [UInt8]) {
            lines.append(line)
            size += line.count
        }

        mutating func send(to writer: any BodyWriter) async throws {
            if lines.isEmpty { return }
            let pieces = lines
            self = Batch()
            try await writer.write(joining: pieces)
        }
    }

    private struct State {
        /// Whether a table's headings have been sent.
        var hasHeadings = false
        /// Everything up to here has been sent.
        var revision: Int64 = 0
    }

    private func sendInitial(to writer: any BodyWriter, _ state: inout State) async throws {
        var batch = Batch()
        var walk = RangeWalk(registry.storage, over: selection.range, at: start)
        while let pair = try await walk.next() {
            guard selection.admits(pair) else { continue }
            let change = StoreEvent(pair: pair, previous: nil, isDeletion: false)
            if change.size > Limits.watchPiece {
                try await batch.send(to: writer)
                try await sendLarge(change, to: writer, &state)
                continue
            }
            // Hardly anybody else asks for it again: it is not kept.
            batch.add(try line(of: WatchEvent(change, kind: kind), as: .added, &state))
            if batch.isFull { try await batch.send(to: writer) }
        }
        try await batch.send(to: writer)
        if options.marksInitialEnd { try await writer.write(bookmark(start, endsInitial: true)) }
    }

    private func follow(_ changes: StoreWatch, _ writer: any BodyWriter, _ state: inout State) async throws {
        state.revision = start
        let (world, storage, clock) = (registry.world, registry.storage, registry.watchClock)
        let last = LastRevision()
        // Wakes the loop below when it is time for a bookmark, or for the end.
        var nextTick = Self.tick(after: world.now(), deadline)
        let alarm = clock.add(at: nextTick) { changes.requestProgress() }
        defer { clock.remove(alarm) }
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
                    clock.set(alarm, to: nextTick)
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
        var batch = Batch()
        for change in events {
            if change.size > Limits.watchPiece {
                try await batch.send(to: writer)
                try await sendLarge(change, to: writer, &state)
                continue
            }
            let event = registry.sharedEvents.event(for: change, kind: kind)
            guard let seen = event.seen(by: selection) else { continue }
            batch.add(try line(of: event, as: seen, &state))
            if batch.isFull { try await batch.send(to: writer) }
        }
        try await batch.send(to: writer)
    }

    /// Sends one event that takes much memory. It is made, or held, once there is room for all of it: until then
    /// nothing is held but what the store holds too.
    private func sendLarge(
        _ change: StoreEvent, to writer: any BodyWriter, _ state: inout State
    ) async throws {
        let event = { registry.sharedEvents.event(for: change, kind: kind) }
        guard let seen = event().seen(by: selection) else { return }
        let isShared = renderer.representation == .json && seen == change.type
        let size = max(change.pair.value.count, change.previous?.value.count ?? 0)
        // In a form of its own it is held as it was read and as it is sent.
        let own = min(3 * size, Limits.eventBuffers) + (isShared ? 0 : 2 * size)
        let (claimed, rooms) = try await claim(own, of: event, isShared: isShared)
        defer { withExtendedLifetime(rooms) {} }
        try await writer.write(line(of: claimed, as: seen, &state))
    }

    /// An event, and the memory that it takes while it is sent: given back with the last who holds it.
    private typealias Claim = (event: WatchEvent, rooms: [Admittance.Room])

    /// Waits for memory.
    /// - Throws: 429 when there is none for too long: whoever asks again later finds the object as it is then.
    private func claim(_ own: Int, of event: () -> WatchEvent, isShared: Bool) async throws -> Claim {
        let end = registry.world.now() + patience
        while true {
            if let claim = take(own, of: event(), isShared: isShared) { return claim }
            if registry.world.now() >= end { throw APIError.tooManyRequests }
            try await registry.world.sleep(for: Limits.watchPause)
        }
    }

    /// So many bytes of this watch's own, and the room of the event when its line is shared. None is held without the
    /// other, or those who wait could be in each other's way.
    private func take(_ own: Int, of event: WatchEvent, isShared: Bool) -> Claim? {
        let mine = room.another()
        guard mine.grow(by: own) else { return nil }
        if !isShared { return (event, [mine]) }
        return event.room(in: room.another()).map { (event, [mine, $0]) }
    }

    /// An event as this watch is told of it.
    private func line(
        of event: WatchEvent, as seen: WatchEvent.Change, _ state: inout State
    ) throws(APIError) -> [UInt8] {
        if renderer.representation == .json { return try event.line(as: seen) }
        return WatchEvent.line(seen.rawValue, try rendered(event.object(as: seen), &state))
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
