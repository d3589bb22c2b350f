import MartletBase
import Testing

@testable import MartletRoutes

@Suite("Passwords: who is checked when") struct PasswordLineTests {
    private func route(_ name: String) -> RouteOrigin { RouteOrigin(kind: "Ingress", namespace: "n", name: name) }
    private func client(_ number: Int) -> IPAddress { IPAddress(ipv4: UInt32(0x0A00_0000 + number)) }

    private func order(_ line: inout PasswordLine) -> [Int] {
        var order: [Int] = []
        while let ticket = line.next() { order.append(ticket) }
        return order
    }

    @Test func oneIsCheckedAtATimeAndOthersFollow() {
        var line = PasswordLine()
        #expect(line.join(1, of: client(1), to: route("a")) == .turn)
        #expect(line.join(2, of: client(1), to: route("a")) == .waits(inPlaceOf: nil))
        #expect(line.join(3, of: nil, to: route("a")) == .waits(inPlaceOf: nil))
        #expect(order(&line) == [2, 3])
        #expect(line.join(4, of: client(1), to: route("a")) == .turn)
        #expect(line.next() == nil)
    }

    @Test func routesAndTheirClientsTakeTurns() {
        var line = PasswordLine()
        _ = line.join(0, of: client(0), to: route("a"))
        for ticket in 1...3 { _ = line.join(ticket, of: client(1), to: route("a")) }
        _ = line.join(4, of: client(2), to: route("a"))
        _ = line.join(5, of: client(3), to: route("b"))
        #expect(order(&line) == [1, 5, 4, 2, 3])
    }

    @Test func oneClientHasNotMoreThanItsShare() {
        var line = PasswordLine()
        for ticket in 1...PasswordLine.mostOfOne { _ = line.join(ticket, of: client(1), to: route("\(ticket)")) }
        #expect(line.join(100, of: client(1), to: route("z")) == .refused(.tooManyOfOne))
        #expect(line.join(101, of: client(2), to: route("z")) == .waits(inPlaceOf: nil))
        _ = line.next()
        #expect(line.join(102, of: client(1), to: route("z")) == .waits(inPlaceOf: nil))
    }

    @Test func aNetworkOfIPv6IsOneClient() throws {
        var line = PasswordLine()
        for ticket in 1...PasswordLine.mostOfOne {
            let address = try #require(IPAddress("2001:db8::\(ticket)"))
            #expect(line.join(ticket, of: address, to: route("a")) != .refused(.tooManyOfOne))
        }
        #expect(line.join(100, of: IPAddress("2001:db8::ffff"), to: route("a")) == .refused(.tooManyOfOne))
        #expect(line.join(101, of: IPAddress("2001:db8:0:1::1"), to: route("a")) == .waits(inPlaceOf: nil))
    }

    @Test func aFloodAtOneHostGivesWayToOthers() {
        var line = PasswordLine()
        _ = line.join(0, of: client(0), to: route("a"))
        for ticket in 1...PasswordLine.most { _ = line.join(ticket, of: client(ticket), to: route("a")) }
        #expect(line.join(1000, of: client(1000), to: route("a")) == .refused(.full))
        #expect(line.join(1001, of: client(1001), to: route("b")) == .waits(inPlaceOf: PasswordLine.most))
        // Whoever has two in line there makes room for whoever has one.
        #expect(line.next() == 1)
        #expect(line.join(1002, of: client(2), to: route("a")) == .waits(inPlaceOf: nil))
        #expect(line.join(1003, of: client(1003), to: route("a")) == .waits(inPlaceOf: 1002))
        #expect(line.next() == 1001)
        #expect(order(&line).count == PasswordLine.most - 1)
    }
}
