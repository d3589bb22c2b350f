import MartletBase
import Testing

@testable import MartletRaft

@Suite struct AGroupOfOne {
    @Test func leadsAfterItsOwnVoteIsDurableAndCommitsWhatIsDurable() {
        var group = Group("a")
        group.tick("a")
        #expect(group.look() == ["a candidate 1"])
        group.propose("a", "too early")
        #expect(group.look() == ["a refuses"])
        group.sync("a", 1)
        #expect(group.look() == ["a leader 1"])
        group.propose("a", "x")
        group.propose("a", "y")
        #expect(group.look() == [])
        group.sync("a", 1)
        #expect(group.look() == ["a applies 1:-"])
        group.sync("a")
        #expect(group.look() == ["a applies 2:x", "a applies 3:y"])
    }

    @Test func comesBackInALaterTermWithAllThatWasDurable() {
        var group = Group("a")
        group.tick("a")
        group.sync("a", 2)
        group.propose("a", "x")
        group.sync("a")
        group.propose("a", "lost")
        group.crash("a")
        group.restart("a")
        _ = group.look()
        group.tick("a")
        group.sync("a")
        // That the first was committed stood on the disk already; the rest is decided anew.
        #expect(group.look() == ["a candidate 2", "a applies 1:-", "a leader 2", "a applies 2:x 3:-"])
    }
}

@Suite struct AGroupOfThree {
    /// a leads in term 1 and all have its first entry.
    private func led() -> Group {
        var group = Group("abc")
        group.stand("a")
        group.settle()
        group.tick("a")
        group.settle()
        _ = group.look()
        return group
    }

    @Test func electsWhoAsksFirst() {
        var group = Group("abc")
        group.stand("a")
        #expect(group.look() == ["a candidate 1"], "it asks nobody before its own vote is durable")
        group.sync("a")
        #expect(group.look() == ["a>b vote? 0/0", "a>c vote? 0/0"])
        group.deliver("a", "b")
        #expect(group.look() == ["b follower 1"], "a vote is not given before it is durable")
        group.sync("b")
        #expect(group.look() == ["b>a yes"])
        group.deliver("b", "a")
        #expect(group.look() == ["a leader 1", "a>b after 0/0 1:- commit 0", "a>c after 0/0 1:- commit 0"])
    }

    @Test func givesOneVoteATermEvenAcrossACrash() {
        var group = Group("abc")
        group.stand("a")
        group.stand("c")
        group.sync("a")
        group.sync("c")
        group.deliver("a", "b")
        group.sync("b")
        group.crash("b")
        group.restart("b")
        _ = group.look()
        group.deliver("c", "b")
        #expect(group.look() == ["b>c no"])
    }

    @Test func refusesALeaderWithAnOlderLog() {
        var group = led()
        group.crash("c")
        group.propose("a", "x")
        group.settle()
        group.restart("c")
        group.stand("c")
        group.sync("c")
        _ = group.look()
        group.deliver("c", "b")
        group.sync("b")
        #expect(group.look() == ["b follower 2", "b>c no"])
        group.settle()
        #expect(group.members["c"]?.core.role != .leader)
    }

    @Test func commitsByTheFollowersDisksWhileTheLeadersIsBusy() {
        var group = led()
        group.propose("a", "x")
        #expect(group.look() == ["a>b after 1/1 2:x commit 1", "a>c after 1/1 2:x commit 1"])
        group.deliver("a", "b")
        group.deliver("a", "c")
        #expect(group.look() == [], "followers promise nothing before their disks are done")
        group.sync("b")
        group.deliver("b", "a")
        #expect(group.look() == ["b>a has 2"], "one disk of three is no quorum")
        group.sync("c")
        group.deliver("c", "a")
        #expect(group.look() == ["c>a has 2", "a applies 2:x"])
        #expect(group.members["a"]?.core.durable == 1)
    }

    @Test func bringsAFollowerBackThatMissedMessages() {
        var group = led()
        for text in ["x", "y", "z"] {
            group.propose("a", text)
            group.lose("c")
            group.settle()
        }
        #expect(group.log("c") == [1])
        for _ in 0..<3 {
            group.tick("a")
            group.settle()
        }
        #expect(group.log("c") == [1, 1, 1, 1])
        #expect(group.members["c"]?.applied == group.members["a"]?.applied)
    }

    @Test func losesALeaderAndGoesOnUnderTheNext() {
        var group = led()
        group.propose("a", "x")
        group.crash("a")
        group.lose("a")
        group.stand("b")
        group.settle()
        group.propose("b", "y")
        group.settle()
        group.restart("a")
        for _ in 0..<3 {
            group.tick("b")
            group.settle()
        }
        #expect(group.log("a") == [1, 2, 2] && group.log("c") == [1, 2, 2])
        #expect(group.members["a"]?.applied == group.members["c"]?.applied)
    }
}

@Suite struct TheFiguresOfThePaper {
    @Test func figure7EveryFollowersLogBecomesTheLeaders() {
        var group = Group("Labcdef")
        let logs: [(Character, [UInt64])] = [
            ("L", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]), ("a", [1, 1, 1, 4, 4, 5, 5, 6, 6]), ("b", [1, 1, 1, 4]),
            ("c", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]), ("d", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
            ("e", [1, 1, 1, 4, 4, 4, 4]), ("f", [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
        ]
        for (name, log) in logs { group.begin(name, term: 7, entriesOfTerms: log) }
        group.stand("L")
        group.settle()
        group.tick("L")
        group.settle()
        for (name, _) in logs {
            #expect(group.log(name) == [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 8], "\(name)")
            #expect(group.members[name]?.applied.count == 11, "\(name)")
        }
    }

    /// The state of (c): the entry of term 2 is on a majority, and its leader of term 4 has sent nothing of its own.
    private func figure8() -> Group {
        var group = Group("12345", messageBytes: 1)
        for name in "345" { group.begin(name, term: 2, entriesOfTerms: [1]) }
        for name in "12" { group.begin(name, term: 2, entriesOfTerms: [1, 2]) }
        group.begin("5", term: 3, entriesOfTerms: [1, 3])
        group.crash("5")
        for name in "34" { group.begin(name, term: 3, entriesOfTerms: [1]) }
        group.stand("1")
        group.stand("1")
        group.sync("1")
        for name in "23" {
            group.deliver("1", name)
            group.sync(name)
            group.deliver(name, "1")
        }
        #expect(group.members["1"]?.core.role == .leader && group.members["1"]?.core.term == 4)
        // It stood twice: 4 has two requests for its vote before the new leader's first word.
        group.deliver("1", "4", 2)
        group.sync("4")
        group.deliver("4", "1")
        // 3 and 4 lack the entry of term 2: the leader's first word to them does not fit, the second does.
        for name in "34" {
            group.deliver("1", name, 1)
            group.sync(name)
            group.deliver(name, "1", 1)
            group.deliver("1", name, 1)
            group.sync(name)
        }
        return group
    }

    @Test func figure8AnEntryOfAnOlderTermIsNotCommittedByCounting() {
        var group = figure8()
        #expect(group.log("3") == [1, 2] && group.log("4") == [1, 2])
        group.sync("1")
        group.deliver("3", "1", 1)
        group.deliver("4", "1", 1)
        #expect(group.members["1"]?.applied == [], "1, 3 and 4 hold it, and still it is not committed")
        // (d): 5 may win and replace it.
        group.crash("1")
        group.lose()
        group.restart("5")
        for _ in 0..<3 where group.members["5"]?.core.role != .leader {
            group.stand("5")
            group.settle()
        }
        group.tick("5")
        group.settle()
        #expect(group.log("2").prefix(2) == [1, 3])
        #expect(group.members["2"]?.applied.prefix(2).map(\.term) == [1, 3])
    }

    @Test func figure8AnEntryOfTheLeadersTermCommitsAllBeforeIt() {
        var group = figure8()
        for _ in 0..<3 {
            group.tick("1")
            group.settle()
        }
        #expect(group.members["1"]?.applied.map(\.term) == [1, 2, 4])
        group.restart("5")
        group.stand("5")
        group.settle()
        #expect(group.members["5"]?.core.role != .leader)
    }
}

@Suite struct AGroupInABadNight {
    /// Members crash, messages are lost, doubled and overtaken, disks lag. What was applied must agree, always.
    @Test(arguments: UInt64(1)...60)
    func neverDisagrees(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var group = Group(seed % 2 == 0 ? "abc" : "abcde")
        var history: [RaftEntry] = []
        var proposals = 0
        func check(_ group: Group) {
            for member in group.members.values {
                let shared = min(history.count, member.applied.count)
                #expect(member.applied[..<shared] == history[..<shared])
                if member.applied.count > history.count { history = member.applied }
            }
        }
        for _ in 0..<1500 {
            let name = group.names[Int(random.next() % UInt64(group.names.count))]
            switch random.next() % 100 {
            case 0..<30: group.tick(name)
            case 30..<40:
                proposals += 1
                group.propose(name, "\(proposals)")
            case 40..<60: group.sync(name, Int(random.next() % 3))
            case 60..<62: group.crash(name, keeping: Int(random.next() % 3))
            case 62..<66: group.restart(name)
            default:
                guard !group.network.isEmpty else { continue }
                let chosen = Int(random.next() % UInt64(group.network.count))
                let message = group.network[chosen]
                let fate = random.next() % 20
                if fate > 0 { group.network.remove(at: chosen) }
                if group.network.count > 60 { group.network.removeFirst(20) }
                let to = Character(UnicodeScalar(UInt8(message.to.number)))
                if fate != 1 { group.step(to, .receive(message)) }
            }
            check(group)
        }
        #expect(group.leaders.values.allSatisfy { $0.count == 1 }, "one leader a term")
        for name in group.names { group.restart(name) }
        for _ in 0..<60 {
            for name in group.names { group.tick(name) }
            group.settle()
        }
        check(group)
        #expect(!history.isEmpty && group.members.values.allSatisfy { $0.applied == history }, "all end alike")
    }
}

@Suite struct TheRecordCodec {
    @Test func readsWhatItWroteAndNeverTrapsOnWhatItDidNot() throws {
        var random = SplitMix64(seed: 5)
        var mistakes = 0
        for _ in 0..<10_000 {
            let record: RaftRecord =
                random.next() % 2 == 0
                ? .entry(
                    RaftEntry(
                        index: random.next() >> 1 | 1, term: random.next(),
                        payload: (0..<random.next() % 9).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
                : .hardState(
                    HardState(term: random.next(), vote: MemberID(random.next() | 1), commit: random.next()))
            var bytes = record.encoded()
            if try RaftRecord(decoding: bytes) != record { mistakes += 1 }
            let place = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 3 {
            case 0: bytes.removeLast(place + 1)
            case 1: bytes.insert(UInt8(random.next() % 256), at: place)
            default: bytes[place] = UInt8(random.next() % 256)
            }
            if let read = try? RaftRecord(decoding: bytes), read.encoded() != bytes { mistakes += 1 }
        }
        #expect(mistakes == 0)
    }
}
