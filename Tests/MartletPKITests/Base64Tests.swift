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
        "what an encoder never writes is refused",
        arguments: [
            "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "====", "=", "Z===", "Zm9v\n", " Zm9v", "Zm=v", "Zg==Zg==",
            "Zm9_", "Zm9-", "Zm9é", "Zm8=====",
        ])
    func refused(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test("whatever bytes come back as they were, and whatever text decodes is what encoding it again gives")
    func roundTrips() {
        var random = SplitMix64(seed: 5)
        let alphabet = Array("ABab09+/=  _".utf8)
        var decoded = 0
        for _ in 0..<10_000 {
            let bytes = (0..<Int.random(in: 0..<50, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next())
            }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            var text = Array(Base64.encode(bytes).utf8)
            if let place = text.indices.randomElement(using: &random) {
                text[place] = alphabet.randomElement(using: &random) ?? 0
            }
            guard let result = Base64.decode(text) else { continue }
            decoded += 1
            #expect(Array(Base64.encode(result).utf8) == text)
        }
        #expect(decoded > 1000 && decoded < 10_000)
    }
}
