internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// pods/NAME/exec, attach and portforward: checked here, then passed to the node agent, whose protocol it is. The
/// gateway carries the bytes and understands none of them.
struct PodStream: Sendable {
    let door: NodeDoor
    let world: any World

    /// What of a request's head is the node agent's.
    private static let passedOn: [HTTPField.Name] = [
        .upgrade, .secWebSocketKey, .secWebSocketVersion, .secWebSocketProtocol, .streamProtocolVersion, .userAgent,
    ]

    func answer(_ target: Target, _ call: Call) async throws(APIError) -> Response {
        let request = call.request.head
        let pod = try await door.registry.current(target).object()
        let path = try Self.path(of: target.subresource, pod, call.query)
        guard let node = pod["spec", "nodeName"]?.string, !node.isEmpty else {
            throw .badRequest("pod \(pod.name) does not have a host assigned")
        }
        guard request.headerFields.contains(.upgrade) else { throw .badRequest("Upgrade request required") }
        let client = try await door.client(forNode: node)
        var head = HTTPRequest(method: request.method, scheme: "https", authority: node, path: path)
        for field in request.headerFields where Self.passedOn.contains(field.name) { head.headerFields.append(field) }
        head.headerFields[.connection] = "Upgrade"
        let answer: ClientResponse
        do {
            answer = try await client.send(head)
        } catch {
            throw .internalError("error dialing backend: node \(node): \(error)")
        }
        guard let stream = answer.upgraded else { return await Self.refusal(answer) }
        return Response(
            head: answer.head,
            body: .upgrade { [world] client in
                await Splice.run(
                    client, stream, idle: Limits.streamIdle, farewell: Limits.streamFarewell, in: world)
            })
    }

    /// The node agent's path, in the kubelet's names of the options.
    static func path(of subresource: String, _ pod: JSON, _ query: Query) throws(APIError) -> String {
        let place = "\(pod.namespace)/\(pod.name)"
        var parameters: [(String, String)] = []
        func add(_ name: String, as kubelets: String) {
            if query.flag(name) == true { parameters.append((kubelets, "1")) }
        }
        var path = "/portForward/\(place)"
        if subresource == "portforward" {
            let ports = query.all("ports").filter { !$0.isEmpty }
            if !ports.isEmpty { parameters.append(("port", ports.joined(separator: ","))) }
        } else {
            let container = try NodeDoor.container(query.text("container"), of: pod)
            path = "/\(subresource)/\(place)/\(container)"
            add("stdin", as: "input")
            add("stdout", as: "output")
            add("stderr", as: "error")
            add("tty", as: "tty")
            if subresource == "exec" { parameters += query.all("command").map { ("command", $0) } }
        }
        if parameters.isEmpty { return path }
        return path + "?" + parameters.map { "\($0.0)=\(PercentCoding.encode($0.1))" }.joined(separator: "&")
    }

    /// The node agent's own refusal in a Status: of plain text, clients over WebSocket show nothing.
    private static func refusal(_ answer: ClientResponse) async -> Response {
        let bytes = (try? await answer.body.collect(limit: Limits.streamRefusal)) ?? []
        let code = answer.head.status.code
        let reason: APIError.Reason =
            switch code {
            case 400: .badRequest
            case 404: .notFound
            case 429: .tooManyRequests
            case 500: .internalError
            case 503: .serviceUnavailable
            default: .none
            }
        var text = String(decoding: bytes, as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        if text.isEmpty { text = "the node agent answered \(answer.head.status)" }
        // What is no refusal, and no stream either, must not pass for one.
        let error = APIError(code < 400 ? 500 : code, code < 400 ? .internalError : reason, text)
        var response = Response(
            status: .init(code: error.code), contentType: "application/json", bytes: error.status.encoded())
        response.head.headerFields[.retryAfter] = answer.head.headerFields[.retryAfter]
        return response
    }
}

extension HTTPField.Name {
    /// The subprotocols of Kubernetes' streams over SPDY.
    static var streamProtocolVersion: HTTPField.Name { .init("X-Stream-Protocol-Version")! }
}
