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
    }
    private struct State {
        var events: [Key: WatchEvent] = [:]
        var order: [Key] = []
        var bytes = 0
        /// The one asked for last: hundreds of watches ask for the same one after the other.
        var last: (key: Key, event: WatchEvent)?
    }
    private let state = Mutex(State())

    /// The event as it goes over the wire.
    /// - Parameter isInitial: whether it is an object that was there when the watch began, which has no change before.
    /// - Throws: 500 when the store holds something that is no object.
    func event(
        for change: StoreEvent, kind: ResourceKind, isInitial: Bool = false
    ) throws(APIError) -> WatchEvent {
        let key = Key(
            revision: change.pair.modRevision, key: change.pair.key,
            apiVersion: kind.stored == nil ? "" : kind.apiVersion + (kind.custom?.identity ?? ""),
            isInitial: isInitial)
        return try state.withLock { state throws(APIError) in
            if let last = state.last, last.key == key { return last.event }
            if let known = state.events[key] {
                state.last = (key, known)
                return known
            }
            let event = try WatchEvent(change, kind: kind)
            state.last = (key, event)
            state.events[key] = event
            state.order.append(key)
            state.bytes += event.size
            while state.order.count > Limits.sharedEvents || state.bytes > Limits.sharedEventBytes,
                state.order.count > 1
            {
                let oldest = state.order.removeFirst()
                state.bytes -= state.events.removeValue(forKey: oldest)?.size ?? 0
            }
            return event
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
    private let charge = Mutex(Charge())

    init(_ event: StoreEvent, kind: ResourceKind) throws(APIError) {
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

    /// The room that the line takes while anybody sends it: taken once, by the first, and given back with the last who
    /// holds it. Nil when there is none now.
    /// - Parameter empty: an empty room of whoever sends it now.
    func room(_ empty: @autoclosure () -> Admittance.Room) -> Admittance.Room? {
        charge.withLock { charge in
            if let room = charge.room { return room }
            let room = empty()
            guard room.grow(by: line.count) else { return nil }
            charge.room = room
            return room
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
