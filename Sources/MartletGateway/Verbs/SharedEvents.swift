internal import MartletObject
internal import MartletStore
internal import Synchronization

/// The watch events of late, each made once for all that watch it.
final class SharedEvents: Sendable {
    private struct Key: Hashable {
        var revision: Int64
        var key: [UInt8]
        /// In whose form the object is: empty as it is stored.
        var form: String
        /// Whether the event tells of the object before; an object that was there when a watch began has none.
        var hasPrevious: Bool

        init(_ change: StoreEvent, _ kind: ResourceKind) {
            revision = change.pair.modRevision
            key = change.pair.key
            form = kind.stored == nil ? "" : kind.apiVersion + (kind.custom?.identity ?? "")
            hasPrevious = change.previous != nil
        }

        /// The revision tells nearly all apart, and each watch asks for each event: to hash whole keys would cost more
        /// than all else here.
        func hash(into hasher: inout Hasher) {
            hasher.combine(revision)
            hasher.combine(key.last)
        }
    }
    private struct State {
        /// When these are half of what is kept they become the old ones, and those that were go.
        var young: [Key: WatchEvent] = [:]
        var old: [Key: WatchEvent] = [:]
        /// Of the young ones.
        var bytes = 0

        mutating func add(_ event: WatchEvent, as key: Key) {
            if young.count >= Limits.sharedEvents / 2 || bytes + event.size > Limits.sharedEventBytes / 2 {
                old = young
                young = [:]
                bytes = 0
            }
            young[key] = event
            bytes += event.size
        }
    }
    private let state = Mutex(State())

    /// The event of a change, for those who see the object in the form of `kind`.
    func event(for change: StoreEvent, kind: ResourceKind) -> WatchEvent {
        let key = Key(change, kind)
        return state.withLock { state in
            if let known = state.young[key] ?? state.old[key] { return known }
            let event = WatchEvent(change, kind: kind)
            state.add(event, as: key)
            return event
        }
    }
}

/// A change of one object, as watchers see it. Its line is made when the first of them asks for it.
final class WatchEvent: Sendable {
    /// The kinds of event.
    enum Change: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
    }

    /// What happened to the object itself.
    let change: Change
    private let stored: StoreEvent
    private let kind: ResourceKind
    private struct State {
        /// The object now and before, as selectors look at it.
        var now: SelectableObject
        var before: SelectableObject
        var line: [UInt8]?
        weak var room: Admittance.Room?
    }
    private let state: Mutex<State>

    init(_ event: StoreEvent, kind: ResourceKind) {
        change = event.type
        stored = event
        self.kind = kind
        let seen = { (bytes: [UInt8]) in SelectableObject(StoredObject(stored: bytes), as: kind) }
        state = Mutex(State(now: seen(event.pair.value), before: seen(event.previous?.value ?? [])))
    }

    /// Bytes that it keeps, at most: its line, and what the store holds too while it remembers the change.
    var size: Int { lineSize + stored.size }

    /// Bytes of its line, or a few more.
    var lineSize: Int { stored(as: change).count + Self.lineCost }
    /// What a line has beside the object as it is stored: its type, and the object's revision.
    private static let lineCost = 100

    /// The change as a watch with selectors sees it: an object that comes to be selected is added, one that ceases to
    /// be is deleted. Nil when it was not selected before, nor is now.
    func seen(by selection: Selection) -> Change? {
        if selection.isEverything { return change }
        let (wasSelected, isSelected) = state.withLock { state in
            (
                stored.previous != nil && selection.admits(&state.before),
                change != .deleted && selection.admits(&state.now)
            )
        }
        switch (wasSelected, isSelected) {
        case (false, false): return nil
        case (false, true): return .added
        case (true, true): return .modified
        case (true, false): return .deleted
        }
    }

    /// The event for a watch that sees this change, ready to send. All that see what happened to the object itself
    /// share one.
    /// - Throws: 500 when the store holds something that is no object.
    func line(as seen: Change) throws(APIError) -> [UInt8] {
        if seen != change { return try newLine(seen) }
        return try state.withLock { state throws(APIError) in
            if let line = state.line { return line }
            let line = try newLine(seen)
            state.line = line
            return line
        }
    }

    private func newLine(_ seen: Change) throws(APIError) -> [UInt8] {
        try Self.line(of: stored(as: seen), revision: stored.pair.modRevision, seen, kind)
    }

    /// The object that a watch is shown that sees this change, with the revision of the change.
    /// - Throws: 500 when the store holds something that is no object.
    func object(as seen: Change) throws(APIError) -> [UInt8] {
        try kind.served(stored(as: seen), revision: stored.pair.modRevision)
    }

    /// The object that is there now or, when it goes, the one before.
    private func stored(as seen: Change) -> [UInt8] {
        seen == .deleted ? stored.previous?.value ?? Array("{}".utf8) : stored.pair.value
    }

    /// The room that its line takes while anybody sends it: taken once for all who do, by the first of them and before
    /// the line is made, and given back with the last who holds it. Nil when there is none now.
    /// - Parameter empty: an empty room of whoever sends it now.
    func room(in empty: Admittance.Room) -> Admittance.Room? {
        state.withLock { state in
            if let room = state.room { return room }
            guard empty.grow(by: lineSize) else { return nil }
            state.room = empty
            return empty
        }
    }

    /// One event of a watch's stream.
    static func line(_ type: String, _ object: [UInt8]) -> [UInt8] {
        line(type, reserving: object.count) { $0 += object }
    }

    /// The same with an object as it is stored, in the form of `kind`.
    /// - Throws: 500 when it is none.
    static func line(
        of stored: [UInt8], revision: Int64, _ change: Change, _ kind: ResourceKind
    ) throws(APIError) -> [UInt8] {
        try line(change.rawValue, reserving: stored.count) { line throws(APIError) in
            try kind.appendServed(stored, revision: revision, to: &line)
        }
    }

    private static func line<Failure>(
        _ type: String, reserving size: Int, _ append: (inout [UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(size + lineCost)
        line += "{\"type\":\"\(type)\",\"object\":".utf8
        try append(&line)
        line += "}\n".utf8
        return line
    }
}

extension StoreEvent {
    /// What happened to the object.
    var type: WatchEvent.Change { isDeletion ? .deleted : previous == nil ? .added : .modified }
    /// Bytes of the object, now and before.
    var size: Int { pair.value.count + (previous?.value.count ?? 0) }
}
