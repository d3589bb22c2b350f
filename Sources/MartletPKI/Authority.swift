internal import CMartletTLS
public import MartletBase

/// A certificate with its private key, both PEM.
public struct KeyPair: Sendable, Hashable {
    /// The certificate, PEM.
    public var certificatePEM: [UInt8]
    /// The private key (PKCS#8), PEM.
    public var privateKeyPEM: [UInt8]
    /// A pair from its PEM texts.
    public init(certificatePEM: [UInt8], privateKeyPEM: [UInt8]) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }

    /// Whether both belong together, and the certificate is good for these DNS names now.
    /// - Throws: ``PKIError`` that says why not.
    public func check(names: [String], now: WallTime) throws(PKIError) {
        let certificate = try Certificate(pem: certificatePEM)
        guard try certificate.has(key: privateKeyPEM) else { throw PKIError("the certificate is for another key") }
        let info = CertificateInfo(certificate)
        let missing = names.filter { !info.dnsNames.contains($0) }
        guard missing.isEmpty else {
            throw PKIError("the certificate is not for \(missing.joined(separator: ", "))")
        }
        guard info.notAfter > now else { throw PKIError("the certificate has expired") }
    }
}

/// What a certificate is to say.
public struct CertificateRequest: Sendable, Hashable {
    /// Subject CN: a user's or host's name, at most 64 characters (RFC 5280, appendix A.1).
    public var commonName: String
    /// Subject O, each a group.
    public var organizations: [String] = []
    /// DNS names.
    public var dnsNames: [String] = []
    /// IP addresses.
    public var addresses: [String] = []
    /// Extended key usage: TLS server.
    public var isServer = false
    /// Extended key usage: TLS client.
    public var isClient = false
    /// From now. The authority's own end cuts it short.
    public var lifetime: Duration = .seconds(365 * 24 * 3600)
    /// A certificate for that name; the rest is empty.
    public init(commonName: String) { self.commonName = commonName }
}

/// A certificate authority: ECDSA P-256, signed by itself.
public struct Authority: Sendable, Hashable {
    /// Its certificate and key.
    public var keyPair: KeyPair
    /// An authority that exists already.
    public init(keyPair: KeyPair) { self.keyPair = keyPair }

    /// Certificates are valid from a little before now, since the clocks of a cluster differ: five minutes, or a
    /// tenth of a life that is shorter than ten.
    static func backdate(_ lifetime: Duration) -> Duration {
        lifetime < .seconds(600) ? .zero - lifetime / 10 : .seconds(-300)
    }

    /// Makes a new authority.
    /// - Throws: ``PKIError``.
    public static func make(commonName: String, lifetime: Duration, now: WallTime) throws -> Authority {
        let key = try PrivateKey.makeEC()
        let purposes = MTLS_AUTHORITY.rawValue
        let draft = try CertificateDraft(
            notBefore: now + backdate(lifetime), notAfter: now + lifetime, purposes: purposes)
        try draft.add(MTLS_COMMON_NAME, commonName)
        let certificate = try draft.sign(subjectKey: key, issuer: nil)
        return Authority(keyPair: KeyPair(certificatePEM: certificate, privateKeyPEM: key))
    }

    /// Makes a key and signs a certificate for it.
    /// - Throws: ``PKIError``.
    public func issue(_ request: CertificateRequest, now: WallTime) throws -> KeyPair {
        let key = try PrivateKey.makeEC()
        return KeyPair(certificatePEM: try sign(request, for: key, now: now), privateKeyPEM: key)
    }

    /// Signs a certificate for a key (PEM) that exists already.
    /// - Throws: ``PKIError``.
    public func sign(_ request: CertificateRequest, for key: [UInt8], now: WallTime) throws -> [UInt8] {
        try draft(request, now: now).sign(subjectKey: key, issuer: keyPair)
    }

    /// Signs a certificate for the key of somebody's request (PEM, PKCS #10). What it says is `request`'s alone.
    /// - Throws: ``PKIError``.
    public func sign(_ request: CertificateRequest, forKeyOf wanted: [UInt8], now: WallTime) throws -> [UInt8] {
        try draft(request, now: now).sign(keyOf: wanted, issuer: keyPair)
    }

    /// Another authority's certificate as this one signs it: who trusts only this one may follow it to the other.
    /// - Throws: ``PKIError``.
    func cross(_ other: Authority, now: WallTime) throws -> [UInt8] {
        let (own, next) = (
            try CertificateInfo(pem: keyPair.certificatePEM), try CertificateInfo(pem: other.keyPair.certificatePEM)
        )
        let draft = try CertificateDraft(
            notBefore: next.notBefore, notAfter: min(own.notAfter, next.notAfter), purposes: MTLS_AUTHORITY.rawValue)
        try draft.add(MTLS_COMMON_NAME, next.commonName)
        return try draft.sign(subjectKey: other.keyPair.privateKeyPEM, issuer: keyPair)
    }

    private func draft(_ request: CertificateRequest, now: WallTime) throws -> CertificateDraft {
        let own = try CertificateInfo(pem: keyPair.certificatePEM)
        guard now < own.notAfter else {
            throw PKIError("the authority \(own.commonName) has expired: it can sign nothing any more")
        }
        var purposes: UInt32 = 0
        if request.isServer { purposes |= MTLS_SERVER.rawValue }
        if request.isClient { purposes |= MTLS_CLIENT.rawValue }
        let draft = try CertificateDraft(
            notBefore: now + Self.backdate(request.lifetime), notAfter: min(now + request.lifetime, own.notAfter),
            purposes: purposes)
        try draft.add(request)
        return draft
    }
}

/// Why a certificate or key could not be made or read.
public struct PKIError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }

    /// Calls C code that leaves its reason in a buffer when its answer is not good.
    static func check<Value>(
        _ call: (UnsafeMutablePointer<CChar>) -> Value, isGood: (Value) -> Bool
    ) throws(PKIError) -> Value {
        var text = [CChar](repeating: 0, count: Int(MTLS_ERROR_SIZE))
        let value = text.withUnsafeMutableBufferPointer { buffer in buffer.baseAddress.map(call) }
        if let value, isGood(value) { return value }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        throw PKIError(String(decoding: bytes, as: UTF8.self))
    }

    /// Calls C code that makes bytes and answers 0.
    static func bytes(
        _ call: (UnsafeMutablePointer<mtls_bytes>, UnsafeMutablePointer<CChar>) -> Int32
    ) throws(PKIError) -> [UInt8] {
        var made = mtls_bytes()
        defer { mtls_bytes_free(&made) }
        _ = try check({ call(&made, $0) }, isGood: { $0 == 0 })
        return [UInt8](UnsafeBufferPointer(start: made.data, count: made.count))
    }
}

/// Private keys as PEM texts.
public enum PrivateKey {
    /// ECDSA on P-256.
    /// - Throws: ``PKIError``.
    public static func makeEC() throws(PKIError) -> [UInt8] {
        try PKIError.bytes { mtls_make_ec_key($0, $1) }
    }
    /// RSA with 2048 bits, as service account tokens are signed with (RS256).
    static func makeRSA() throws(PKIError) -> [UInt8] {
        try PKIError.bytes { mtls_make_rsa_key(2048, $0, $1) }
    }
    /// The public half.
    static func publicKey(of key: [UInt8]) throws(PKIError) -> [UInt8] {
        try PKIError.bytes { mtls_public_key(key, key.count, $0, $1) }
    }
    /// Whether `publicKey` is the public half of `key`.
    static func matches(_ key: [UInt8], publicKey: [UInt8]) throws(PKIError) -> Bool {
        let check = { mtls_key_has_public(key, key.count, publicKey, publicKey.count, $0) }
        return try PKIError.check(check, isGood: { $0 >= 0 }) == 1
    }
}

/// A certificate being written, before its signature.
final class CertificateDraft {
    private let pointer: OpaquePointer

    init(notBefore: WallTime, notAfter: WallTime, purposes: UInt32) throws(PKIError) {
        guard notBefore < notAfter else { throw PKIError("a certificate cannot end before it begins") }
        guard let pointer = mtls_draft_new(notBefore.seconds, notAfter.seconds, purposes) else {
            throw PKIError("no memory for a certificate")
        }
        self.pointer = pointer
    }

    deinit { mtls_draft_free(pointer) }

    func add(_ kind: mtls_text, _ text: String) throws(PKIError) {
        do {
            guard !text.utf8.contains(0) else { throw PKIError("there is a zero byte inside") }
            _ = try PKIError.check({ mtls_draft_add(pointer, kind, text, $0) }, isGood: { $0 == 0 })
        } catch {
            throw PKIError("\"\(text)\" cannot be in a certificate: \(error)")
        }
    }

    func add(_ request: CertificateRequest) throws(PKIError) {
        try add(MTLS_COMMON_NAME, request.commonName)
        try addRest(request)
    }

    /// All but the CN, which the certificates of hosts need not have.
    func addRest(_ request: CertificateRequest) throws(PKIError) {
        for organization in request.organizations { try add(MTLS_ORGANIZATION, organization) }
        for name in request.dnsNames { try add(MTLS_DNS_NAME, name) }
        for address in request.addresses { try add(MTLS_ADDRESS, address) }
    }

    /// A request (PKCS #10) for the key.
    func request(for key: [UInt8]) throws(PKIError) -> [UInt8] {
        try PKIError.bytes { mtls_draft_request(pointer, key, key.count, $0, $1) }
    }

    func sign(keyOf request: [UInt8], issuer: KeyPair) throws(PKIError) -> [UInt8] {
        let (certificate, key) = (issuer.certificatePEM, issuer.privateKeyPEM)
        return try PKIError.bytes {
            mtls_draft_sign_request(
                pointer, request, request.count, certificate, certificate.count, key, key.count, $0, $1)
        }
    }

    /// Signs for the key `subjectKey`, by `issuer` or, when that is nil, by itself.
    func sign(subjectKey: [UInt8], issuer: KeyPair?) throws(PKIError) -> [UInt8] {
        guard let issuer else {
            return try PKIError.bytes {
                mtls_draft_sign(pointer, subjectKey, subjectKey.count, nil, 0, nil, 0, $0, $1)
            }
        }
        let (certificate, key) = (issuer.certificatePEM, issuer.privateKeyPEM)
        return try PKIError.bytes {
            mtls_draft_sign(
                pointer, subjectKey, subjectKey.count, certificate, certificate.count, key, key.count, $0, $1)
        }
    }
}
