import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import MartletReplica
import Testing

@testable import MartletGateway

/// What came back.
struct Reply: Sendable {
    var code: Int
    var bytes: [UInt8]
    var head: HTTPResponse

    var json: JSON { (try? JSON(parsing: bytes)) ?? .null }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var message: String { json["message"]?.string ?? "" }
    var reason: String { json["reason"]?.string ?? "" }
    var warnings: [String] { head.headerFields[values: .init("Warning")!] }
    var names: [String] { (json["items"]?.array ?? []).map(\.name) }
}

/// A gateway over a replica in memory, and a way to talk to it.
struct TestAPI: Sendable {
    let world: Reactor
    let replica: Replica
    let gateway: Gateway
    static let admin = Identity(user: "admin", groups: ["system:masters", "system:authenticated"])

    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: [UInt8] = [], as identity: Identity = admin,
        accept: String? = nil, type: String? = nil
    ) async -> Reply {
        let response = await gateway.serve(request(method, path, body, accept, type), as: identity)
        return await Self.collect(response)
    }

    func request(
        _ method: HTTPRequest.Method, _ path: String, _ body: [UInt8] = [], _ accept: String? = nil,
        _ type: String? = nil
    ) -> Request {
        var head = HTTPRequest(method: method, scheme: "https", authority: "test", path: path)
        head.headerFields[.accept] = accept
        head.headerFields[.contentType] = type ?? (body.isEmpty ? nil : "application/json")
        return Request(head: head, body: .bytes(body))
    }

    static func collect(_ response: Response) async -> Reply {
        var bytes: [UInt8] = []
        switch response.body {
        case .bytes(let all): bytes = all
        case .stream(let write):
            let collector = Lines()
            try? await write(collector)
            bytes = collector.bytes
        case .upgrade: break
        }
        return Reply(code: response.head.status.code, bytes: bytes, head: response.head)
    }

    func get(_ path: String, accept: String? = nil) async -> Reply { await send(.get, path, accept: accept) }
    func post(_ path: String, _ object: JSON) async -> Reply { await send(.post, path, object.encoded()) }
    func put(_ path: String, _ object: JSON) async -> Reply { await send(.put, path, object.encoded()) }
    func patch(_ path: String, _ patch: JSON, _ type: PatchType = .merge) async -> Reply {
        await send(.patch, path, patch.encoded(), type: type.rawValue)
    }
    /// Server-side apply.
    func apply(_ path: String, _ configuration: JSON, by manager: String, force: Bool = false) async -> Reply {
        let query = "\(path.contains("?") ? "&" : "?")fieldManager=\(manager)\(force ? "&force=true" : "")"
        return await send(.patch, path + query, configuration.encoded(), type: "application/apply-patch+yaml")
    }
    func delete(_ path: String, _ options: JSON? = nil) async -> Reply {
        await send(.delete, path, options?.encoded() ?? [])
    }

    /// Gives somebody a verb for a resource of the core group, everywhere.
    func allow(_ verbs: String, _ resources: String, to subjects: [(kind: String, name: String)]) async {
        func list(_ text: String) -> JSON { .array(text.split(separator: ",").map { .string(String($0)) }) }
        let name = "test-\(world.random() % 1_000_000)"
        let role: JSON = [
            "metadata": ["name": .string(name)],
            "rules": [["apiGroups": [""], "resources": list(resources), "verbs": list(verbs)]],
        ]
        let binding: JSON = [
            "metadata": ["name": .string(name)],
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(name)],
            "subjects": .array(
                subjects.map {
                    [
                        "apiGroup": "rbac.authorization.k8s.io", "kind": .string($0.kind), "name": .string($0.name),
                    ]
                }),
        ]
        _ = await post("\(Paths.roles)/clusterroles", role)
        _ = await post("\(Paths.roles)/clusterrolebindings", binding)
    }

    /// Starts a watch; its events are taken from what is returned.
    func watch(_ path: String, accept: String? = nil) async -> Watching {
        let response = await gateway.serve(request(.get, path, [], accept), as: Self.admin)
        let lines = Lines()
        guard case .stream(let write) = response.body else {
            return Watching(lines: lines, task: world.spawn {}, code: response.head.status.code)
        }
        let task = world.spawn {
            try? await write(lines)
            lines.end()
        }
        return Watching(lines: lines, task: task, code: response.head.status.code)
    }

    /// Runs `body` on a reactor of its own, with a fresh cluster.
    ///
    /// - Parameter configure: changes the gateway's configuration.
    static func run(
        configure: @escaping @Sendable (inout GatewayConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (TestAPI) async throws -> Void
    ) async throws {
        let world = try Reactor(name: "gateway-test")
        defer { world.shutdown() }
        try await Task(executorPreference: world.executor) {
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let replica = try await Replica.open(.init(directory: ""), in: world, logger: logger)
            var configuration = GatewayConfiguration()
            configure(&configuration)
            let gateway = Gateway(replica: replica, configuration: configuration, in: world, logger: logger)
            try await gateway.bootstrap()
            let api = TestAPI(world: world, replica: replica, gateway: gateway)
            do {
                try await body(api)
            } catch {
                await replica.close()
                throw error
            }
            await replica.close()
        }.value
    }
}

/// A running watch.
struct Watching: Sendable {
    let lines: Lines
    let task: Task<Void, Never>
    let code: Int

    /// Waits for the next event that is no progress; nil when the watch has ended.
    func next() async -> JSON? {
        guard let line = await lines.next() else { return nil }
        return try? JSON(parsing: line)
    }
    /// `ADDED a`
    func summary() async -> String {
        guard let event = await next() else { return "end" }
        return "\(event["type"]?.string ?? "?") \(event["object"]?.name ?? "?")"
    }
    func stop() { task.cancel() }
}

enum Samples {
    static func configMap(_ name: String, _ data: [String: String] = [:], labels: [String: String] = [:]) -> JSON {
        [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(name), "labels": JSON(labels)],
            "data": JSON(data),
        ]
    }
    static func pod(_ name: String, containers: [String] = ["main"]) -> JSON {
        [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name)],
            "spec": [
                "containers": .array(containers.map { ["name": .string($0), "image": "registry.test/app:1"] })
            ],
        ]
    }
    static func deployment(_ name: String, replicas: Int64 = 2) -> JSON {
        [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": .string(name)],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": "web"]],
                "template": [
                    "metadata": ["labels": ["app": "web"]],
                    "spec": ["containers": [["name": "web", "image": "registry.test/web:1"]]],
                ],
            ],
        ]
    }
    static func service(_ name: String, _ spec: JSON = [:]) -> JSON {
        var service: JSON = [
            "apiVersion": "v1", "kind": "Service", "metadata": ["name": .string(name)],
            "spec": ["selector": ["app": "web"], "ports": [["port": 80, "protocol": "TCP"]]],
        ]
        for (key, value) in spec.members { service["spec", key] = value }
        return service
    }
}

enum Paths {
    static let configMaps = "/api/v1/namespaces/default/configmaps"
    static let roles = "/apis/rbac.authorization.k8s.io/v1"
    static let reviews = "/apis/authorization.k8s.io/v1"
    static let pods = "/api/v1/namespaces/default/pods"
    static let services = "/api/v1/namespaces/default/services"
    static let deployments = "/apis/apps/v1/namespaces/default/deployments"
}
