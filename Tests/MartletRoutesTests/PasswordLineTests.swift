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

@Suite("Passwords: one hash for all that come with the same pair") struct PasswordDeskTests {
    private let web = RouteOrigin(kind: "Ingress", namespace: "n", name: "web")
    private let start = MonotonicTime(nanoseconds: 1)

    private func come(_ desk: inout PasswordDesk, _ ticket: Int, _ pair: UInt8, client: Int = 0) -> [Int: PasswordDesk
        .Word]
    {
        desk.come(ticket, with: [pair], of: IPAddress(ipv4: UInt32(0x0A00_0000 + client)), to: web, at: start)
    }

    @Test func whoComesWithThePairOfAnotherHearsWhatThatOneFound() {
        var desk = PasswordDesk()
        #expect(come(&desk, 1, 7) == [1: .look])
        for ticket in 2...20 { #expect(come(&desk, ticket, 7, client: ticket) == [:], "they take no place in line") }
        #expect(come(&desk, 21, 8) == [:])
        var words = desk.end(1, .good, at: start)
        #expect(words.removeValue(forKey: 21) == .look)
        #expect(words.count == 20 && words.values.allSatisfy { $0 == .verdict(.good) })
        #expect(come(&desk, 22, 7) == [22: .verdict(.good)], "it is remembered")
        #expect(come(&desk, 23, 8) == [:])
        #expect(desk.end(21, .bad, at: start) == [21: .verdict(.bad), 23: .verdict(.bad)])
        #expect(come(&desk, 24, 8) == [24: .look], "what is bad is not")
    }

    @Test func whoMayNotWaitHearsItAndTheNextOneLooks() {
        var desk = PasswordDesk()
        for ticket in 1...PasswordLine.mostOfOne { _ = come(&desk, ticket, UInt8(ticket)) }
        let refused = come(&desk, 100, 100)
        #expect(refused == [100: .verdict(.unknown(.tooManyOfOne))])
        #expect(come(&desk, 101, 100, client: 1) == [:], "nobody looks at that pair yet")
        #expect(desk.end(1, .unknown(.full), at: start) == [1: .verdict(.unknown(.full)), 2: .look])
    }

    @Test func whoGivesWayToAnotherTakesThoseAlongThatCameWithItsPair() {
        var desk = PasswordDesk()
        _ = come(&desk, 0, 0)
        for number in 1...PasswordLine.most { _ = come(&desk, number, UInt8(number), client: number) }
        let last = PasswordLine.most
        #expect(come(&desk, 1000, UInt8(last), client: 200) == [:])
        let shop = RouteOrigin(kind: "Ingress", namespace: "n", name: "shop")
        let words = desk.come(1001, with: [255], of: nil, to: shop, at: start)
        #expect(words == [last: .verdict(.unknown(.full)), 1000: .verdict(.unknown(.full))])
    }

    @Test func aGoodPairIsForgottenWhenNobodyComesWithIt() {
        var desk = PasswordDesk()
        _ = come(&desk, 1, 1)
        _ = desk.end(1, .good, at: start)
        let (early, late) = (start + .seconds(599), start + .seconds(1199))
        var isKnown = desk.recall([1], at: early)
        #expect(isKnown)
        isKnown = desk.recall([1], at: late)
        #expect(!isKnown)
    }

    @Test func ofManyGoodPairsTheOneThatNobodyCameWithForTheLongestGoes() {
        var desk = PasswordDesk()
        func mark(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
        for number in 0...PasswordDesk.memory {
            let now = start + .milliseconds(number)
            let words = desk.come(number, with: mark(number), of: nil, to: web, at: now)
            if words != [number: .look] { Issue.record("\(number): \(words)") }
            _ = desk.end(number, .good, at: now)
        }
        let now = start + .seconds(10)
        let known = (0...PasswordDesk.memory).map { desk.recall(mark($0), at: now) }
        #expect(!known[0] && !known.dropFirst().contains(false))
    }
}
