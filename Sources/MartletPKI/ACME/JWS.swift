internal import MartletBase
public import MartletObject

/// Requests signed as ACME wants them: JSON Web Signatures in their flattened form (RFC 7515; RFC 8555, 6.2).
public enum JWS {
    /// A signed request.
    /// - Parameters:
    ///   - payload: nil for the empty one of a POST-as-GET (RFC 8555, 6.3).
    ///   - account: the account's URL; nil for a request that shows the key itself.
    /// - Throws: ``PKIError``.
    public static func sign(
        _ payload: JSON?, url: String, nonce: String, key: SigningKey, account: String?
    ) throws(PKIError) -> [UInt8] {
        var head: JSON = ["alg": .string(key.algorithm)]
        if let account { head["kid"] = .string(account) } else { head["jwk"] = publicKey(key) }
        head["nonce"] = .string(nonce)
        head["url"] = .string(url)
        let protected = Base64.encodeForURL(head.encoded())
        let text = payload.map { Base64.encodeForURL($0.encoded()) } ?? ""
        let signature = try key.sign(Array("\(protected).\(text)".utf8))
        let signed: JSON = [
            "protected": .string(protected), "payload": .string(text),
            "signature": .string(Base64.encodeForURL(signature)),
        ]
        return signed.encoded()
    }

    /// The members of a key that are its own, in the order in which they are digested (RFC 7638, 3.2).
    static func publicKey(_ key: SigningKey) -> JSON {
        var own: JSON = [:]
        for name in ["crv", "e", "kty", "n", "x", "y"] {
            if let value = key.jwk[name] { own[name] = value }
        }
        return own
    }

    /// What a token is answered with: the token, a dot and the key's thumbprint (RFC 8555, 8.1).
    /// - Throws: ``PKIError``.
    public static func keyAuthorization(_ token: String, _ key: SigningKey) throws(PKIError) -> String {
        "\(token).\(Base64.encodeForURL(try SigningKey.digest(publicKey(key).encoded())))"
    }
}
