internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// Tells who asks: by a client certificate, else by a bearer token; else it is nobody in particular.
struct Authentication: Sendable {
    let accounts: ServiceAccountTokens?
    let file: TokenFile?
    let bootstrap: BootstrapTokens
    let allowsAnonymous: Bool
    let world: any World

    /// Who sent a request. Nobody in particular may do what roles give to everybody: see health and version.
    /// - Throws: 401 for a token or a certificate that is not good, and for nobody where that is not allowed.
    func identity(of request: Request) async throws(APIError) -> Identity {
        if let identity = Identity(request.peer) { return identity }
        if let token = try Self.bearer(request.head.headerFields) {
            do { return try await identity(of: token, audiences: audiences).identity } catch { throw .unauthorized }
        }
        if !allowsAnonymous || request.peer.showedBadCertificate { throw .unauthorized }
        return .anonymous
    }

    /// What tokens that are shown to this API must be for.
    var audiences: [String] { accounts.map { [$0.settings.issuer] } ?? [] }

    /// Whom a token stands for.
    func identity(of token: String, audiences: [String]) async throws(TokenFault) -> TokenIdentity {
        if let identity = file?.identity(of: token) { return TokenIdentity(identity: identity, audiences: audiences) }
        if BootstrapTokens.parts(token) != nil {
            if let identity = await bootstrap.identity(of: token, now: world.wallTime()) {
                return TokenIdentity(identity: identity, audiences: audiences)
            }
        } else if let accounts {
            return try await accounts.identity(of: token, audiences: audiences)
        }
        throw TokenFault("invalid bearer token")
    }

    /// The name of a WebSocket protocol that is in truth a token, up to the token.
    static let tokenProtocol = "base64url.bearer.authorization.k8s.io."

    /// `Authorization: Bearer TOKEN`, or the WebSocket protocol `base64url.bearer.authorization.k8s.io.TOKEN` that
    /// browsers use. Nil without; other schemes are not looked at.
    private static func bearer(_ fields: HTTPFields) throws(APIError) -> String? {
        if let value = fields[.authorization] {
            let words = value.split(separator: " ", omittingEmptySubsequences: true)
            guard let scheme = words.first, scheme.lowercased() == "bearer" else { return nil }
            guard words.count == 2 else { throw .unauthorized }
            return String(words[1])
        }
        let prefix = tokenProtocol
        guard let name = HTTPField.Name("Sec-WebSocket-Protocol") else { return nil }
        for value in fields[values: name] {
            for item in value.split(separator: ",") {
                let text = item.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
                let word = String(text)
                guard word.hasPrefix(prefix) else { continue }
                guard let bytes = Base64.decodeForURL(String(word.dropFirst(prefix.count))), !bytes.isEmpty else {
                    throw .unauthorized
                }
                return String(decoding: bytes, as: UTF8.self)
            }
        }
        return nil
    }
}
