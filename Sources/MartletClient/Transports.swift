public import HTTPTypes
public import MartletBase
public import MartletHTTP

/// Carries requests to a gateway over HTTP, mostly with TLS.
public struct HTTPSTransport: ClientTransport {
    private let client: HTTPClient

    /// A transport over `client`, which knows the endpoint, the authorities and the client's certificate.
    public init(_ client: HTTPClient) { self.client = client }

    /// Sends one request; returns when the answer's head is there.
    public func send(_ request: HTTPRequest, body: [UInt8]) async throws -> ClientResponse {
        try await client.send(request, body: .bytes(body))
    }
}

/// Carries requests to a gateway in the same process. A streamed answer goes through a bounded pipe: a slow reader
/// slows its producer down, and a reader that goes away cancels it.
public struct InProcessTransport: ClientTransport {
    private let world: any World
    private let handler: @Sendable (Request) async -> Response

    /// A transport to `handler`, which answers as a server's handler does, and has authenticated the caller already.
    public init(in world: any World, handler: @escaping @Sendable (Request) async -> Response) {
        self.world = world
        self.handler = handler
    }

    /// Hands the request over; returns when the answer's head is there.
    /// - Throws: ``NetworkError/protocolViolation(_:)`` when the answer is an upgrade, which has no place here.
    public func send(_ request: HTTPRequest, body: [UInt8]) async throws -> ClientResponse {
        let response = await handler(Request(head: request, body: .bytes(body)))
        try Task.checkCancellation()
        switch response.body {
        case .bytes(let bytes):
            return ClientResponse(head: response.head, body: .bytes(bytes))
        case .stream(let produce):
            let reader = BodyPipe.run(produce, in: world)
            return ClientResponse(head: response.head, body: .stream { try await reader.next() })
        case .upgrade:
            throw NetworkError.protocolViolation("an upgrade cannot be carried inside the process")
        }
    }
}
