internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// Watches and logs as messages of a WebSocket, for clients that cannot read a body piece by piece (browsers).
enum WebSocketAnswer {
    /// How pieces of a body become messages.
    fileprivate enum Form: String {
        /// A log's, as they are.
        case binary = "binary.k8s.io"
        /// A log's, as text in base64.
        case base64 = "base64.binary.k8s.io"
        /// A watch's: each event is a text.
        case events = ""
    }

    /// The same answer over a WebSocket, where the call asks for one; refusals stay plain answers.
    static func upgrading(_ response: Response, of call: Call, in world: any World) throws(APIError) -> Response {
        guard WebSocketHandshake.isWanted(call.request.head), response.head.status == .ok,
            case .stream(let write) = response.body, case .resource(let target) = call.route,
            call.verb == "watch" || target.subresource == "log"
        else { return response }
        // Browsers fail when none of those that they offer is answered. A token among them is no protocol.
        let offered = WebSocketHandshake.protocols(of: call.request.head)
            .filter { !$0.hasPrefix(Authentication.tokenProtocol) }
        let chosen = offered.first { call.verb == "watch" || Form(rawValue: $0) != nil }
        if chosen == nil, !offered.isEmpty {
            throw .badRequest("none of the subprotocols \(offered.joined(separator: ", ")) is spoken here")
        }
        let form: Form = call.verb == "watch" ? .events : chosen.flatMap { Form(rawValue: $0) } ?? .binary
        do {
            var answer = response
            answer.head = try WebSocketHandshake.accept(call.request.head, subprotocol: chosen)
            answer.body = .upgrade { stream in
                let socket = WebSocketStream(stream, role: .server, limit: Limits.webSocketMessage, in: world)
                await run(socket, form, in: world, write)
            }
            return answer
        } catch {
            throw .badRequest("\(error)")
        }
    }

    /// Until the body is written, or the client has gone.
    private static func run(
        _ socket: WebSocketStream, _ form: Form, in world: any World,
        _ write: @escaping @Sendable (any BodyWriter) async throws -> Void
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A client that has gone is the reader's to notice.
                try? await send(to: socket, form, write)
                await socket.close(code: 1000, reason: "")
                try? await world.sleep(for: Limits.webSocketLinger)
            }
            group.addTask { while (try? await socket.receive()) != nil {} }
            _ = await group.next()
            group.cancelAll()
        }
        socket.cut()
    }

    private static func send(
        to socket: WebSocketStream, _ form: Form, _ write: @Sendable (any BodyWriter) async throws -> Void
    ) async throws {
        // As upstream, which tells so that a log is there.
        if form != .events { try await socket.send([]) }
        try await write(MessageWriter(socket: socket, form: form))
    }

    private struct MessageWriter: BodyWriter {
        let socket: WebSocketStream
        let form: Form

        func write(_ bytes: [UInt8]) async throws {
            switch form {
            case .binary: try await socket.send(bytes)
            case .base64: try await socket.send(Array(Base64.encode(bytes).utf8), isText: true)
            case .events:
                for line in bytes.split(separator: UInt8(ascii: "\n")) {
                    try await socket.send(Array(line), isText: true)
                }
            }
        }
    }
}
