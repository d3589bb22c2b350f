internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// GET pods/NAME/log: what the node agent on the pod's node has to say, passed through.
struct PodLog: Sendable {
    let door: NodeDoor

    /// The numbers among a log's options, and the least that each may be.
    private static let numbers: [(name: String, least: Int64)] = [
        ("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1),
    ]
    private static let optionsKind = ResourceKind(
        group: "", version: "v1", kind: "PodLogOptions", plural: "podlogoptions", singular: "podlogoptions",
        isNamespaced: true)

    /// What of the query is the node agent's, checked as upstream checks a PodLogOptions.
    static func options(_ query: Query, pod: String) throws(APIError) -> [String] {
        var options = ["follow", "previous", "timestamps"].filter { query.flag($0) == true }.map { "\($0)=true" }
        var faults: [FieldError] = []
        for (name, least) in numbers {
            guard let number = try query.integer(name) else { continue }
            options.append("\(name)=\(number)")
            // Both ways to say since when are one fault, whatever they say.
            if number >= least || (name == "sinceSeconds" && query.text("sinceTime") != nil) { continue }
            let bound = least == 0 ? "greater than or equal to 0" : "greater than 0"
            faults.append(FieldError(.invalid, field: name, message: "Invalid value: \(number): must be \(bound)"))
        }
        if let time = query.text("sinceTime") {
            guard WallTime(rfc3339: time) != nil else {
                throw .badRequest("unable to read query parameter sinceTime: \"\(time)\" is not a time of RFC 3339")
            }
            options.append("sinceTime=\(PercentCoding.encode(time))")
            if query.text("sinceSeconds") != nil {
                let message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
                faults.append(FieldError(.forbidden, field: "", message: message))
            }
        }
        if let stream = query.text("stream") {
            options.append("stream=\(PercentCoding.encode(stream))")
            let known = ["All", "Stderr", "Stdout"]
            if !known.contains(stream) {
                let list = known.map { "\"\($0)\"" }.joined(separator: ", ")
                let message = "Unsupported value: \"\(stream)\": supported values: \(list)"
                faults.append(FieldError(.notSupported, field: "stream", message: message))
            }
            if stream != "All", query.text("tailLines") != nil {
                let message = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
                faults.append(FieldError(.forbidden, field: "", message: message))
            }
        }
        if !faults.isEmpty { throw .invalid(optionsKind, name: pod, faults) }
        return options
    }

    func answer(_ target: Target, query: Query) async throws(APIError) -> Response {
        let options = try Self.options(query, pod: target.name)
        let pod = try await door.registry.current(target).object()
        let container = try NodeDoor.container(query.text("container"), of: pod)
        guard let node = pod["spec", "nodeName"]?.string, !node.isEmpty else {
            // Upstream's answer for a pod that runs nowhere yet.
            return Response(head: HTTPResponse(status: .noContent))
        }
        let client = try await door.client(forNode: node)
        var path = "/containerLogs/\(pod.namespace)/\(pod.name)/\(container)"
        if !options.isEmpty { path += "?\(options.joined(separator: "&"))" }
        let answer: ClientResponse
        do {
            answer = try await client.send(
                HTTPRequest(method: .get, scheme: "https", authority: node, path: path))
        } catch {
            throw .internalError("Get \"\(path)\" from node \(node): \(error)")
        }
        guard answer.head.status == .ok else { throw await Self.refusal(answer, pod: pod.name) }
        return Self.passing(answer)
    }

    private static func refusal(_ answer: ClientResponse, pod: String) async -> APIError {
        let bytes = (try? await answer.body.collect(limit: Limits.nodeError)) ?? []
        let text = String(decoding: bytes, as: UTF8.self)
        switch answer.head.status.code {
        case 400: return .badRequest(text)
        case 404:
            return APIError(
                404, .notFound, "the server could not find the requested resource ( pods/log \(pod))",
                details: ["name": .string(pod), "kind": "pods/log"])
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
