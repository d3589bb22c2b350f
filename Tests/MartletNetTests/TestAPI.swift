import HTTPTypes
import MartletBase
import MartletClient
import MartletHTTP
import MartletObject
import Synchronization

/// A small API in the test's own hands: lists, watches and merge patches of whatever is put into it; Leases are put and
/// deleted by clients, too.
final class TestAPI: Sendable {
    private struct Event {
        var revision: Int
        var collection: String
        var path: String
        var line: [UInt8]
    }
    private struct State {
        var revision = 1
        var objects: [String: JSON] = [:]
        var events: [Event] = []
        var watchers: [Int: (collection: String, sink: AsyncStream<[UInt8]>.Continuation)] = [:]
        var isDown = false
        var posted: [JSON] = []
        var patches: [String: Int] = [:]
        var refusesPosts = false
        var refused = 0
        var refusesAllSecrets = false
        var listedSecrets: [String] = []
    }
    private let state = Mutex(State())

    /// Whether every call is refused.
    var isDown: Bool {
        get { state.withLock { $0.isDown } }
        set { state.withLock { $0.isDown = newValue } }
    }

    /// Whether Secrets are given away one by one only, by their names.
    var refusesAllSecrets: Bool {
        get { state.withLock { $0.refusesAllSecrets } }
        set { state.withLock { $0.refusesAllSecrets = newValue } }
    }
    /// The paths of the Secrets that were asked for by name.
    var listedSecrets: [String] { state.withLock { $0.listedSecrets } }

    /// Whether what is posted is refused, and how often it was.
    var refusesPosts: Bool {
        get { state.withLock { $0.refusesPosts } }
        set { state.withLock { $0.refusesPosts = newValue } }
    }
    var refused: Int { state.withLock { $0.refused } }
    /// How often objects of a kind were patched.
    func patches(_ kind: ResourceKind) -> Int { state.withLock { $0.patches[kind.path()] ?? 0 } }
    /// What was posted, in order.
    var posted: [JSON] { state.withLock { $0.posted } }

    func put(_ kind: ResourceKind, _ object: JSON) {
        let path = kind.path(namespace: kind.isNamespaced ? object.namespace : nil, name: object.name)
        state.withLock { Self.store(object, at: path, collection: kind.path(), &$0) }
    }

    func remove(_ kind: ResourceKind, namespace: String = "", name: String) {
        let path = kind.path(namespace: kind.isNamespaced ? namespace : nil, name: name)
        state.withLock { state in
            guard let object = state.objects.removeValue(forKey: path) else { return }
            state.revision += 1
            Self.tell("DELETED", Self.stamped(object, state.revision), at: path, collection: kind.path(), &state)
        }
    }

    func get(_ kind: ResourceKind, namespace: String = "", name: String) -> JSON? {
        state.withLock { $0.objects[kind.path(namespace: kind.isNamespaced ? namespace : nil, name: name)] }
    }

    private static func stamped(_ object: JSON, _ revision: Int) -> JSON {
        object.merged(with: ["metadata": ["resourceVersion": .string(String(revision))]])
    }

    private static func store(_ object: JSON, at path: String, collection: String, _ state: inout State) {
        state.revision += 1
        let stamped = stamped(object, state.revision)
        let isNew = state.objects.updateValue(stamped, forKey: path) == nil
        tell(isNew ? "ADDED" : "MODIFIED", stamped, at: path, collection: collection, &state)
    }

    private static func tell(
        _ type: String, _ object: JSON, at path: String, collection: String, _ state: inout State
    ) {
        let event: JSON = ["type": .string(type), "object": object]
        let line = event.encoded() + [10]
        state.events.append(Event(revision: state.revision, collection: collection, path: path, line: line))
        for watcher in state.watchers.values where [collection, path].contains(watcher.collection) {
            watcher.sink.yield(line)
        }
    }

    // MARK: As a server

    func handle(_ request: Request) async -> Response {
        if isDown { return Self.status(503, "down") }
        let target = request.head.path ?? ""
        var path = String(target.prefix { $0 != "?" })
        // All Leases are in one namespace.
        if path.hasSuffix("/leases") { path = ResourceKind.lease.path() }
        if request.head.method == .put {
            let body = (try? await request.body.collect(limit: 1 << 20)) ?? []
            guard let object = try? JSON(parsing: body) else { return Self.status(400, "no JSON") }
            put(.lease, object)
            return Self.json(object)
        }
        if request.head.method == .delete {
            remove(.lease, namespace: "kube-system", name: String(path.split(separator: "/").last ?? ""))
            return Self.json([:])
        }
        if request.head.method == .patch {
            let body = (try? await request.body.collect(limit: 1 << 20)) ?? []
            return patch(path, body)
        }
        if request.head.method == .post {
            return post((try? await request.body.collect(limit: 1 << 20)) ?? [])
        }
        if let object = state.withLock({ $0.objects[path] }) { return Self.json(object) }
        if path == ResourceKind.secret.path(), refusesAllSecrets { return Self.status(403, "not all of them") }
        let selected = target.replacing("%3D", with: "=").split(separator: "fieldSelector=metadata.name=").dropFirst()
            .first.map { "\(path)/\($0.prefix { $0 != "&" })" }
        guard target.contains("watch=true") else {
            guard let selected, path.hasSuffix("/secrets") else { return list(path) }
            return listOne(selected)
        }
        let from = target.split(separator: "&").first { $0.contains("resourceVersion=") }
            .flatMap { $0.split(separator: "=").last }.flatMap { Int($0) }
        return watch(path.hasSuffix("/secrets") ? selected ?? path : path, from: from ?? 0)
    }

    private func listOne(_ path: String) -> Response {
        let (object, revision) = state.withLock { state in
            state.listedSecrets.append(path)
            return (state.objects[path], state.revision)
        }
        return Self.json([
            "metadata": ["resourceVersion": .string(String(revision))], "items": .array(object.map { [$0] } ?? []),
        ])
    }

    private func list(_ collection: String) -> Response {
        let kind = ResourceKind.all.first { $0.path() == collection }
        guard let kind else { return Self.status(404, "no such kind") }
        let (items, revision) = state.withLock { state in
            let prefixes = state.objects.filter { entry in
                kind.path(namespace: kind.isNamespaced ? entry.value.namespace : nil, name: entry.value.name)
                    == entry.key
            }
            return (prefixes.sorted { $0.key < $1.key }.map(\.value), state.revision)
        }
        return Self.json(["metadata": ["resourceVersion": .string(String(revision))], "items": .array(items)])
    }

    private func watch(_ collection: String, from: Int) -> Response {
        let (lines, sink) = AsyncStream<[UInt8]>.makeStream()
        let id = state.withLock { state in
            for event in state.events
            where [event.collection, event.path].contains(collection) && event.revision > from {
                sink.yield(event.line)
            }
            let id = state.revision * 1000 + state.watchers.count
            state.watchers[id] = (collection, sink)
            return id
        }
        var head = HTTPResponse(status: .ok)
        head.headerFields[.contentType] = "application/json"
        return Response(
            head: head,
            body: .stream { writer in
                defer { self.state.withLock { $0.watchers[id] = nil } }
                for await line in lines { try await writer.write(line) }
            })
    }

    private func patch(_ path: String, _ body: [UInt8]) -> Response {
        let path = path.hasSuffix("/status") ? String(path.dropLast(7)) : path
        guard let change = try? JSON(parsing: body) else { return Self.status(400, "no JSON") }
        let patched: JSON? = state.withLock { state in
            guard let object = state.objects[path] else { return nil }
            let kind = ResourceKind.all.first { kind in
                kind.path(namespace: kind.isNamespaced ? object.namespace : nil, name: object.name) == path
            }
            guard let kind else { return nil }
            state.patches[kind.path(), default: 0] += 1
            Self.store(object.merged(with: change), at: path, collection: kind.path(), &state)
            return state.objects[path]
        }
        return patched.map(Self.json) ?? Self.status(404, "not found")
    }

    private func post(_ body: [UInt8]) -> Response {
        guard let object = try? JSON(parsing: body) else { return Self.status(400, "no JSON") }
        let isTaken = state.withLock { state in
            if state.refusesPosts { state.refused += 1 } else { state.posted.append(object) }
            return !state.refusesPosts
        }
        return isTaken ? Self.json(object) : Self.status(503, "refused")
    }

    private static func json(_ object: JSON) -> Response {
        Response(status: .ok, contentType: "application/json", bytes: object.encoded())
    }

    private static func status(_ code: Int, _ message: String) -> Response {
        let body: JSON = ["kind": "Status", "code": .int(Int64(code)), "message": .string(message), "reason": ""]
        return Response(status: .init(code: code), contentType: "application/json", bytes: body.encoded())
    }
}

extension JSON {
    /// A merge patch, as far as these tests use it (RFC 7386).
    func merged(with change: JSON) -> JSON {
        guard change.object != nil else { return change }
        var result: JSON = object == nil ? [:] : self
        for (key, value) in change.members { result[key] = (result[key] ?? [:]).merged(with: value) }
        return result
    }
}
