/// What one watcher was told, over all the watches with which it went on where the last one had ended.
public struct WatchRecord: Sendable {
    /// Something that was told.
    public struct Event: Sendable, Hashable {
        /// The revision of the change.
        public var revision: Int64
        /// The change.
        public var change: KeyChange
        /// An event from its parts.
        public init(revision: Int64, change: KeyChange) {
            self.revision = revision
            self.change = change
        }
    }
    /// Events that came together, and through which revision they tell all.
    public struct Batch: Sendable, Hashable {
        /// What happened.
        public var events: [Event]
        /// Nothing else happened through this revision.
        public var revision: Int64
        /// A batch from its parts.
        public init(events: [Event], revision: Int64) {
            self.events = events
            self.revision = revision
        }
    }

    /// Names the watcher.
    public var name: String
    /// Keys that begin with this are watched.
    public var prefix: String
    /// The watch begins after this revision.
    public var start: Int64
    /// What was told, in order. A watcher that was told that its past is forgotten begins a new record.
    public var batches: [Batch] = []

    /// A record of nothing yet.
    public init(name: String, prefix: String, start: Int64) {
        self.name = name
        self.prefix = prefix
        self.start = start
    }

    /// Through which revision all was told.
    public var position: Int64 { batches.last?.revision ?? start }
}

/// Checks etcd's promises about watches: ordered, unique, complete, whole revisions together, and so over a watch that
/// was begun again.
public enum WatchChecker {
    /// What is wrong with what this watcher was told, if this is the history.
    public static func violations(of record: WatchRecord, in history: StoreHistory) -> [Violation] {
        var position = record.start
        for batch in record.batches {
            if batch.revision < position {
                return [
                    Violation(
                        "watches are ordered",
                        "\(record.name) was told all through \(batch.revision) after all through \(position)")
                ]
            }
            guard batch.revision <= history.revision else {
                return [
                    Violation(
                        "watches tell what is agreed on",
                        "\(record.name) was told of revision \(batch.revision), but the history ends at "
                            + "\(history.revision)")
                ]
            }
            let expected = events(after: position, through: batch.revision, record.prefix, history)
            if batch.events != expected { return [difference(batch, expected, after: position, record)] }
            position = batch.revision
        }
        return []
    }

    private static func events(
        after start: Int64, through end: Int64, _ prefix: String, _ history: StoreHistory
    ) -> [WatchRecord.Event] {
        guard start < end else { return [] }
        return (start + 1...end).flatMap { revision in
            (history.changes(at: revision) ?? []).filter { $0.key.hasPrefix(prefix) }.map {
                WatchRecord.Event(revision: revision, change: $0)
            }
        }
    }

    private static func difference(
        _ batch: WatchRecord.Batch, _ expected: [WatchRecord.Event], after position: Int64, _ record: WatchRecord
    ) -> Violation {
        let where_ = "\(record.name), after \(position) through \(batch.revision)"
        if let missing = expected.first(where: { !batch.events.contains($0) }) {
            return Violation(
                "watches are complete",
                "\(where_), was not told of \(missing.change.key) at revision \(missing.revision)")
        }
        if let surplus = batch.events.first(where: { !expected.contains($0) }) {
            let promise = surplus.revision <= position ? "watches tell a change once" : "watches tell what is agreed on"
            return Violation(
                promise, "\(where_), was told of \(surplus.change.key) at revision \(surplus.revision)")
        }
        return Violation("watches are ordered", "\(where_), was told of the right changes in another order or twice")
    }
}
