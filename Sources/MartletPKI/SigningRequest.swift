internal import CMartletTLS
internal import MartletBase

/// A request for a certificate (PKCS #10), which its own key has signed.
public struct SigningRequest: Sendable, Hashable {
    /// What it asks for.
    public var wanted: CertificateRequest
    /// The request itself, PEM.
    public var pem: [UInt8]

    /// Reads a request of outside bytes.
    /// - Throws: ``PKIError``.
    public init(pem: [UInt8]) throws(PKIError) {
        let info = CertificateInfo(try Certificate(requestPEM: pem))
        wanted = CertificateRequest(commonName: info.commonName)
        wanted.organizations = info.organizations
        wanted.dnsNames = info.dnsNames
        wanted.addresses = info.addresses
        self.pem = pem
    }

    /// Asks for a certificate for a private key (PEM). Without a common name it asks for none.
    /// - Throws: ``PKIError``.
    public init(_ wanted: CertificateRequest, key: [UInt8]) throws(PKIError) {
        let draft = try CertificateDraft(
            notBefore: WallTime(seconds: 0), notAfter: WallTime(seconds: 1), purposes: 0)
        if wanted.commonName.isEmpty { try draft.addRest(wanted) } else { try draft.add(wanted) }
        pem = try draft.request(for: key)
        self.wanted = wanted
    }

    /// The request as DER.
    /// - Throws: ``PKIError``.
    public func der() throws(PKIError) -> [UInt8] {
        guard let der = PEM.content("CERTIFICATE REQUEST", of: pem) else { throw PKIError("there is no request in it") }
        return der
    }
}

extension CertificateInfo {
    /// The SHA-256 of the public key (SubjectPublicKeyInfo) of the first certificate of a PEM text, in lower-case hex:
    /// what kubeadm pins an authority by.
    /// - Throws: ``PKIError``.
    public static func keyDigest(pem: [UInt8]) throws(PKIError) -> String {
        let der = try Certificate(pem: pem).keyDER()
        let digits = Array("0123456789abcdef")
        return try SigningKey.digest(der).reduce(into: "") { text, byte in
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
    }
}
