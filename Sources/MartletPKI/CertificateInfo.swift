internal import CMartletTLS
public import MartletBase

/// What a certificate says.
public struct CertificateInfo: Sendable, Hashable {
    /// Subject CN; of several the last, as Kubernetes reads it; empty when there is none.
    public var commonName: String
    /// Each subject O, in order.
    public var organizations: [String]
    /// Issuer CN; empty when there is none.
    public var issuerCommonName: String
    /// Each issuer O, in order.
    public var issuerOrganizations: [String]
    /// Subject alternative names: DNS.
    public var dnsNames: [String]
    /// Subject alternative names: IP addresses, in their shortest text form.
    public var addresses: [String]
    /// Serial number in lower-case hex.
    public var serial: String
    /// Valid from.
    public var notBefore: WallTime
    /// Valid until.
    public var notAfter: WallTime
    /// Whether it may sign others (basicConstraints CA).
    public var isCA: Bool
    /// Extended key usage: TLS server.
    public var isServer: Bool
    /// Extended key usage: TLS client.
    public var isClient: Bool

    /// Reads the first certificate of a PEM text.
    /// - Throws: ``PKIError``.
    public init(pem: [UInt8]) throws(PKIError) {
        self.init(try Certificate(pem: pem))
    }

    init(_ certificate: Certificate) {
        commonName = certificate.texts(MTLS_COMMON_NAME).first ?? ""
        organizations = certificate.texts(MTLS_ORGANIZATION)
        issuerCommonName = certificate.texts(MTLS_ISSUER_COMMON_NAME).first ?? ""
        issuerOrganizations = certificate.texts(MTLS_ISSUER_ORGANIZATION)
        dnsNames = certificate.texts(MTLS_DNS_NAME)
        addresses = certificate.texts(MTLS_ADDRESS)
        serial = certificate.texts(MTLS_SERIAL).first ?? ""
        notBefore = certificate.notBefore
        notAfter = certificate.notAfter
        isCA = certificate.purposes & MTLS_AUTHORITY.rawValue != 0
        isServer = certificate.purposes & MTLS_SERVER.rawValue != 0
        isClient = certificate.purposes & MTLS_CLIENT.rawValue != 0
    }

    /// Whether it is made out for whom `request` asks: name, organizations, and at least its names and addresses.
    public func says(_ request: CertificateRequest) -> Bool {
        commonName == request.commonName && organizations == request.organizations
            && Set(dnsNames).isSuperset(of: request.dnsNames)
            && Set(addresses).isSuperset(of: request.addresses.map(Self.shortest))
    }

    /// An address as certificates are read back: IPv6 has many texts for one address.
    private static func shortest(_ address: String) -> String {
        guard address.utf8.contains(UInt8(ascii: ":")) else { return address }
        return AddressText.shortest(address) ?? address
    }

    /// Whether it is in the last third of its life, or past it.
    public func isDueForRenewal(now: WallTime) -> Bool {
        let lifetime = (notAfter - notBefore).nanoseconds
        return now >= notBefore + .nanoseconds(lifetime / 3 * 2)
    }
}

/// A certificate read by the C side.
final class Certificate {
    private let pointer: OpaquePointer

    /// Reads the first certificate of a PEM text.
    init(pem: [UInt8]) throws(PKIError) {
        let made = try PKIError.check({ mtls_certificate_read(pem, pem.count, $0) }, isGood: { $0 != nil })
        guard let made else { throw PKIError("no memory for a certificate") }
        pointer = made
    }

    /// Reads a request for a certificate that its own key has signed.
    init(requestPEM pem: [UInt8]) throws(PKIError) {
        let made = try PKIError.check({ mtls_request_read(pem, pem.count, $0) }, isGood: { $0 != nil })
        guard let made else { throw PKIError("no memory for a request") }
        pointer = made
    }

    deinit { mtls_certificate_free(pointer) }

    /// The public key as SubjectPublicKeyInfo.
    func keyDER() throws(PKIError) -> [UInt8] {
        try PKIError.bytes { mtls_certificate_key(pointer, $0, $1) }
    }

    var notBefore: WallTime { Self.time(mtls_certificate_not_before(pointer)) }
    var notAfter: WallTime { Self.time(mtls_certificate_not_after(pointer)) }
    var purposes: UInt32 { mtls_certificate_purposes(pointer) }

    /// How strong its key is, in bits of a symmetric key.
    var strength: Int { Int(mtls_certificate_strength(pointer)) }

    func texts(_ kind: mtls_text) -> [String] {
        var texts: [String] = []
        while let text = mtls_certificate_text(pointer, kind, texts.count) {
            texts.append(String(cString: text))
        }
        return texts
    }

    func isSigned(by issuer: Certificate) -> Bool { mtls_certificate_signed_by(pointer, issuer.pointer) == 1 }

    /// Whether the private key (PEM) belongs to it.
    /// - Throws: ``PKIError`` when the key cannot be read.
    func has(key: [UInt8]) throws(PKIError) -> Bool {
        let check = { mtls_certificate_has_key(self.pointer, key, key.count, $0) }
        return try PKIError.check(check, isGood: { $0 >= 0 }) == 1
    }

    /// Certificates may name years far beyond what nanoseconds reach (1678 to 2262): those are clamped.
    private static func time(_ seconds: Int64) -> WallTime {
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return WallTime(nanoseconds: seconds < 0 ? .min : .max) }
        return WallTime(nanoseconds: nanoseconds)
    }
}
