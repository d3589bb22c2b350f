import FuzzSupport
import MartletBase
import Testing

@testable import MartletPKI

@Suite("Requests for certificates") struct SigningRequestTests {
    static let now = WallTime(seconds: 1_800_000_000)

    private func made() throws -> (request: SigningRequest, key: [UInt8]) {
        var wanted = CertificateRequest(commonName: "system:node:a")
        wanted.organizations = ["system:nodes"]
        wanted.dnsNames = ["a"]
        wanted.addresses = ["10.0.0.1"]
        let key = try PrivateKey.makeEC()
        return (try SigningRequest(wanted, key: key), key)
    }

    @Test("a request says what it was made with, and is signed for its key and nothing else")
    func signed() throws {
        let (request, key) = try made()
        let read = try SigningRequest(pem: request.pem)
        #expect(read.wanted == request.wanted)
        let authority = try Authority.make(commonName: "ca", lifetime: .seconds(86_400), now: Self.now)
        var granted = CertificateRequest(commonName: "other")
        granted.isClient = true
        let pem = try authority.sign(granted, forKeyOf: request.pem, now: Self.now)
        let info = try CertificateInfo(pem: pem)
        #expect(info.commonName == "other" && info.dnsNames.isEmpty && info.isClient && !info.isCA)
        #expect(try Certificate(pem: pem).has(key: key))
    }

    @Test("a public key has one digest, in whatever certificate it is")
    func digest() throws {
        let authority = try Authority.make(commonName: "ca", lifetime: .seconds(86_400), now: Self.now)
        let digest = try CertificateInfo.keyDigest(pem: authority.keyPair.certificatePEM)
        #expect(digest.count == 64)
        let again = try authority.sign(
            CertificateRequest(commonName: "x"), for: authority.keyPair.privateKeyPEM, now: Self.now)
        #expect(try CertificateInfo.keyDigest(pem: again) == digest)
    }

    @Test("changed requests are refused or read, never a trap")
    func fuzz() throws {
        let pem = try made().request.pem
        var random = SplitMix64(seed: 7)
        for _ in 0..<2000 {
            var bytes = pem
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? SigningRequest(pem: bytes)
        }
        #expect(throws: PKIError.self) { try SigningRequest(pem: []) }
    }
}
