internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// pods/NAME/proxy, services/NAME/proxy and nodes/NAME/proxy: the request goes on to what is behind the name, and the
/// answer comes back as it is.
struct Proxy: Sendable {
    let door: NodeDoor
    let world: any World

    /// What is passed on.
    static let methods: Set<HTTPRequest.Method> = [.get, .head, .post, .put, .patch, .delete, .options]
    /// As upstream: nobody knows by whom a backend's certificate would have to be.
    private static let tls = try? TLSClient(trustingAnyone: ())

    func answer(_ target: Target, _ call: Call) async throws(APIError) -> Response {
        let request = call.request.head
        let parts = (request.path ?? "/").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = parts.count > 1 ? "?\(parts[1])" : ""
        guard let named = ProxyTarget(target.name), let rest = ProxyTarget.split(parts[0])?.rest else {
            throw .badRequest("invalid \(target.kind.singular) request \"\(target.name)\"")
        }
        let client = try await client(of: target, named)
        let isUpgrade = HopByHop.upgrade(of: request.headerFields) != nil
        if rest.isEmpty, !isUpgrade, request.method == .get || request.method == .head {
            // Relative links of the backend's pages need the slash.
            var head = HTTPResponse(status: .movedPermanently)
            head.headerFields[.location] = "\(parts[0])/\(query)"
            return Response(head: head)
        }
        var head = Self.onward(request, call.request.peer)
        head.path = (rest.isEmpty ? "/" : String(rest)) + query
        let answer: ClientResponse
        do {
            answer = try await client.send(head, body: call.request.body)
        } catch {
            throw .unavailable("error trying to reach service: \(error)")
        }
        return response(answer, to: head)
    }

    private func client(of target: Target, _ named: ProxyTarget) async throws(APIError) -> HTTPClient {
        var place = target
        place.name = named.name
        place.subresource = ""
        let object = try await door.registry.current(place).object()
        let endpoint: Endpoint
        if target.kind == .node {
            let (address, port) = try NodeDoor.address(of: object)
            guard let wanted = named.port.isEmpty ? port : UInt16(named.port), wanted > 0 else {
                throw .badRequest("invalid port \"\(named.port)\"")
            }
            if wanted == port { return try await door.client(forNode: named.name) }
            guard ProxyTarget.isAllowed(address) else { throw .badRequest("address not allowed") }
            endpoint = .ip(address, port: wanted)
        } else if target.kind == .service {
            let slices = try await door.registry.objects(of: .endpointSlice, in: target.namespace).filter {
                $0.labels["kubernetes.io/service-name"] == named.name
            }
            let all = try named.endpoints(of: object, slices)
            endpoint = all[Int(world.random() % UInt64(all.count))]
        } else {
            endpoint = try named.endpoint(of: object)
        }
        return try Self.client(of: endpoint, scheme: named.scheme, in: world)
    }

    static func client(of endpoint: Endpoint, scheme: String, in world: any World) throws(APIError) -> HTTPClient {
        guard scheme == "https", case .ip(let address, _) = endpoint else {
            return HTTPClient(endpoint: endpoint, serverName: "localhost", in: world, maxIdle: 0)
        }
        guard let tls else { throw .internalError("there is no TLS") }
        return HTTPClient(endpoint: endpoint, serverName: address, in: world, tls: tls, maxIdle: 0)
    }

    /// The head that goes on: without what is the connection's, and without what proves who asked.
    static func onward(_ request: HTTPRequest, _ peer: Peer) -> HTTPRequest {
        var head = request
        let upgrade = HopByHop.upgrade(of: head.headerFields)
        HopByHop.strip(&head.headerFields)
        // The server has answered it already, by asking for the body.
        head.headerFields[.expect] = nil
        head.headerFields[.authorization] = nil
        let protocols = (head.headerFields[.secWebSocketProtocol] ?? "").split(separator: ",").filter {
            !$0.drop { $0 == " " }.hasPrefix(Authentication.tokenProtocol)
        }
        head.headerFields[.secWebSocketProtocol] = protocols.isEmpty ? nil : protocols.joined(separator: ",")
        for field in head.headerFields where field.name.canonicalName.hasPrefix("impersonate-") {
            head.headerFields[field.name] = nil
        }
        if let upgrade {
            head.headerFields[.connection] = "Upgrade"
            head.headerFields[.upgrade] = upgrade
        }
        if case .ip(let address, _)? = peer.endpoint { head.headerFields[.init("X-Forwarded-For")!] = address }
        head.headerFields[.init("X-Forwarded-Host")!] = request.authority
        head.headerFields[.init("X-Forwarded-Proto")!] = peer.isSecure ? "https" : "http"
        head.headerFields[.init("X-Forwarded-Uri")!] = request.path
        return head
    }

    private func response(_ answer: ClientResponse, to request: HTTPRequest) -> Response {
        var head = answer.head
        if let backend = answer.upgraded {
            return Response(
                head: head,
                body: .upgrade { [world] client in
                    await Splice.run(
                        client, backend, idle: Limits.streamIdle, farewell: Limits.streamFarewell, in: world)
                })
        }
        HopByHop.strip(&head.headerFields)
        switch answer.body {
        case .bytes where request.method == .head && !head.headerFields.contains(.contentLength):
            // How long the body would be is not known: a stream is not given a length on the way.
            return Response(head: head, body: .stream { _ in })
        case .bytes(let bytes): return Response(head: head, body: .bytes(bytes))
        case .stream(let next):
            return Response(
                head: head,
                body: .stream { writer in while let piece = try await next() { try await writer.write(piece) } })
        }
    }
}
