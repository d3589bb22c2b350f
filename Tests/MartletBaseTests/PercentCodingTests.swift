import MartletBase
import Testing

@Suite("Percent encoding") struct PercentCodingTests {
    @Test(
        "all but the unreserved characters are encoded, and come back",
        arguments: [
            ("", ""), ("aZ09-._~", "aZ09-._~"), ("a b+c", "a%20b%2Bc"), ("/?#&=%", "%2F%3F%23%26%3D%25"),
            ("ä€", "%C3%A4%E2%82%AC"), ("\u{0}\n\u{7F}", "%00%0A%7F"),
        ])
    func bothWays(plain: String, encoded: String) {
        #expect(PercentCoding.encode(plain) == encoded)
        #expect(PercentCoding.decode(encoded) == plain)
        #expect(PercentCoding.decode(encoded, plusIsSpace: true) == plain)
    }

    @Test(
        "what is not well encoded stands for itself",
        arguments: ["%", "%4", "%zz", "a%g1", "%%", "100% of", "%+1", "%é"])
    func notEncoded(text: String) {
        #expect(PercentCoding.decode(text) == text)
    }

    @Test("digits may be of either case, and what is decoded is not decoded again")
    func once() {
        #expect(PercentCoding.decode("%2f%2F") == "//")
        #expect(PercentCoding.decode("%2541") == "%41")
        #expect(PercentCoding.decode("%%41") == "%A")
    }

    @Test("a plus is a space in the query of a form only")
    func plus() {
        #expect(PercentCoding.decode("a+b") == "a+b")
        #expect(PercentCoding.decode("a+b%2B", plusIsSpace: true) == "a b+")
    }

    @Test("bytes that are no text become the replacement character")
    func noText() {
        #expect(PercentCoding.decode("a%FFb") == "a\u{FFFD}b")
    }

    @Test("any text comes back, and any bytes are read without a trap")
    func anything() {
        var random = SplitMix64(seed: 7)
        var mistakes = 0
        for _ in 0..<10_000 {
            let alphabet = Array("%%%+4aFg/é€".unicodeScalars)
            var text = ""
            for _ in 0..<random.next() % 12 {
                text.unicodeScalars.append(alphabet[Int(random.next() % UInt64(alphabet.count))])
            }
            if PercentCoding.decode(PercentCoding.encode(text)) != text { mistakes += 1 }
            if PercentCoding.decode(text).utf8.count > text.utf8.count * 3 { mistakes += 1 }
        }
        #expect(mistakes == 0)
    }
}
