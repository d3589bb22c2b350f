internal import HTTPTypes
internal import MartletHTTP
internal import MartletRoutes

/// Sends clients from http to https, to the same host and path. 308 lets them keep method and body (RFC 9110, 15.4.9).
struct SecureRedirect: RequestHandler {
    /// The port of https; 443 goes without saying.
    let port: UInt16

    func handle(_ request: Request) async -> Response {
        let host = RequestHost(request.head.authority ?? "").name
        guard !host.isEmpty else { return .plain(.badRequest, "a Host field is needed") }
        let authority = port == 443 ? host : "\(host):\(port)"
        var response = Response.plain(.permanentRedirect, "use https")
        response.head.headerFields[.location] = "https://\(authority)\(request.head.path ?? "/")"
        return response
    }
}

/// What answers without TLS: certificate authorities are, what a route opens is passed on, all else is sent to https.
struct PlainDoor: RequestHandler {
    let redirect: SecureRedirect
    let edge: Edge

    func handle(_ request: Request) async -> Response {
        if let proof = edge.proof(for: request) { return await edge.told(request) { _ in proof } }
        if edge.servesPlain(request) { return await edge.handle(request) }
        return await edge.told(request) { _ in await redirect.handle(request) }
    }
}
