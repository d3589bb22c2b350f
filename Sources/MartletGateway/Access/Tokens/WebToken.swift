internal import MartletBase
internal import MartletObject

/// A JSON Web Token (RFC 7519) in its compact form, taken apart; nothing of it is believed yet.
struct WebToken: Sendable, Hashable {
    /// `alg` of the header.
    var algorithm: String
    /// `kid` of the header; empty for none.
    var keyID: String
    var claims: JSON
    /// What the signature is of.
    var signed: [UInt8]
    var signature: [UInt8]

    /// Reads a token; nil when it is none. Outside bytes: it never traps, and reads at most ``Limits/token``.
    init?(_ text: String) {
        guard text.utf8.count <= Limits.token else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Base64.decodeForURL(String(parts[2])), !signature.isEmpty,
            let algorithm = header["alg"]?.string
        else { return nil }
        self.algorithm = algorithm
        keyID = header["kid"]?.string ?? ""
        self.claims = claims
        signed = Array("\(parts[0]).\(parts[1])".utf8)
        self.signature = signature
    }

    private static func object(_ part: Substring) -> JSON? {
        guard let bytes = Base64.decodeForURL(String(part)), let json = try? JSON(parsing: bytes), json.object != nil
        else { return nil }
        return json
    }

    /// `aud`: one text or a list of them.
    var audiences: [String] {
        if let one = claims["aud"]?.string { return [one] }
        return (claims["aud"]?.array ?? []).compactMap(\.string)
    }

    /// A claim that is a moment, in seconds since 1970.
    func time(_ claim: String) -> Int64? {
        switch claims[claim] {
        case .int(let seconds): seconds
        case .double(let seconds) where abs(seconds) < 1e15: Int64(seconds)
        default: nil
        }
    }

    /// Writes and signs a token.
    static func make(
        _ claims: JSON, algorithm: String, keyID: String, sign: ([UInt8]) throws -> [UInt8]
    ) rethrows -> String {
        let header: JSON = ["alg": .string(algorithm), "kid": .string(keyID)]
        let head = "\(Base64.encodeForURL(header.encoded())).\(Base64.encodeForURL(claims.encoded()))"
        return "\(head).\(Base64.encodeForURL(try sign(Array(head.utf8))))"
    }
}
