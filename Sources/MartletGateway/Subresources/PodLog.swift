internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// GET pods/NAME/log: what the node agent on the pod's node has to say, passed through.
struct PodLog: Sendable {
    let door: NodeDoor

    /// What of the query is the node agent's.
    private static let passedOn = [
        "follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream",
    ]

    func answer(_ target: Target, query: Query) async throws(APIError) -> Response {
        let pod = try await door.registry.current(target).object()
        let container = try NodeDoor.container(query.text("container"), of: pod)
        guard let node = pod["spec", "nodeName"]?.string, !node.isEmpty else {
            // Upstream's answer for a pod that runs nowhere yet.
            return Response(head: HTTPResponse(status: .noContent))
        }
        let client = try await door.client(forNode: node)
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
