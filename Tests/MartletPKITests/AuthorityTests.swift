import MartletBase
import MartletPKI
import Testing

@Suite("Authorities") struct AuthorityTests {
    static let now = WallTime(seconds: 1_800_000_000)

    func make() throws -> Authority {
        try Authority.make(commonName: "test-ca", lifetime: .seconds(86_400), now: Self.now)
    }

    @Test("an authority says that it is one, and for how long")
    func authority() throws {
        let info = try CertificateInfo(pem: try make().keyPair.certificatePEM)
        #expect(info.commonName == "test-ca")
        #expect(info.issuerCommonName == "test-ca")
        #expect(info.isCA)
        #expect(!info.isServer && !info.isClient)
        #expect(info.notBefore == Self.now + .seconds(-300))
        #expect(info.notAfter == Self.now + .seconds(86_400))
    }

    @Test("a leaf says what was asked for")
    func leaf() throws {
        var request = CertificateRequest(commonName: "jäne")
        request.organizations = ["system:masters", "dev"]
        request.dnsNames = ["a.test", "*.b.test"]
        request.addresses = ["127.0.0.1", "FE80:0::1"]
        request.isServer = true
        request.isClient = true
        request.lifetime = .seconds(3600)
        let pair = try make().issue(request, now: Self.now)
        let info = try CertificateInfo(pem: pair.certificatePEM)
        #expect(info.commonName == "jäne")
        #expect(info.organizations == ["system:masters", "dev"])
        #expect(info.issuerCommonName == "test-ca")
        #expect(info.dnsNames == ["a.test", "*.b.test"])
        #expect(info.addresses == ["127.0.0.1", "fe80::1"])
        #expect(info.isServer && info.isClient && !info.isCA)
        #expect(info.notAfter == Self.now + .seconds(3600))
        #expect(String(decoding: pair.privateKeyPEM, as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
    }

    @Test("serial numbers and keys differ")
    func serials() throws {
        let authority = try make()
        let pairs = try (0..<20).map { _ in try authority.issue(CertificateRequest(commonName: "a"), now: Self.now) }
        let serials = try Set(pairs.map { try CertificateInfo(pem: $0.certificatePEM).serial })
        #expect(serials.count == 20)
        #expect(Set(pairs.map(\.privateKeyPEM)).count == 20)
    }

    @Test("a leaf does not outlive its authority")
    func shortAuthority() throws {
        let pair = try make().issue(CertificateRequest(commonName: "a"), now: Self.now)
        #expect(try CertificateInfo(pem: pair.certificatePEM).notAfter == Self.now + .seconds(86_400))
    }

    @Test("an authority past its end signs nothing")
    func expiredAuthority() throws {
        let authority = try make()
        #expect(throws: PKIError("the authority test-ca has expired: it can sign nothing any more")) {
            try authority.issue(CertificateRequest(commonName: "a"), now: Self.now + .seconds(86_401))
        }
    }

    @Test(
        "what does not fit a certificate is refused by name",
        arguments: [
            ("", "", ""), (String(repeating: "a", count: 65), "", ""), ("zero\0inside", "", ""),
            ("a", "not a name", ""), ("a", "ä.test", ""), ("a", "", "127.0.0"), ("a", "", "localhost"),
        ])
    func refused(commonName: String, name: String, address: String) throws {
        var request = CertificateRequest(commonName: commonName)
        if !name.isEmpty { request.dnsNames = [name] }
        if !address.isEmpty { request.addresses = [address] }
        let authority = try make()
        let error = #expect(throws: PKIError.self) { try authority.issue(request, now: Self.now) }
        let culprit = [address, name, commonName].first { !$0.isEmpty } ?? ""
        #expect(error?.description.hasPrefix("\"\(culprit)\" cannot be in a certificate: ") == true)
    }

    @Test("renewal is due in the last third of a certificate's life")
    func renewal() throws {
        var info = try CertificateInfo(pem: try make().keyPair.certificatePEM)
        info.notBefore = WallTime(seconds: 0)
        info.notAfter = WallTime(seconds: 300)
        #expect(!info.isDueForRenewal(now: WallTime(seconds: 199)))
        #expect(info.isDueForRenewal(now: WallTime(seconds: 200)))
        #expect(info.isDueForRenewal(now: WallTime(seconds: 400)))
    }

    @Test("no mutated PEM text traps; what is still read is a certificate")
    func mutatedTexts() throws {
        let authority = try make()
        var request = CertificateRequest(commonName: "a")
        request.dnsNames = ["a.test"]
        request.addresses = ["::1"]
        let pem = try authority.issue(request, now: Self.now).certificatePEM
        let text = String(decoding: pem, as: UTF8.self).split(separator: "\n").dropFirst().dropLast().joined()
        let der = try #require(Base64.decode(text))
        var random = SplitMix64(seed: 3)
        var refused = 0
        for _ in 0..<10_000 {
            var bytes = der
            for _ in 0...Int.random(in: 0..<3, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
                default: bytes.removeSubrange(min(place + 1, bytes.count - 1)...)
                }
            }
            let lines = "-----BEGIN CERTIFICATE-----\n\(Base64.encode(bytes))\n-----END CERTIFICATE-----\n"
            do { _ = try CertificateInfo(pem: Array(lines.utf8)) } catch { refused += 1 }
        }
        #expect(refused > 1000 && refused < 10_000)
    }
}
