import FuzzSupport
import MartletBase
import Testing

@Suite struct IPAddressTests {
    @Test func addressesAreReadAndWrittenAsPeopleWriteThem() {
        let pairs = [
            ("10.244.0.1", "10.244.0.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
            ("::", "::"), ("::1", "::1"), ("fd00::", "fd00::"), ("FD00:0:0:1:0:0:0:1", "fd00:0:0:1::1"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
            ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"),
            ("::ffff:10.1.2.3", "::ffff:a01:203"), ("1::", "1::"), ("0:0:1::", "0:0:1::"),
        ]
        for (text, written) in pairs { #expect(IPAddress(text)?.description == written, "\(text)") }
    }

    @Test func whatIsNoAddressIsRefused() {
        for text in [
            "", "10.1.2", "10.1.2.3.4", "10.1.2.256", "10.1.2.2560", "10.01.2.3", "10.1.2.", ".1.2.3", "10..2.3",
            "10.1.2.3.", "10.1.2.+3", "a.b.c.d", " 10.1.2.3", ":", ":::",
            "1::2::3",
            "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "fe80::1%eth0", "::g", "1:2:3:4:5:6:7::8", "10.1.2.3::",
            "1:::2",
        ] { #expect(IPAddress(text) == nil, "\(text)") }
        for text in ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/+8", "/8", "10.0.0.0/8/8"] {
            #expect(IPRange(text) == nil, "\(text)")
        }
    }

    @Test func rangesKnowWhatIsInThem() throws {
        let range = try #require(IPRange("10.244.3.77/24"))
        #expect(range.description == "10.244.3.0/24")
        #expect(try range.contains(#require(IPAddress("10.244.3.255"))))
        #expect(try !range.contains(#require(IPAddress("10.244.4.0"))))
        #expect(try !range.contains(#require(IPAddress("::ffff:10.244.3.1"))))
        let wide = try #require(IPRange("fd00:1:2:3:4::/72"))
        #expect(wide.description == "fd00:1:2:3::/72")
        #expect(try wide.contains(#require(IPAddress("fd00:1:2:3:ff00::"))) == false)
        #expect(try wide.overlaps(#require(IPRange("fd00::/8"))))
        #expect(try #require(IPRange("0.0.0.0/0")).contains(#require(IPAddress("9.9.9.9"))))
    }

    @Test func fuzzedTextsAreReadBackAsTheyAreWritten() {
        var random = SplitMix64(seed: Fuzz.seed(11))
        let seeds = ["10.244.0.1", "fd00:0:1::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"].map { Array($0.utf8) }
        for _ in 0..<Fuzz.runs(5_000) {
            let bytes = Fuzz.spoiled(seeds.randomElement(using: &random) ?? [], &random)
            guard let address = IPAddress(String(decoding: bytes, as: UTF8.self)) else { continue }
            #expect(IPAddress(address.description) == address)
            #expect(IPAddress(bytes: address.bytes) == address)
        }
    }

    @Test func rangesAreCutIntoPiecesAndCountedThrough() throws {
        let four = try #require(IPRange("10.244.0.0/16"))
        #expect("\(four.piece(255, length: 24))" == "10.244.255.0/24" && "\(four.address(258))" == "10.244.1.2")
        let six = try #require(IPRange("fd00:244::/48"))
        #expect("\(six.piece(0x1f, length: 64))" == "fd00:244:0:1f::/64")
        #expect("\(six.piece(3, length: 80))" == "fd00:244:0:0:3::/80")
        #expect("\(six.address(0x1_0001))" == "fd00:244::1:1")
        let last = try #require(IPAddress("fd00::ffff:ffff:ffff:ffff"))
        #expect("\(IPRange(last, length: 128).address(1))" == "fd00:0:0:1::")
        #expect(IPRange.list("10.0.0.0/8,fd00::/8")?.map(\.family) == [.ipv4, .ipv6])
        for bad in ["", "10.0.0.0/8,", "10.0.0.0/8 fd00::/8", "x"] { #expect(IPRange.list(bad) == nil, "\(bad)") }
    }
}
