internal import MartletHTTP
internal import MartletObject

/// What others need to know service account tokens by themselves (OpenID Connect Discovery 1.0).
extension Gateway {
    func tokenIssuer() throws(APIError) -> Response {
        guard let settings = accounts?.settings else { throw .noSuchResource }
        let issuer = settings.issuer
        let algorithms = Set(settings.keys.map(\.algorithm)).sorted()
        let document: JSON = [
            "issuer": .string(issuer), "jwks_uri": .string("\(issuer)/openid/v1/jwks"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": .array(algorithms.map { .string($0) }),
        ]
        return Self.json(document.encoded())
    }

    func tokenKeys() throws(APIError) -> Response {
        guard let settings = accounts?.settings else { throw .noSuchResource }
        let keys = settings.keys.compactMap { try? JSON(parsing: $0.jwk) }
        return Self.json((["keys": .array(keys)] as JSON).encoded(), contentType: "application/jwk-set+json")
    }
}
