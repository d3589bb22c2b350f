import MartletBase
import Testing

@Suite("Base64") struct Base64Tests {
    @Test(
        "the examples of RFC 4648 go both ways",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func examples(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test(
        "what is not base64 is refused",
        arguments: [
            "Z", "Zg", "Zg=", "Zg===", "====", "=", "Z===", " Zm9v", "Zm=v", "Zg==Zg==",
            "Zm9_", "Zm9-", "Zm9é", "Zm8=====",
        ])
    func refused(text: String) {
        #expect(Base64.decode(text) == nil)
        #expect(Base64.fault(text) != nil)
    }

    @Test("line breaks and bits that stand for nothing are skipped, as Go does")
    func skipped() {
        #expect(Base64.decode("Zm9v\r\nYmFy\n") == Array("foobar".utf8))
        #expect(Base64.decode("Zh==") == Array("f".utf8))
    }

    @Test("a fault is told by its offset", arguments: [("aGk", 3), ("aG*=", 2), ("aGk=aGk=", 4), ("Zm9v", nil)])
    func faults(text: String, offset: Int?) {
        #expect(Base64.fault(text) == offset)
    }

    @Test("the URL's alphabet has no padding")
    func forURLs() {
        #expect(Base64.encodeForURL([0xFB, 0xFF]) == "-_8")
        #expect(Base64.decodeForURL("-_8") == [0xFB, 0xFF])
        for text in ["-_8=", "+/8", "-_8\n", "A"] { #expect(Base64.decodeForURL(text) == nil) }
    }

    @Test("whatever bytes come back as they were, and what a text means stays so when it is written again")
    func roundTrips() {
        var random = SplitMix64(seed: 5)
        let alphabet = Array("ABab09+/=  _".utf8)
        var decoded = 0
        for _ in 0..<10_000 {
            let bytes = (0..<Int.random(in: 0..<50, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next())
            }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Base64.decodeForURL(Base64.encodeForURL(bytes)) == bytes)
            var text = Array(Base64.encode(bytes).utf8)
            if let place = text.indices.randomElement(using: &random) {
                text[place] = alphabet.randomElement(using: &random) ?? 0
            }
            guard let result = Base64.decode(text) else { continue }
            decoded += 1
            #expect(Base64.decode(Base64.encode(result)) == result)
        }
        #expect(decoded > 1000 && decoded < 10_000)
    }
}
