internal import MartletObject
internal import MartletStore
internal import Synchronization

/// Watch events, serialised once and shared by all that watch them.
final class SharedEvents: Sendable {
    private struct Key: Hashable {
        var revision: Int64
        var key: [UInt8]
        /// In whose form the object is: empty as it is stored.
        var apiVersion: String
        /// Whether it says that the object was there already, whatever its last change was.
        var isInitial: Bool

        init(_ change: StoreEvent, _ kind: ResourceKind, isInitial: Bool) {
            revision = change.pair.modRevision
            key = change.pair.key
            apiVersion = kind.stored == nil ? "" : kind.apiVersion + (kind.custom?.identity ?? "")
            self.isInitial = isInitial
        }
    }
    private struct State {
        var events: [Key: WatchEvent] = [:]
        var order: [Key] = []
        var bytes = 0
        /// The one asked for last: hundreds of watches ask for the same one after the other.
        var last: (key: Key, event: WatchEvent)?

        mutating func known(_ key: Key) -> WatchEvent? {
            if let last, last.key == key { return last.event }
            guard let known = events[key] else { return nil }
            last = (key, known)
            return known
        }

        mutating func add(_ event: WatchEvent, as key: Key) {
            last = (key, event)
            events[key] = event
            order.append(key)
            bytes += event.size
            while order.count > Limits.sharedEvents || bytes > Limits.sharedEventBytes, order.count > 1 {
                bytes -= events.removeValue(forKey: order.removeFirst())?.size ?? 0
            }
        }
    }
    private let state = Mutex(State())

    /// The event as it goes over the wire.
    /// - Parameter isInitial: whether it is an object that was there when the watch began, which has no change before.
    /// - Throws: 500 when the store holds something that is no object.
    func event(
        for change: StoreEvent, kind: ResourceKind, isInitial: Bool = false
    ) throws(APIError) -> WatchEvent {
        let key = Key(change, kind, isInitial: isInitial)
        return try state.withLock { state throws(APIError) in
            if let known = state.known(key) { return known }
            let event = try WatchEvent(change, kind: kind)
            state.add(event, as: key)
            return event
        }
    }

    /// A large event with the room that it takes while anybody sends it: taken once for all who do, by the first and
    /// before the event is made, and given back with the last who holds it. Nil when there is none now.
    /// - Parameter empty: an empty room of whoever sends it now.
    func event(
        for change: StoreEvent, kind: ResourceKind, isInitial: Bool, in empty: Admittance.Room
    ) throws(APIError) -> (WatchEvent, Admittance.Room)? {
        let key = Key(change, kind, isInitial: isInitial)
        let size = WatchEvent.size(of: change)
        return try state.withLock { state throws(APIError) in
            if let known = state.known(key) { return known.room(of: size, in: empty).map { (known, $0) } }
            guard empty.grow(by: size) else { return nil }
            let event = try WatchEvent(change, kind: kind, room: empty)
            state.add(event, as: key)
            return (event, empty)
        }
    }
}

/// A change of one object, as watchers see it.
final class WatchEvent: Sendable {
    /// The kinds of event.
    enum Change: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
    }

    /// What happened to the object itself.
    let change: Change
    /// The object: as it is now, or as it was last, with the revision of the change.
    let bytes: [UInt8]
    /// The event of a watch without selectors, ready to send.
    let line: [UInt8]
    /// The object before, with the revision of the change; nil when there was none.
    private let before: [UInt8]?
    /// Bytes that it takes at most.
    var size: Int { line.count + 2 * (bytes.count + (before?.count ?? 0)) }
    private struct Seen: Sendable {
        var now: SelectableObject
        var before: SelectableObject
    }
    /// The stored bytes, for selectors.
    private let seen: Mutex<Seen>
    private struct Charge {
        weak var room: Admittance.Room?
    }
    private let charge: Mutex<Charge>

    /// - Parameter room: what its memory was taken from, for one who sends it.
    init(_ event: StoreEvent, kind: ResourceKind, room: Admittance.Room? = nil) throws(APIError) {
        charge = Mutex(Charge(room: room))
        let revision = event.pair.modRevision
        let stored = { (bytes: [UInt8]) in SelectableObject(StoredObject(stored: bytes), as: kind) }
        seen = Mutex(Seen(now: stored(event.pair.value), before: stored(event.previous?.value ?? [])))
        before = try event.previous.map { previous throws(APIError) in
            try kind.served(previous.value, revision: revision)
        }
        if event.isDeletion {
            change = .deleted
            bytes = before ?? Array("{}".utf8)
        } else {
            change = event.previous == nil ? .added : .modified
            bytes = try kind.served(event.pair.value, revision: revision)
        }
        line = Self.line(change.rawValue, bytes)
    }

    /// Bytes that the event of a change takes beside what the store holds: the object, its line, and the one before.
    static func size(of change: StoreEvent) -> Int {
        let before = change.previous?.value.count ?? 0
        return 2 * (change.isDeletion ? before : change.pair.value.count) + before
    }

    /// The room that the event takes while anybody sends it; nil when there is none now.
    /// - Parameter empty: an empty room of whoever sends it now.
    fileprivate func room(of size: Int, in empty: Admittance.Room) -> Admittance.Room? {
        charge.withLock { charge in
            if let room = charge.room { return room }
            guard empty.grow(by: size) else { return nil }
            charge.room = empty
            return empty
        }
    }

    /// The event as a watch with selectors sees it: an object that comes to be selected is added, one that ceases to
    /// be is deleted. Nil when it was not selected before, nor is now.
    func seen(by selection: Selection) -> (change: Change, bytes: [UInt8])? {
        if selection.isEverything { return (change, bytes) }
        let (wasSelected, isSelected) = seen.withLock { seen in
            (before != nil && selection.admits(&seen.before), change != .deleted && selection.admits(&seen.now))
        }
        switch (wasSelected, isSelected) {
        case (false, false): return nil
        case (false, true): return (.added, bytes)
        case (true, true): return (.modified, bytes)
        case (true, false): return (.deleted, before ?? bytes)
        }
    }

    /// One event of a watch's stream.
    static func line(_ type: String, _ object: [UInt8]) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(object.count + 40)
        line += "{\"type\":\"\(type)\",\"object\":".utf8
        line += object
        line += "}\n".utf8
        return line
    }
}
