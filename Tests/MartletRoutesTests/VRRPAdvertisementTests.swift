import FuzzSupport
import MartletBase
import MartletRoutes
import Testing

/// Bytes from hexadecimal digits.
private func bytes(_ digits: String) -> [UInt8] {
    let all = digits.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    return stride(from: 0, to: all.count - 1, by: 2).map { UInt8(all[$0] << 4 | all[$0 + 1]) }
}

private func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }

@Suite struct VRRPAdvertisementTests {
    private let source = address("192.0.2.1")
    private let group = address("224.0.0.18")
    private let addresses = [address("192.0.2.100"), address("192.0.2.101")]
    private var third: VRRPAdvertisement {
        VRRPAdvertisement(version: .three, routerID: 51, priority: 100, centiseconds: 10, addresses: addresses)
    }
    private var second: VRRPAdvertisement {
        VRRPAdvertisement(version: .two, routerID: 51, priority: 100, centiseconds: 100, addresses: addresses)
    }
    // What keepalived 2.2.7 sends for the same settings, caught on a wire.
    private let keepalivedSecond = bytes("213364020001f5fec0000264c00002650000000000000000")
    private let keepalivedThird = bytes("31336402000a4361c0000264c0000265")
    private let keepalivedSixth = bytes(
        "31336402000a55c0fe80000000000000000000010002000320010db8000000000000000000000100")
    /// RFC 9568's own form: the same, with a checksum over the message alone.
    private let standardThird = bytes("31336402000ae5f5c0000264c0000265")

    private func read(
        _ bytes: [UInt8], from source: IPAddress? = nil, to destination: IPAddress? = nil, hopLimit: UInt8 = 255
    ) throws(VRRPRefusal) -> VRRPAdvertisement {
        try VRRPAdvertisement(
            VRRPPacket(
                source: source ?? self.source, destination: destination ?? group, hopLimit: hopLimit, bytes: bytes))
    }

    @Test func versionTwoIsKeepalivedsByteForByte() throws {
        #expect(second.encoded(from: source, to: group) == keepalivedSecond)
        #expect(try read(keepalivedSecond) == second)
    }

    @Test func versionThreeIsTheRFCsOrKeepalivedsByteForByte() throws {
        #expect(third.encoded(from: source, to: group) == standardThird)
        #expect(third.encoded(from: source, to: group, checksum: .pseudoHeader) == keepalivedThird)
    }

    @Test func bothFormsOfTheChecksumAreTaken() throws {
        #expect(try read(standardThird) == third)
        #expect(try read(keepalivedThird) == third)
    }

    @Test func thePseudoHeaderIsOfTheRealAddresses() throws {
        let sent = third.encoded(from: source, to: address("192.0.2.2"), checksum: .pseudoHeader)
        #expect(try read(sent, to: address("192.0.2.2")) == third)
        #expect(throws: VRRPRefusal.checksum) { try read(sent) }
    }

    @Test func ofIPv6ItIsKeepalivedsByteForByte() throws {
        let own = address("fe80::8c96:5ff:feae:584d")
        let word = VRRPAdvertisement(
            version: .three, routerID: 51, priority: 100, centiseconds: 10,
            addresses: [address("fe80::1:2:3"), address("2001:db8::100")])
        let group = VRRPAdvertisement.group(.ipv6)
        // The form can't be chosen there.
        for form in VRRPChecksum.allCases {
            #expect(word.encoded(from: own, to: group, checksum: form) == keepalivedSixth)
        }
        #expect(try read(keepalivedSixth, from: own, to: group) == word)
        #expect(throws: VRRPRefusal.checksum) { try read(keepalivedSixth, from: address("fe80::1"), to: group) }
    }

    @Test func theLongestIntervalHasTwelveBits() throws {
        var word = third
        word.centiseconds = 4095
        let sent = word.encoded(from: source, to: group)
        #expect(sent[4] == 0x0F && sent[5] == 0xFF)
        #expect(try read(sent).centiseconds == 4095)
    }

    @Test func whatEthernetPadsIsTaken() throws {
        // Any bytes: some drivers pad with what was there.
        #expect(try read(standardThird + [UInt8](repeating: 0xAA, count: 10)) == third)
        #expect(throws: VRRPRefusal.long(27)) { try read(standardThird + [UInt8](repeating: 0, count: 11)) }
        #expect(throws: VRRPRefusal.long(27)) { try read(keepalivedSecond + [0, 0, 0]) }
    }

    @Test func everyRefusalIsNamed() {
        func changed(_ bytes: [UInt8], _ places: [Int: UInt8]) -> [UInt8] {
            var bytes = bytes
            for (place, value) in places { bytes[place] = value }
            // A right checksum, so that it is the change that is found.
            bytes[6] = 0
            bytes[7] = 0
            var sum = stride(from: 0, to: bytes.count, by: 2).reduce(0) {
                $0 + Int(bytes[$1]) << 8 + Int(bytes[$1 + 1])
            }
            while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
            bytes[6] = UInt8(~sum >> 8 & 255)
            bytes[7] = UInt8(~sum & 255)
            return bytes
        }
        let cases: [([UInt8], UInt8, VRRPRefusal)] = [
            (standardThird, 254, .hopLimit(254)),
            ([], 255, .short(0)),
            ([UInt8](standardThird.prefix(7)), 255, .short(7)),
            ([UInt8](standardThird.prefix(15)), 255, .short(15)),
            ([UInt8](keepalivedSecond.prefix(20)), 255, .short(20)),
            (changed(standardThird, [0: 0x41]), 255, .version(4)),
            (changed(standardThird, [0: 0x32]), 255, .type(2)),
            (changed(standardThird, [1: 0]), 255, .routerID),
            (changed([UInt8](standardThird.prefix(8)), [3: 0]), 255, .noAddresses),
            (changed(standardThird, [5: 0]), 255, .interval(0)),
            (changed(keepalivedSecond, [4: 1]), 255, .authentication(1)),
            (changed(keepalivedSecond, [5: 0]), 255, .interval(0)),
        ]
        for (bytes, hopLimit, refusal) in cases {
            #expect(throws: refusal) { try read(bytes, hopLimit: hopLimit) }
        }
        for place in standardThird.indices where place > 3 {
            var wrong = standardThird
            wrong[place] ^= 0x10
            #expect(throws: VRRPRefusal.checksum) { try read(wrong) }
        }
        let own = address("fe80::1")
        #expect(throws: VRRPRefusal.version(2)) { try read(keepalivedSecond, from: own, to: own) }
        #expect(throws: VRRPRefusal.version(3)) { try read(standardThird, to: own) }
    }

    @Test func reservedBitsAreNotLookedAt() throws {
        var sent = standardThird
        sent[4] = 0xF0
        // The checksum is less by what was added.
        sent[6] = 0xF5
        sent[7] = 0xF4
        #expect(try read(sent) == third)
    }

    @Test func whatIsWrittenIsReadAlike() throws {
        var random = SplitMix64(seed: 3)
        for _ in 0..<500 {
            let version = VRRPVersion.allCases.randomElement(using: &random) ?? .three
            let isSix = version == .three && Bool.random(using: &random)
            func any() -> IPAddress {
                IPAddress(bytes: (0..<(isSix ? 16 : 4)).map { _ in UInt8.random(in: 0...255, using: &random) })
                    ?? source
            }
            let word = VRRPAdvertisement(
                version: version, routerID: .random(in: 1...255, using: &random),
                priority: .random(in: 0...255, using: &random),
                centiseconds: version == .two
                    ? Int.random(in: 1...255, using: &random) * 100 : Int.random(in: 1...4095, using: &random),
                addresses: (0..<Int.random(in: 1...20, using: &random)).map { _ in any() })
            let (from, to) = (any(), any())
            for form in VRRPChecksum.allCases {
                let packet = VRRPPacket(
                    source: from, destination: to, hopLimit: 255,
                    bytes: word.encoded(from: from, to: to, checksum: form))
                #expect(try VRRPAdvertisement(packet) == word)
            }
        }
    }

    @Test func fuzzedPacketsNeverTrap() {
        var random = SplitMix64(seed: Fuzz.seed(61))
        let settings = VirtualRouterSettings(
            routerID: 51, priority: 100, centiseconds: 10, addresses: addresses, ownAddress: address("192.0.2.9"))
        var router = VirtualRouter(settings)
        var now = MonotonicTime(nanoseconds: 1)
        _ = router.step(.start, at: now)
        for _ in 0..<Fuzz.runs(20_000) {
            let good = [keepalivedSecond, keepalivedThird, keepalivedSixth, standardThird]
            let isSix = Bool.random(using: &random)
            let packet = VRRPPacket(
                source: isSix ? address("fe80::1") : source, destination: isSix ? address("ff02::12") : group,
                hopLimit: Int.random(in: 0..<8, using: &random) == 0 ? 254 : 255,
                bytes: Fuzz.spoiled(good.randomElement(using: &random) ?? [], &random))
            _ = try? VRRPAdvertisement(packet)
            now = now + .milliseconds(Int.random(in: 0..<40, using: &random))
            _ = router.step(.fit(until: now + .seconds(1)), at: now)
            _ = router.step(.packet(packet), at: now)
            _ = router.step(.clock, at: now)
        }
    }

    @Test func announcementsAreFramesAsKeepalivedSendsThem() throws {
        let hardware = try #require(HardwareAddress("8e:96:05:ae:58:4d"))
        let four = AddressAnnouncement.frames(address("192.0.2.100"), at: hardware)
        #expect(
            four == [
                bytes(
                    "ffffffffffff8e9605ae584d080600010800060400018e9605ae584dc0000264ffffffffffffc0000264"),
                bytes(
                    "ffffffffffff8e9605ae584d080600010800060400028e9605ae584dc0000264ffffffffffffc0000264"),
            ])
        #expect(
            AddressAnnouncement.frames(address("2001:db8::100"), at: hardware) == [
                bytes(
                    "3333000000018e9605ae584d86dd6000000000203aff20010db8000000000000000000000100"
                        + "ff02000000000000000000000000000188000c9c2000000020010db8000000000000000000000100"
                        + "02018e9605ae584d")
            ])
    }
}
