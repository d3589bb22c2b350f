import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import Synchronization

/// A cached view of a collection, kept as client-go's informers keep theirs: a list or the initial events of a watch,
/// then a watch that is resumed where it broke off, and a new list after 410. Every event must fit what is known.
final class Informer: Sendable {
    /// How the view begins. A quiet one selects an object that does not change: only bookmarks tell it how far it is.
    enum Start: String, Sendable, CaseIterable { case pages, list, watchList, quiet }

    /// The label of what a quiet view shows.
    static let quiet = "quiet"
    /// Events between the begin of a view, or the end of its nap, and its next nap.
    private static let eventsBeforeNap = 500

    /// Thrown when a view goes away for a while.
    private struct Nap: Error {}

    private struct State {
        /// The values by name.
        var objects: [String: (revision: Int64, value: String)] = [:]
        /// Everything through this revision is known.
        var revision: Int64 = 0
        var hasList = false
        var events = 0
        var resumed = 0
        var lists = 0
        var bookmarks = 0
        /// How often its revision was refused as too old.
        var expired = 0
        /// How often it has yet to go away for so long that its revision is forgotten.
        var naps: Int
        /// The number of events after which it goes.
        var napsAfter = Informer.eventsBeforeNap
        /// Whether its revision is forgotten, so that only 410 is right.
        var isForgotten = false
        var faults: [String] = []
    }

    let name: String
    private let start: Start
    private let server: GatewayServer
    private let path: String
    private let world: Reactor
    /// Revisions that the server keeps for watches.
    private let history: Int64
    private let naps: Int
    private let state: Mutex<State>

    /// A view that goes away `naps` times, each time until `history` more revisions were made.
    init(
        _ name: String, _ start: Start, _ server: GatewayServer, path: String, naps: Int, history: Int64,
        world: Reactor
    ) {
        self.name = name
        self.start = start
        self.server = server
        self.path = path
        self.naps = naps
        self.history = history
        self.world = world
        state = Mutex(State(naps: naps))
    }

    var revision: Int64 { state.withLock { $0.revision } }
    var objects: [String: (revision: Int64, value: String)] { state.withLock { $0.objects } }
    var faults: [String] {
        state.withLock { state in
            var faults = state.faults
            if state.expired < naps { faults.append("\(name): \(state.expired) of \(naps) naps ended with 410") }
            return faults
        }
    }
    var summary: String {
        state.withLock {
            "\($0.events) events, \($0.bookmarks) bookmarks, \($0.resumed) times resumed, "
                + "\($0.expired) times 410, \($0.lists) lists"
        }
    }

    /// Whether an object of a list belongs to this view.
    func shows(_ object: JSON) -> Bool {
        start != .quiet || object["metadata", "labels", Self.quiet] != nil
    }

    /// Follows until it is cancelled.
    func run() async {
        while !Task.isCancelled {
            do {
                if !state.withLock({ $0.hasList }) && start != .watchList { try await list() }
                try await watch()
            } catch is Nap {
                await nap()
            } catch {
                // The server is away, or the stream broke: go on from where it was.
                try? await world.sleep(for: .milliseconds(20))
            }
        }
    }

    /// Waits until the revision of this view is forgotten.
    private func nap() async {
        let revision = revision
        while !Task.isCancelled {
            if let current = try? await currentRevision(), current > revision + history { break }
            try? await world.sleep(for: .milliseconds(50))
        }
        state.withLock { state in
            state.isForgotten = true
            state.naps -= 1
            state.napsAfter = state.events + Self.eventsBeforeNap
        }
    }

    private func currentRevision() async throws -> Int64 {
        let answer = try await server.client().send(head(path + "?limit=1"))
        let body = try JSON(parsing: try await answer.body.collect(limit: 1 << 20))
        return Int64(body["metadata", "resourceVersion"]?.string ?? "") ?? 0
    }

    private func fault(_ text: String) { state.withLock { $0.faults.append("\(name): \(text)") } }

    // MARK: Lists

    private func list() async throws {
        var objects: [String: (revision: Int64, value: String)] = [:]
        var (revision, token): (Int64, String?) = (0, nil)
        let client = server.client()
        repeat {
            var query = start == .pages ? "?limit=50" : start == .quiet ? "?labelSelector=\(Self.quiet)" : ""
            if let token { query += "&continue=\(token)" }
            let answer = try await client.send(head(path + query))
            let body = try JSON(parsing: try await answer.body.collect(limit: 1 << 28))
            if answer.head.status.code == 410 { return try await world.sleep(for: .milliseconds(10)) }
            guard answer.head.status.code == 200, let shown = Int64(body["metadata", "resourceVersion"]?.string ?? "")
            else { throw BenchFailure(description: "a list is answered with \(answer.head.status.code)") }
            if revision != 0, shown != revision { fault("pages of one list show \(revision) and \(shown)") }
            revision = shown
            for item in body["items"]?.array ?? [] {
                let entry = Self.entry(item)
                if objects.updateValue(entry, forKey: item.name) != nil { fault("\(item.name) is twice in a list") }
            }
            token = body["metadata", "continue"]?.string
        } while token != nil && token != ""
        let list = objects
        state.withLock { state in
            if revision < state.revision {
                state.faults.append("\(name): a list of \(revision) after \(state.revision)")
            }
            (state.objects, state.revision, state.hasList) = (list, revision, true)
            state.lists += 1
        }
    }

    private func head(_ path: String) -> HTTPRequest {
        HTTPRequest(method: .get, scheme: "https", authority: "127.0.0.1:\(server.port)", path: path)
    }

    private static func entry(_ object: JSON) -> (revision: Int64, value: String) {
        (Int64(object.resourceVersion) ?? 0, object["data", "value"]?.string ?? "")
    }

    // MARK: Watches

    private func watch() async throws {
        let (revision, hasList) = state.withLock { ($0.revision, $0.hasList) }
        // A quiet view ends its watch soon: the bookmark at the end is then all that it hears.
        let scope = start == .quiet ? "timeoutSeconds=1&labelSelector=\(Self.quiet)" : "timeoutSeconds=60"
        var query = "?watch=1&allowWatchBookmarks=true&\(scope)"
        if hasList {
            query += "&resourceVersion=\(revision)"
        } else {
            query += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        }
        let answer = try await server.client().send(head(path + query))
        guard answer.head.status.code == 200, case .stream(let next) = answer.body else {
            throw BenchFailure(description: "a watch is answered with \(answer.head.status.code)")
        }
        if hasList { state.withLock { $0.resumed += 1 } }
        var rest: [UInt8] = []
        var initial: [String: (revision: Int64, value: String)] = [:]
        while let piece = try await next() {
            rest += piece
            var from = rest.startIndex
            while let end = rest[from...].firstIndex(of: 10) {
                let event = try JSON(parsing: rest[from..<end])
                from = end + 1
                if try await !take(event, &initial) { return }
                if state.withLock({ $0.naps > 0 && $0.events >= $0.napsAfter && $0.hasList }) { throw Nap() }
            }
            rest.removeFirst(from)
        }
    }

    /// False when the watch is over: its revision is too old.
    private func take(
        _ event: JSON, _ initial: inout [String: (revision: Int64, value: String)]
    ) async throws -> Bool {
        let object = event["object"] ?? [:]
        let (name, entry) = (object.name, Self.entry(object))
        let type = event["type"]?.string ?? ""
        if type == "ERROR" {
            try await expire(code: object["code"]?.int ?? 0)
            return false
        }
        if state.withLock({ $0.isForgotten && $0.hasList }) {
            fault("\(type) \(name) after \(revision), which is forgotten")
            state.withLock { $0.isForgotten = false }
        }
        guard state.withLock({ $0.hasList }) else {
            if type == "ADDED" { initial[name] = entry }
            if type == "BOOKMARK", object.annotations["k8s.io/initial-events-end"] == "true" {
                let list = initial
                state.withLock { state in
                    (state.objects, state.revision, state.hasList) = (list, entry.revision, true)
                    state.lists += 1
                }
            }
            return true
        }
        if entry.revision < revision || (type != "BOOKMARK" && entry.revision == revision) {
            fault("\(type) \(name) of \(entry.revision) after \(revision)")
        }
        let isKnown = state.withLock { $0.objects[name] != nil }
        switch type {
        case "ADDED": if isKnown { fault("ADDED \(name), which is there already") }
        case "MODIFIED", "DELETED": if !isKnown { fault("\(type) \(name), which is not there") }
        case "BOOKMARK": break
        default: fault("an event of type \(type)")
        }
        state.withLock { state in
            state.revision = entry.revision
            if type == "BOOKMARK" {
                state.bookmarks += 1
                return
            }
            state.events += 1
            state.objects[name] = type == "DELETED" ? nil : entry
        }
        return true
    }

    /// Takes an ERROR event: only 410 is right, and only for a revision that is forgotten.
    private func expire(code: Int) async throws {
        let revision = revision
        if code != 410 { fault("an ERROR event of code \(code)") }
        let current = try await currentRevision()
        if current < revision + history { fault("410 for \(revision), which \(current - revision) others follow") }
        state.withLock { state in
            state.hasList = false
            state.isForgotten = false
            state.expired += 1
        }
    }
}
