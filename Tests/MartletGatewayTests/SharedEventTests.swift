import MartletObject
import MartletStore
import Testing

@testable import MartletGateway

/// Watch events as values.
@Suite struct SharedEventTests {
    private static func pair(_ name: String, _ revision: Int64, _ labels: JSON = [:]) -> KeyValue {
        let object: JSON = ["metadata": ["name": .string(name), "labels": labels]]
        return KeyValue(
            key: Keys.object(.configMap, namespace: "a", name: name), value: object.encoded(), createRevision: 1,
            modRevision: revision, version: 1)
    }

    private static func change(_ name: String, _ revision: Int64, after previous: KeyValue? = nil) -> StoreEvent {
        StoreEvent(pair: pair(name, revision), previous: previous, isDeletion: false)
    }

    private static func selection(_ selector: String) throws -> Selection {
        let target = Target(kind: .configMap, namespace: "a", name: "", subresource: "")
        return try Selection(target, query: Query("labelSelector=\(selector)"))
    }

    @Test func theEventsOfABatchAreMadeOnceForAll() throws {
        let shared = SharedEvents()
        let batch = (1...100).map { Self.change("c\($0)", Int64($0 / 3 + 1)) }
        let first = batch.map { shared.event(for: $0, kind: .configMap) }
        for _ in 0..<3 {
            for (change, event) in zip(batch, first) {
                #expect(shared.event(for: change, kind: .configMap) === event)
            }
        }
        // What was there when a watch began is no change of it.
        let changed = Self.change("c1", 1, after: Self.pair("c1", 0))
        #expect(shared.event(for: changed, kind: .configMap) !== first[0])
        #expect(shared.event(for: changed, kind: .configMap).change == .modified && first[0].change == .added)
        #expect(
            try String(decoding: first[0].line(as: .added), as: UTF8.self)
                == #"{"type":"ADDED","object":{"metadata":{"resourceVersion":"1","name":"c1","labels":{}}}}"# + "\n")
    }

    @Test func noMoreAreKeptThanMayBe() {
        let shared = SharedEvents()
        var events: [Weak] = []
        for number in 0..<(2 * Limits.sharedEvents) {
            events.append(Weak(event: shared.event(for: Self.change("c", Int64(number)), kind: .configMap)))
        }
        let kept = events.filter { $0.event != nil }.count
        #expect(kept >= Limits.sharedEvents / 2 && kept <= Limits.sharedEvents)
        #expect(events.last?.event != nil)
    }

    private struct Weak {
        weak var event: WatchEvent?
    }

    @Test func aSelectorMakesItsOwnEventOfAChange() throws {
        let (on, off) = (Self.pair("c", 1, ["on": "yes"]), Self.pair("c", 2))
        let event = WatchEvent(StoreEvent(pair: off, previous: on, isDeletion: false), kind: .configMap)
        #expect(event.change == .modified)
        #expect(event.seen(by: try Self.selection("on")) == .deleted)
        #expect(event.seen(by: try Self.selection("!on")) == .added)
        #expect(event.seen(by: try Self.selection("other")) == nil)
        // It goes as it was, at the revision of the change.
        let gone = try JSON(parsing: event.object(as: .deleted))
        #expect(gone.labels == ["on": "yes"] && gone.resourceVersion == "2")
        #expect(try JSON(parsing: event.line(as: .deleted))["type"] == "DELETED")
        #expect(try JSON(parsing: event.line(as: .modified))["object"]?.labels == [:])
    }
}
