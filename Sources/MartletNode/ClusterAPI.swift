internal import Logging
internal import MartletClient
internal import MartletObject

/// What the node agent asks of the cluster's API: a narrow door, so that tests need no gateway.
protocol ClusterAPI: Sendable {
    func get(_ kind: ResourceKind, namespace: String, name: String) async throws -> JSON
    func create(_ kind: ResourceKind, _ object: JSON) async throws -> JSON
    func update(_ kind: ResourceKind, _ object: JSON) async throws -> JSON
    func updateStatus(_ kind: ResourceKind, _ object: JSON) async throws -> JSON
    func delete(_ key: ObjectKey, uid: String, graceSeconds: Int) async throws
    /// Asks for a token of a service account (a TokenRequest), and returns it as it was answered.
    func requestToken(_ request: JSON, namespace: String, account: String) async throws -> JSON
    /// Follows the pods that are bound to a node.
    func followPods(of node: String, logger: Logger) -> AsyncStream<Change>
}

/// The API through a client.
struct ClientAPI: ClusterAPI {
    let client: Client

    func get(_ kind: ResourceKind, namespace: String, name: String) async throws -> JSON {
        try await client.get(kind, namespace: namespace, name: name)
    }
    func create(_ kind: ResourceKind, _ object: JSON) async throws -> JSON { try await client.create(kind, object) }
    func update(_ kind: ResourceKind, _ object: JSON) async throws -> JSON { try await client.update(kind, object) }
    func updateStatus(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        try await client.updateStatus(kind, object)
    }
    func delete(_ key: ObjectKey, uid: String, graceSeconds: Int) async throws {
        try await client.delete(
            key.kind, namespace: key.namespace, name: key.name, uid: uid, graceSeconds: graceSeconds)
    }
    func requestToken(_ request: JSON, namespace: String, account: String) async throws -> JSON {
        try await client.createSubresource(
            .serviceAccount, namespace: namespace, name: account, subresource: "token", request)
    }
    func followPods(of node: String, logger: Logger) -> AsyncStream<Change> {
        client.follow(.pod, fieldSelector: "spec.nodeName=\(node)", logger: logger)
    }
}

extension ClusterAPI {
    /// Changes an object (or its status) as it is now, again after a conflict; makes it when it is absent and
    /// `absent` says how. `change` returns nil when nothing is to be done.
    func modify(
        _ kind: ResourceKind, namespace: String = "", name: String, status: Bool = false, absent: JSON? = nil,
        _ change: (JSON) -> JSON?
    ) async throws {
        for attempt in 1... {
            do {
                let current = try await get(kind, namespace: namespace, name: name)
                guard let changed = change(current), changed != current else { return }
                _ = try await status ? updateStatus(kind, changed) : update(kind, changed)
                return
            } catch let error as APIError where error.isNotFound {
                guard let absent, attempt < Limits.writeAttempts else { throw error }
                do {
                    _ = try await create(kind, absent)
                    return
                } catch let error as APIError where error.isAlreadyExists {
                    continue
                }
            } catch let error as APIError where error.isConflict && attempt < Limits.writeAttempts {
                continue
            }
        }
    }
}
