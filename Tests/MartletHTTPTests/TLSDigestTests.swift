import MartletHTTP
import Testing

@Suite("Digests") struct DigestTests {
    @Test("SHA-256 gives the digests of FIPS 180-4's examples")
    func examples() {
        #expect(
            Digest.hex(Digest.sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            Digest.hex(Digest.sha256(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("parts give the digest of the whole, and a finished digest starts anew")
    func parts() {
        var digest = SHA256()
        digest.update(Array("a".utf8))
        digest.update([])
        digest.update(Array("bc".utf8))
        #expect(digest.finish() == Digest.sha256(Array("abc".utf8)))
        digest.update(Array("abc".utf8))
        #expect(digest.finish() == Digest.sha256(Array("abc".utf8)))
    }
}
