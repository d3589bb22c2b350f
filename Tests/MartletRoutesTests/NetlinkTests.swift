import FuzzSupport
import MartletBase
import MartletRoutes
import Testing

/// Messages as the kernel would write them, put together by hand.
private enum Kernel {
    static func host<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    static func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
        let bytes = host(UInt16(payload.count + 4)) + host(type) + payload
        return bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }

    static func message(_ type: UInt16, flags: UInt16 = 0, sequence: UInt32 = 7, _ payload: [UInt8]) -> [UInt8] {
        let bytes =
            host(UInt32(16 + payload.count)) + host(type) + host(flags) + host(sequence) + host(UInt32(0)) + payload
        return bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }

    static let done = message(3, host(Int32(0)))
    static func error(_ code: Int32, _ words: String = "", sequence: UInt32 = 7) -> [UInt8] {
        let echo = [UInt8](repeating: 0, count: 16)
        return message(
            2, flags: words.isEmpty ? 0x100 : 0x300, sequence: sequence,
            host(-code) + echo + (words.isEmpty ? [] : attribute(1, Array(words.utf8) + [0])))
    }

    static let vxlan = message(
        16,
        [0, 0, 1, 0] + host(Int32(5)) + host(UInt32(1)) + host(UInt32(0)) + attribute(3, Array("flannel.1".utf8) + [0])
            + attribute(4, host(UInt32(1450))) + attribute(1, [2, 1, 2, 3, 4, 5])
            + attribute(
                18,
                attribute(1, Array("vxlan".utf8) + [0])
                    + attribute(
                        2,
                        attribute(1, host(UInt32(1))) + attribute(4, [192, 168, 57, 21]) + attribute(7, [0])
                            + attribute(15, [0x21, 0x18]) + attribute(3, host(Int32(2))))))
    static let route = message(
        24,
        [2, 24, 0, 0, 254, 77, 0, 1] + host(UInt32(4)) + attribute(1, [10, 244, 1, 0]) + attribute(4, host(Int32(5)))
            + attribute(5, [10, 244, 1, 0]))
}

@Suite struct NetlinkTests {
    private func answered(_ request: NetlinkRequest, _ parts: [UInt8]...) throws -> [NetlinkMessage] {
        var reply = NetlinkReply(to: request, sequence: 7)
        for part in parts { try reply.take(part) }
        #expect(reply.isComplete)
        return reply.messages
    }

    @Test func aDeviceIsRead() throws {
        let link = try #require(
            try answered(.listLinks, Kernel.vxlan + Kernel.done).compactMap { try NetworkLink($0) }.first)
        #expect(link.name == "flannel.1" && link.index == 5 && link.mtu == 1450 && link.isUp && link.kind == "vxlan")
        #expect(link.hardwareAddress?.description == "02:01:02:03:04:05")
        let expected = VXLANSettings(id: 1, port: 8472, local: IPAddress("192.168.57.21"), isLearning: false, uplink: 2)
        #expect(link.vxlan == expected)
    }

    @Test func aRouteIsRead() throws {
        let routes = try answered(.listRoutes(.ipv4), Kernel.route, Kernel.done).compactMap { try NetworkRoute($0) }
        let range = try #require(IPRange("10.244.1.0/24"))
        #expect(routes == [NetworkRoute(destination: range, gateway: range.base, link: 5, isOnLink: true)])
    }

    @Test func aRefusalNamesWhatWasAskedAndTheKernelsWords() throws {
        let refusal = #expect(throws: NetlinkError.self) {
            try answered(.getLink("martlet0"), Kernel.error(17, "Name taken"))
        }
        #expect(refusal?.description == "look up the device martlet0: File exists (Name taken)")
        #expect(refusal?.isPresent == true && refusal?.isAbsent == false)
    }

    @Test func aListThatChangedWhileItWasReadIsToBeReadAgain() throws {
        #expect(throws: NetlinkError.interrupted("list the network devices")) {
            try answered(.listLinks, Kernel.message(16, flags: 0x12, [UInt8](repeating: 0, count: 16)), Kernel.done)
        }
    }

    @Test func answersToOtherQuestionsArePassedOver() throws {
        #expect(try answered(.listLinks, Kernel.error(1, sequence: 6), Kernel.vxlan, Kernel.done).count == 1)
    }

    @Test func aTransactionEndsWithItsFirstRefusalOrItsLastAcknowledgement() throws {
        let transaction = NftTransaction(
            .ipv4, table: "t", [.addTable, .addChain(NftChain("c", [[.verdict(.drop)]])), .removeChain("x")])
        let batch = NftBatch(transaction, sequence: 7)
        // Begin is 7, then the table, the chain, its rule and the removal.
        #expect(batch.lastSequence == 11 && batch.endSequence == 13)
        var good = NftCommit(batch)
        try good.take(Kernel.error(0, sequence: 11))
        #expect(good.isComplete)
        try good.check()
        var bad = NftCommit(batch)
        try bad.take(Kernel.error(2, sequence: 10) + Kernel.error(22, sequence: 11))
        try bad.take(Kernel.error(1, sequence: 99))
        let refusal = #expect(throws: NetlinkError.self) { try bad.check() }
        #expect(refusal?.description == "add a rule to the chain c: No such file or directory")
    }

    @Test func hardwareAddressesFollowFromNamesAndAreLocal() {
        let one = HardwareAddress(from: "worker1/1")
        #expect(one == HardwareAddress(from: "worker1/1") && one != HardwareAddress(from: "worker2/1"))
        #expect(one.bytes[0] & 3 == 2)
        #expect(HardwareAddress(one.description) == one)
        for text in ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "2g:00:00:00:00:00", "02-00-00-00-00-00"] {
            #expect(HardwareAddress(text) == nil)
        }
    }

    @Test func fuzzedAnswersNeverTrap() {
        var random = SplitMix64(seed: Fuzz.seed(5))
        let element = Kernel.attribute(
            1,
            Kernel.attribute(1, Kernel.attribute(1, [1, 2, 3, 4])) + Kernel.attribute(2, Kernel.attribute(2, [0, 8])))
        let tuple = Kernel.attribute(1, Kernel.attribute(1, [1, 2, 3, 4]) + Kernel.attribute(2, [1, 2, 3, 4]))
        let ports = Kernel.attribute(
            2, Kernel.attribute(1, [17]) + Kernel.attribute(2, [0, 53]) + Kernel.attribute(3, [0, 53]))
        let good: [[UInt8]] = [
            Kernel.vxlan + Kernel.done, Kernel.route, Kernel.error(17, "Name taken"),
            Kernel.message(20, [2, 24, 0, 0] + Kernel.host(Int32(2)) + Kernel.attribute(2, [10, 0, 0, 1])),
            Kernel.message(
                28,
                [2, 0, 0, 0] + Kernel.host(Int32(2)) + [128, 0, 0, 0] + Kernel.attribute(1, [10, 0, 0, 1])
                    + Kernel.attribute(2, [2, 0, 0, 0, 0, 1])),
            Kernel.message(0xA0C, [2, 0, 0, 0] + Kernel.attribute(3, element + element)),
            Kernel.message(0xA03, [2, 0, 0, 0] + Kernel.attribute(1, [65, 0]) + Kernel.attribute(3, [66, 0])),
            Kernel.message(
                0x100, [2, 0, 0, 0] + Kernel.attribute(1, tuple + ports) + Kernel.attribute(2, tuple + ports)),
        ]
        let batch = NftBatch(NftTransaction(.ipv4, table: "t", [.addTable]), sequence: 7)
        for _ in 0..<Fuzz.runs(20_000) {
            let bytes = Fuzz.spoiled(good.randomElement(using: &random) ?? [], &random)
            var reply = NetlinkReply(to: .listLinks, sequence: 7)
            try? reply.take(bytes)
            var commit = NftCommit(batch)
            try? commit.take(bytes)
            for message in (try? NetlinkMessage.parse(bytes)) ?? [] {
                _ = try? NetworkLink(message)
                _ = try? LinkAddress(message)
                _ = try? NetworkRoute(message)
                _ = try? NetworkNeighbour(message)
                _ = try? TrackedConnection(message)
                _ = try? NftListing.elements(message)
                _ = try? NftListing.chain(message)
                _ = try? NftListing.rule(message)
                _ = try? NftListing.table(message)
                _ = try? NftListing.generation(message)
            }
        }
    }
}
