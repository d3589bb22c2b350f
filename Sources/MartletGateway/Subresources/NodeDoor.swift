internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// The way to the agent of a node.
struct NodeDoor: Sendable {
    let registry: Registry
    let nodeClient: (@Sendable (_ address: String, _ port: UInt16) throws -> HTTPClient)?

    /// The client of a node's agent, found by the node's own words in its status.
    func client(forNode name: String) async throws(APIError) -> HTTPClient {
        let node = try await node(name)
        let (address, port) = try Self.address(of: node)
        guard let nodeClient else { throw .internalError("this gateway has no way to the agents of nodes") }
        do {
            return try nodeClient(address, port)
        } catch {
            throw .internalError("node \(name) at \(address):\(port): \(error)")
        }
    }

    func node(_ name: String) async throws(APIError) -> JSON {
        try await registry.current(Target(kind: .node, namespace: "", name: name, subresource: "")).object()
    }

    /// Where a node's agent listens.
    static func address(of node: JSON) throws(APIError) -> (address: String, port: UInt16) {
        let addresses = node["status", "addresses"]?.array ?? []
        guard let address = addresses.first(where: { $0["type"] == "InternalIP" })?["address"]?.string else {
            throw .internalError("node \(node.name) has no InternalIP address by which its agent can be reached")
        }
        let port = node["status", "daemonEndpoints", "kubeletEndpoint", "Port"]?.int ?? 10250
        guard let port = UInt16(exactly: port) else {
            throw .internalError("node \(node.name) names the port \(port), which is none")
        }
        return (address, port)
    }

    /// The container of a pod that is meant.
    static func container(_ asked: String?, of pod: JSON) throws(APIError) -> String {
        func names(_ field: String) -> [String] {
            (pod["spec", field]?.array ?? []).compactMap { $0["name"]?.string }
        }
        let (main, initial, ephemeral) = (names("containers"), names("initContainers"), names("ephemeralContainers"))
        if let asked {
            guard (main + initial + ephemeral).contains(asked) else {
                throw .badRequest("container \(asked) is not valid for pod \(pod.name)")
            }
            return asked
        }
        if main.count == 1 { return main[0] }
        var text = "a container name must be specified for pod \(pod.name), choose one of: "
        text += "[\(main.joined(separator: " "))]"
        if !initial.isEmpty { text += " or one of the init containers: [\(initial.joined(separator: " "))]" }
        if !ephemeral.isEmpty {
            text += " or one of the ephemeral containers: [\(ephemeral.joined(separator: " "))]"
        }
        throw .badRequest(text)
    }
}
