internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// GET pods/NAME/log: what the node agent on the pod's node has to say, passed through.
struct PodLog: Sendable {
    let registry: Registry
    let nodeClient: (@Sendable (_ address: String, _ port: UInt16) throws -> HTTPClient)?

    /// What of the query is the node agent's.
    private static let passedOn = [
        "follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream",
    ]

    func answer(_ target: Target, query: Query) async throws(APIError) -> Response {
        let pod = try await registry.current(target).object()
        let container = try Self.container(query.text("container"), of: pod)
        guard let node = pod["spec", "nodeName"]?.string, !node.isEmpty else {
            // Upstream's answer for a pod that runs nowhere yet.
            return Response(head: HTTPResponse(status: .noContent))
        }
        let client = try await client(forNode: node)
        var path = "/containerLogs/\(pod.namespace)/\(pod.name)/\(container)"
        let parameters = Self.passedOn.compactMap { name in
            query[name].map { "\(name)=\(PercentCoding.encode($0))" }
        }
        if !parameters.isEmpty { path += "?\(parameters.joined(separator: "&"))" }
        let answer: ClientResponse
        do {
            answer = try await client.send(
                HTTPRequest(method: .get, scheme: "https", authority: node, path: path))
        } catch {
            throw .internalError("Get \"\(path)\" from node \(node): \(error)")
        }
        guard answer.head.status == .ok else { throw await Self.refusal(answer) }
        return Self.passing(answer)
    }

    /// The client of a node's agent, found by the node's own words in its status.
    private func client(forNode name: String) async throws(APIError) -> HTTPClient {
        let target = Target(kind: .node, namespace: "", name: name, subresource: "")
        let node = try await registry.current(target).object()
        let addresses = node["status", "addresses"]?.array ?? []
        let address = addresses.first { $0["type"] == "InternalIP" }?["address"]?.string
        guard let address, let nodeClient else {
            throw .internalError("node \(name) has no InternalIP address by which its logs can be read")
        }
        let port = node["status", "daemonEndpoints", "kubeletEndpoint", "Port"]?.int ?? 10250
        guard let port = UInt16(exactly: port) else {
            throw .internalError("node \(name) names the port \(port), which is none")
        }
        do {
            return try nodeClient(address, port)
        } catch {
            throw .internalError("node \(name) at \(address):\(port): \(error)")
        }
    }

    /// The container that is meant.
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

    private static func refusal(_ answer: ClientResponse) async -> APIError {
        let bytes = (try? await answer.body.collect(limit: Limits.nodeError)) ?? []
        let text = String(decoding: bytes, as: UTF8.self)
        switch answer.head.status.code {
        case 400: return .badRequest(text)
        case 404:
            return APIError(
                404, "NotFound", "the server could not find the requested resource",
                details: ["causes": [["message": .string(text)]]])
        default: return .internalError(text.isEmpty ? "the node agent answered \(answer.head.status)" : text)
        }
    }

    private static func passing(_ answer: ClientResponse) -> Response {
        var head = HTTPResponse(status: .ok)
        head.headerFields[.contentType] = answer.head.headerFields[.contentType] ?? "text/plain"
        head.headerFields[.cacheControl] = "no-cache, private"
        let body = answer.body
        return Response(
            head: head,
            body: .stream { writer in
                switch body {
                case .bytes(let bytes): try await writer.write(bytes)
                case .stream(let next): while let piece = try await next() { try await writer.write(piece) }
                }
            })
    }
}
