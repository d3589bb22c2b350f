import Logging
import MartletBase
import MartletClient
import MartletObject

@testable import MartletNode

/// The cluster's API as a table: versions, conflicts, graceful deletion and followers, and nothing else.
actor FakeAPI: ClusterAPI {
    private let world: any World
    private var table: [ObjectKey: JSON] = [:]
    private var version = 0
    private var followers: [AsyncStream<Change>.Continuation] = []
    /// The next status writes are refused with a conflict.
    private(set) var conflicts = 0
    private(set) var statusWrites = 0
    private(set) var tokenRequests = 0

    init(in world: any World) { self.world = world }

    /// Nobody reaches it.
    private(set) var isAway = false
    /// The kinds of what was written since it was away.
    private(set) var writes: [ResourceKind] = []
    /// So many times a pod's new status is contradicted before the writer has its answer.
    private var contradictions = 0

    func setAway(_ isAway: Bool) {
        self.isAway = isAway
        if isAway { writes = [] }
    }
    func contradict(_ count: Int) { contradictions = count }

    func setConflicts(_ count: Int) { conflicts = count }

    func find(_ kind: ResourceKind, _ namespace: String, _ name: String) -> JSON? {
        table[ObjectKey(kind, namespace: namespace, name: name)]
    }
    func pod(_ name: String) -> JSON? { find(.pod, "ns", name) }
    /// The reasons of the events about pods, or about nodes.
    func events(about kind: String = "Pod") -> [String] {
        table.filter { $0.key.kind == .event && $0.value["involvedObject", "kind"]?.string == kind }.values
            .compactMap { $0["reason"]?.string }.sorted()
    }

    func get(_ kind: ResourceKind, namespace: String, name: String) async throws -> JSON {
        try reach()
        guard let object = find(kind, namespace, name) else { throw Self.notFound }
        return object
    }

    func create(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        if table[key] != nil { throw APIError(code: 409, reason: "AlreadyExists", message: "exists") }
        var object = object
        version += 1
        if object.uid.isEmpty { object["metadata", "uid"] = .string("uid-\(version)") }
        return put(key, object)
    }

    func update(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        try reach()
        guard let old = table[key] else { throw Self.notFound }
        var object = object
        try check(object, old)
        object["status"] = old["status"]
        return put(key, object)
    }

    func updateStatus(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        try reach()
        guard var current = table[key] else { throw Self.notFound }
        statusWrites += 1
        if conflicts > 0 {
            conflicts -= 1
            throw APIError(code: 409, reason: "Conflict", message: "changed")
        }
        try check(object, current)
        current["status"] = object["status"]
        let written = put(key, current)
        if kind == .pod, contradictions > 0 {
            contradictions -= 1
            _ = put(key, Self.unready(written))
            try await world.sleep(for: .milliseconds(200))
        }
        return written
    }

    func delete(_ key: ObjectKey, uid: String, graceSeconds: Int) async throws {
        guard var object = table[key] else { throw Self.notFound }
        if object.uid != uid { throw APIError(code: 409, reason: "Conflict", message: "another uid") }
        if graceSeconds > 0, key.kind == .pod {
            object["metadata", "deletionTimestamp"] = "2026-01-01T00:00:00Z"
            object["metadata", "deletionGracePeriodSeconds"] = .int(Int64(graceSeconds))
            _ = put(key, object)
            return
        }
        table[key] = nil
        if key.kind == .pod { for follower in followers { follower.yield(.removed(object)) } }
    }

    func requestToken(_ request: JSON, namespace: String, account: String) async throws -> JSON {
        tokenRequests += 1
        var answer = request
        answer["status"] = ["token": .string("token-\(tokenRequests) of \(namespace)/\(account)")]
        return answer
    }

    nonisolated func followPods(of node: String, logger: Logger) -> AsyncStream<Change> {
        let (stream, continuation) = AsyncStream<Change>.makeStream()
        world.spawn { await self.follow(continuation) }
        return stream
    }

    private func follow(_ continuation: AsyncStream<Change>.Continuation) {
        for (key, object) in table where key.kind == .pod { continuation.yield(.put(object)) }
        continuation.yield(.synced)
        followers.append(continuation)
    }

    /// The pod as the masters leave it when its node is silent.
    static func unready(_ pod: JSON) -> JSON {
        var pod = pod
        pod["status", "conditions"] = .array(
            (pod["status", "conditions"]?.array ?? []).map { condition in
                guard condition["type"] == "Ready" else { return condition }
                var condition = condition
                condition["status"] = "False"
                return condition
            })
        return pod
    }

    private func reach() throws {
        if isAway { throw NetworkError.closed }
    }

    private func put(_ key: ObjectKey, _ object: JSON) -> JSON {
        var object = object
        version += 1
        writes.append(key.kind)
        object["metadata", "resourceVersion"] = .string(String(version))
        table[key] = object
        if key.kind == .pod { for follower in followers { follower.yield(.put(object)) } }
        return object
    }

    private func check(_ object: JSON, _ current: JSON) throws {
        let version = object.resourceVersion
        if !version.isEmpty, version != current.resourceVersion {
            throw APIError(code: 409, reason: "Conflict", message: "changed")
        }
    }

    private static let notFound = APIError(code: 404, reason: "NotFound", message: "not found")
}
