internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletPods
internal import MartletRuntime
internal import Synchronization

/// Exec, attach and port-forward of the kubelet's API: finds the container, asks the runtime for the address of the
/// stream, and carries it there.
struct NodeStreams: Sendable {
    let agent: NodeAgent

    /// What of a request's head is the runtime's when its bytes are passed through.
    private static let passedOn: [HTTPField.Name] = [
        .upgrade, .secWebSocketKey, .secWebSocketVersion, .secWebSocketProtocol, .streamProtocolVersion,
    ]

    func answer(_ request: Request, _ wish: StreamWish) async -> Response {
        if let fault = wish.fault { return KubeletAPI.text(.badRequest, fault) }
        if case .run(let command) = wish.kind { return await run(command, wish) }
        let route = StreamRoute(request.head, wish.kind)
        if case .refused(let why) = route { return KubeletAPI.text(.badRequest, why) }
        guard let place = agent.streamPlaces.take() else {
            return KubeletAPI.text(.tooManyRequests, "this node carries \(Limits.streams) streams, no more")
        }
        do {
            let address = try await address(of: wish)
            switch route {
            case .passed: return try await pass(request.head, to: address, place)
            case .translated: return try await translate(request.head, wish, to: address, place)
            case .tunnelled: return try await tunnel(request.head, to: address, place)
            case .refused(let why): return KubeletAPI.text(.badRequest, why)
            }
        } catch {
            return Self.refusal(error)
        }
    }

    /// A refusal that is an answer.
    private struct Refused: Error {
        var status: HTTPResponse.Status
        var text: String
        var contentType = "text/plain; charset=utf-8"
    }

    private static func refusal(_ error: any Error) -> Response {
        switch error {
        case let refused as Refused:
            Response(status: refused.status, contentType: refused.contentType, bytes: Array(refused.text.utf8))
        case HTTPError.malformed(let why): KubeletAPI.text(.badRequest, why)
        case RuntimeError.notFound(let why): KubeletAPI.text(.notFound, why)
        case RuntimeError.unavailable: KubeletAPI.text(.serviceUnavailable, "\(error)")
        default: KubeletAPI.text(.internalServerError, "\(error)")
        }
    }

    private func container(of wish: StreamWish) async throws -> String {
        switch await agent.findRunning(wish) {
        case .failure(let refusal):
            throw Refused(status: refusal.isAbsent ? .notFound : .internalServerError, text: refusal.message)
        case .success(let id): return id
        }
    }

    private func address(of wish: StreamWish) async throws -> StreamAddress {
        let id = try await container(of: wish)
        switch wish.kind {
        case .exec(let command, let streams):
            return try await agent.runtime.exec(id, command: command, streams: streams)
        case .attach(let streams): return try await agent.runtime.attach(id, streams: streams)
        case .portForward(let ports): return try await agent.runtime.portForward(sandbox: id, ports: ports ?? [])
        case .run: throw Refused(status: .badRequest, text: "run has no streams")
        }
    }

    private func run(_ command: [String], _ wish: StreamWish) async -> Response {
        do {
            let id = try await container(of: wish)
            let result = try await agent.runtime.execSync(id, command: command, timeoutSeconds: Limits.runSeconds)
            let text = result.output + result.errors
            guard result.exitCode == 0 else {
                let why = Array("command '\(command.joined(separator: " "))' exited with \(result.exitCode): ".utf8)
                return Response(status: .internalServerError, contentType: "text/plain", bytes: why + text)
            }
            return Response(status: .ok, contentType: "text/plain", bytes: text)
        } catch {
            return Self.refusal(error)
        }
    }

    // MARK: - Ways to the runtime

    /// Asks the runtime for the stream.
    /// - Throws: ``Refused`` with the runtime's words when it does not give one.
    private func open(
        _ head: HTTPRequest, at address: StreamAddress
    ) async throws -> (head: HTTPResponse, stream: any ByteStream) {
        var head = head
        head.scheme = "http"
        head.authority = address.endpoint.description
        head.path = address.path
        head.headerFields[.connection] = "Upgrade"
        let request = head
        let client = HTTPClient(
            endpoint: address.endpoint, serverName: "localhost", in: agent.world, maxIdle: 0)
        let answer = try await agent.world.limited(to: Limits.streamBegin, "the runtime's stream") {
            try await client.send(request)
        }
        if let stream = answer.upgraded { return (answer.head, stream) }
        let text = (try? await answer.body.collect(limit: Limits.streamRefusal)) ?? []
        throw Refused(
            status: answer.head.status.code < 400 ? .internalServerError : answer.head.status,
            text: String(decoding: text, as: UTF8.self))
    }

    private static func spdy(_ protocols: String) -> HTTPRequest {
        var head = HTTPRequest(method: .post, scheme: "http", authority: nil, path: "/")
        head.headerFields[.upgrade] = "SPDY/3.1"
        head.headerFields[.streamProtocolVersion] = protocols
        return head
    }

    private func pass(_ head: HTTPRequest, to address: StreamAddress, _ place: StreamPlaces.Place) async throws
        -> Response
    {
        var onward = HTTPRequest(method: head.method, scheme: "http", authority: nil, path: "/")
        for field in head.headerFields where Self.passedOn.contains(field.name) { onward.headerFields.append(field) }
        let (answer, runtime) = try await open(onward, at: address)
        let world = agent.world
        return Response(
            head: answer,
            body: .upgrade { client in
                await Splice.run(
                    client, runtime, idle: Limits.streamIdle, farewell: Limits.streamFarewell, in: world)
                withExtendedLifetime(place) {}
            })
    }

    private func tunnel(_ head: HTTPRequest, to address: StreamAddress, _ place: StreamPlaces.Place) async throws
        -> Response
    {
        let accepted = try WebSocketHandshake.accept(head, subprotocol: StreamRoute.tunnel)
        let (_, runtime) = try await open(Self.spdy("portforward.k8s.io"), at: address)
        let world = agent.world
        return Response(
            head: accepted,
            body: .upgrade { stream in
                let client = WebSocketBytes(WebSocketStream(stream, role: .server, in: world))
                await Splice.run(
                    client, runtime, idle: Limits.streamIdle, farewell: Limits.streamFarewell, in: world)
                withExtendedLifetime(place) {}
            })
    }

    private func translate(
        _ head: HTTPRequest, _ wish: StreamWish, to address: StreamAddress, _ place: StreamPlaces.Place
    ) async throws -> Response {
        let accepted = try WebSocketHandshake.accept(head, subprotocol: StreamRoute.closing)
        let (_, runtime) = try await open(Self.spdy("v4.channel.k8s.io"), at: address)
        let streams: RemoteStreams
        switch wish.kind {
        case .exec(_, let wanted), .attach(let wanted): streams = wanted
        case .portForward, .run: streams = RemoteStreams()
        }
        let world = agent.world
        return Response(
            head: accepted,
            body: .upgrade { stream in
                let client = WebSocketStream(stream, role: .server, in: world)
                let translator = RemoteCommandTranslator(
                    client: client, runtime: SPDYConnection(runtime, isClient: true), streams: streams)
                await translator.run(idle: Limits.streamIdle, in: world)
                withExtendedLifetime(place) {}
            })
    }
}

extension HTTPField.Name {
    /// The subprotocols of Kubernetes' streams over SPDY.
    static var streamProtocolVersion: HTTPField.Name { .init("X-Stream-Protocol-Version")! }
}

extension NodeAgent {
    /// The container that a wish is for, or the sandbox for a port-forward; it must run.
    func findRunning(_ wish: StreamWish) -> Result<String, LogRefusal> {
        let named = pods.values.filter {
            $0.machine.spec.namespace == wish.namespace && $0.machine.spec.name == wish.pod
                && (wish.uid.isEmpty || $0.machine.spec.uid == wish.uid)
        }
        guard let pod = named.first(where: { !$0.machine.spec.isTerminating }) ?? named.first else {
            return .failure(LogRefusal(isAbsent: true, message: "pod does not exist"))
        }
        let sandboxes = pod.machine.observation?.sandboxes ?? []
        if case .portForward = wish.kind {
            guard let sandbox = sandboxes.first(where: { $0.isReady }) else {
                let name = "\(wish.pod)_\(wish.namespace)"
                return .failure(LogRefusal(isAbsent: false, message: "pod not found (\"\(name)\")"))
            }
            return .success(sandbox.id)
        }
        let running = containers.values.first { status in
            status.name == wish.container && status.state == .running
                && (status.labels[RuntimeLabel.podUID] == pod.machine.spec.uid
                    || sandboxes.contains { $0.id == status.sandbox })
        }
        guard let running else {
            return .failure(LogRefusal(isAbsent: false, message: "container not found (\"\(wish.container)\")"))
        }
        return .success(running.id)
    }
}

/// How many streams there may be at one time.
final class StreamPlaces: Sendable {
    private let limit: Int
    private let taken = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// How many there are.
    var count: Int { taken.withLock { $0 } }

    /// A place; nil when all are taken.
    func take() -> Place? {
        let isFree = taken.withLock { taken in
            if taken >= limit { return false }
            taken += 1
            return true
        }
        return isFree ? Place(self) : nil
    }

    /// Given back when nobody holds it any more.
    final class Place: Sendable {
        private let places: StreamPlaces
        fileprivate init(_ places: StreamPlaces) { self.places = places }
        deinit { places.taken.withLock { $0 -= 1 } }
    }
}
