import FuzzSupport
import MartletBase
import Testing

@testable import MartletPKI

@Suite("Signing keys") struct SigningKeyTests {
    @Test("what a key signs its public half knows", arguments: [true, false])
    func fuzzedSignatures(isRSA: Bool) throws {
        let pem = isRSA ? try PrivateKey.makeRSA() : try PrivateKey.makeEC()
        let key = try SigningKey(pem: pem)
        let publicKey = try SigningKey(pem: try PrivateKey.publicKey(of: pem))
        #expect(key.algorithm == (isRSA ? "RS256" : "ES256"))
        #expect(key.identifier == publicKey.identifier)
        #expect(key.jwk == publicKey.jwk)
        let message = Array("header.claims".utf8)
        let signature = try key.sign(message)
        #expect(signature.count == (isRSA ? 256 : 64))
        #expect(publicKey.verifies(signature, of: message))
        #expect(!publicKey.verifies(signature, of: message + [0]))
        #expect(!publicKey.verifies([], of: message))
        #expect(throws: PKIError.self) { try publicKey.sign(message) }
        var random = SplitMix64(seed: Fuzz.seed(3))
        for _ in 0..<Fuzz.runs(200) {
            let spoiled = Fuzz.spoiled(signature, &random)
            if spoiled != signature { #expect(!publicKey.verifies(spoiled, of: message)) }
            _ = try? SigningKey(pem: Fuzz.spoiled(pem, &random))
        }
    }

    @Test("what is no key is refused")
    func refuses() {
        #expect(throws: PKIError.self) { try SigningKey(pem: []) }
        #expect(throws: PKIError.self) { try SigningKey(pem: Array("-----BEGIN PUBLIC KEY-----".utf8)) }
    }
}
