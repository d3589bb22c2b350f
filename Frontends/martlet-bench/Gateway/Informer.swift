import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import Synchronization

/// A cached view of a collection, kept as client-go's informers keep theirs: a list or the initial events of a watch,
/// then a watch that is resumed where it broke off, and a new list after 410. Every event must fit what is known.
final class Informer: Sendable {
    /// How the view begins.
    enum Start: String, Sendable, CaseIterable { case pages, list, watchList }

    private struct State {
        /// The values by name.
        var objects: [String: (revision: Int64, value: String)] = [:]
        /// Everything through this revision is known.
        var revision: Int64 = 0
        var hasList = false
        var events = 0
        var resumed = 0
        var lists = 0
        var faults: [String] = []
    }

    let name: String
    private let start: Start
    private let server: GatewayServer
    private let path: String
    private let world: Reactor
    private let state = Mutex(State())

    init(_ name: String, _ start: Start, _ server: GatewayServer, path: String, world: Reactor) {
        self.name = name
        self.start = start
        self.server = server
        self.path = path
        self.world = world
    }

    var revision: Int64 { state.withLock { $0.revision } }
    var faults: [String] { state.withLock { $0.faults } }
    var objects: [String: (revision: Int64, value: String)] { state.withLock { $0.objects } }
    var summary: String {
        state.withLock { "\($0.events) events, \($0.resumed) times resumed, \($0.lists) lists" }
    }

    /// Follows until it is cancelled.
    func run() async {
        while !Task.isCancelled {
            do {
                if !state.withLock({ $0.hasList }) && start != .watchList { try await list() }
                try await watch()
            } catch {
                // The server is away, or the stream broke: go on from where it was.
                try? await world.sleep(for: .milliseconds(20))
            }
        }
    }

    private func fault(_ text: String) { state.withLock { $0.faults.append("\(name): \(text)") } }

    // MARK: Lists

    private func list() async throws {
        var objects: [String: (revision: Int64, value: String)] = [:]
        var (revision, token): (Int64, String?) = (0, nil)
        let client = server.client()
        repeat {
            var query = start == .pages ? "?limit=50" : ""
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
        var query = "?watch=1&allowWatchBookmarks=true&timeoutSeconds=60"
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
                if !take(event, &initial) { return }
            }
            rest.removeFirst(from)
        }
    }

    /// False when the watch is over: its revision is too old.
    private func take(_ event: JSON, _ initial: inout [String: (revision: Int64, value: String)]) -> Bool {
        let object = event["object"] ?? [:]
        let (name, entry) = (object.name, Self.entry(object))
        let type = event["type"]?.string ?? ""
        if type == "ERROR" {
            if object["code"]?.int != 410 { fault("an ERROR event of code \(object["code"]?.int ?? 0)") }
            state.withLock { $0.hasList = false }
            return false
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
            if type == "BOOKMARK" { return }
            state.events += 1
            state.objects[name] = type == "DELETED" ? nil : entry
        }
        return true
    }
}
