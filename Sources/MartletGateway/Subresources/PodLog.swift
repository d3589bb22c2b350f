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
        let faults = try Self.faults(query)
        guard faults.isEmpty else { throw .invalid("PodLogOptions", name: target.name, faults) }
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

    /// What is wrong with the options, in upstream's words (ValidatePodLogOptions).
    private static func faults(_ query: Query) throws(APIError) -> [FieldError] {
        var faults: [FieldError] = []
        func hold(_ name: String, from least: Int64, _ rule: String) throws(APIError) -> Bool {
            guard let number = try query.integer(name) else { return false }
            if number < least {
                faults.append(FieldError(.invalid, field: name, message: "Invalid value: \(number): \(rule)"))
            }
            return true
        }
        _ = try hold("tailLines", from: 0, "must be greater than or equal to 0")
        _ = try hold("limitBytes", from: 1, "must be greater than 0")
        if try hold("sinceSeconds", from: 1, "must be greater than 0"), query.text("sinceTime") != nil {
            let rule = "at most one of `sinceTime` or `sinceSeconds` may be specified"
            faults.append(FieldError(.forbidden, field: "<nil>", message: "Forbidden: \(rule)"))
        }
        return faults
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
