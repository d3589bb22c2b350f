internal import CMartletTLS
public import MartletObject
internal import MartletBase

/// A key that signs or verifies JSON Web Tokens: RS256 with RSA, ES256 with ECDSA on P-256 (RFC 7518).
///
/// Sendable although it holds a C pointer: the key never changes after it was read, and OpenSSL lets many threads use
/// one.
public final class SigningKey: @unchecked Sendable {
    /// `RS256` or `ES256`.
    public let algorithm: String
    /// The key's name: the SHA-256 of its public half in DER, in the URL's base64, as Kubernetes names keys.
    public let identifier: String
    /// The public half as a JSON Web Key (RFC 7517).
    public let jwk: JSON

    private let pointer: OpaquePointer

    /// Reads a private key, or a public one that can only verify (PEM).
    /// - Throws: ``PKIError``.
    public init(pem: [UInt8]) throws(PKIError) {
        let read = try PKIError.check({ mtls_key_read(pem, pem.count, $0) }, isGood: { $0 != nil })
        guard let read else { throw PKIError("no memory for a key") }
        let isRSA = mtls_key_algorithm(read) == MTLS_RS256
        func number(_ number: mtls_number) throws(PKIError) -> JSON {
            .string(Base64.encodeForURL(try PKIError.bytes { mtls_key_number(read, number, $0, $1) }))
        }
        do {
            let der = try PKIError.bytes { mtls_key_der(read, $0, $1) }
            algorithm = isRSA ? "RS256" : "ES256"
            identifier = Base64.encodeForURL(try Self.digest(der))
            var key: JSON = ["use": "sig", "kty": isRSA ? "RSA" : "EC", "kid": .string(identifier)]
            if !isRSA { key["crv"] = "P-256" }
            key["alg"] = .string(algorithm)
            if isRSA {
                key["n"] = try number(MTLS_MODULUS)
                key["e"] = try number(MTLS_EXPONENT)
            } else {
                key["x"] = try number(MTLS_POINT_X)
                key["y"] = try number(MTLS_POINT_Y)
            }
            jwk = key
        } catch {
            mtls_key_free(read)
            throw error
        }
        pointer = read
    }

    deinit { mtls_key_free(pointer) }

    /// Signs a message.
    /// - Throws: ``PKIError`` when this is a public key.
    public func sign(_ message: [UInt8]) throws(PKIError) -> [UInt8] {
        try PKIError.bytes { mtls_key_sign(pointer, message, message.count, $0, $1) }
    }

    /// Whether the signature is this key's, and of this message.
    public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        mtls_key_verify(pointer, message, message.count, signature, signature.count) == 1
    }

    static func digest(_ bytes: [UInt8]) throws(PKIError) -> [UInt8] {
        guard let state = mtls_sha256_new() else { throw PKIError("no memory for a SHA-256") }
        defer { mtls_sha256_free(state) }
        var out = [UInt8](repeating: 0, count: Int(MTLS_SHA256_SIZE))
        let isDone =
            mtls_sha256_update(state, bytes, bytes.count) == 0
            && out.withUnsafeMutableBufferPointer { buffer in
                buffer.baseAddress.map { mtls_sha256_finish(state, $0) == 0 } ?? false
            }
        guard isDone else { throw PKIError("OpenSSL refuses SHA-256") }
        return out
    }
}
