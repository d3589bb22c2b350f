import MartletEtcdMessages
import MartletHTTP
import MartletStore
import SwiftProtobuf
import Testing

@testable import MartletEtcd

@Suite(.timeLimit(.minutes(1))) struct Watches {
    @Test func changesArriveInOrder() async throws {
        try await withEtcd { etcd in
            let watching = try Watching(etcd)
            try await watching.create("a", to: "b") { $0.prevKv = true }
            let created = try await watching.next()
            #expect(created.created && !created.canceled && created.watchID == 0 && created.header.revision == 1)
            try await etcd.put("a1", "x")
            try await etcd.put("b", "outside")
            try await etcd.put("a1", "y")
            try await etcd.delete("a1")
            #expect(try await watching.events(3) == ["PUT a1=x", "PUT a1=y", "DELETE a1"])
        }
    }

    @Test func manyWatchesOfOneStreamAreToldApart() async throws {
        try await withEtcd { etcd in
            let watching = try Watching(etcd)
            try await watching.create("a")
            #expect(try await watching.next().watchID == 0)
            try await watching.create("a") {
                $0.watchID = 77
                $0.filters = [.noput]
            }
            #expect(try await watching.next().watchID == 77)
            try await watching.create("a") { $0.watchID = 77 }
            let duplicate = try await watching.next()
            #expect(duplicate.watchID == -1 && duplicate.created && duplicate.canceled)
            #expect(duplicate.cancelReason == "mvcc: duplicate watch ID provided on the WatchStream")
            try await watching.create("b", to: "a")
            #expect(try await watching.next().cancelReason == "mvcc: watcher range is empty")
            try await etcd.put("a", "1")
            let put = try await watching.next()
            #expect(put.watchID == 0 && put.events.count == 1 && put.header.revision == 2)
            try await etcd.delete("a")
            #expect(Set([try await watching.next().watchID, try await watching.next().watchID]) == [0, 77])
            try await watching.send { $0.cancelRequest.watchID = 0 }
            let canceled = try await watching.next()
            #expect(canceled.canceled && canceled.watchID == 0)
            try await etcd.put("a", "2")
            try await etcd.delete("a")
            let last = try await watching.next()
            #expect(last.watchID == 77 && last.events.map(\.type) == [.delete])
        }
    }

    @Test func thePastIsToldBeforeThePresent() async throws {
        var limits = EtcdLimits()
        limits.eventsPerStep = 10
        limits.scannedRevisions = 7
        try await withEtcd(limits: limits) { etcd in
            for number in 0..<100 { try await etcd.put("k\(number % 3)", "\(number)") }
            let watching = try Watching(etcd)
            try await watching.create("k", to: "l") { $0.startRevision = 2 }
            #expect(try await watching.next().created)
            for number in 100..<200 { try await etcd.put("k\(number % 3)", "\(number)") }
            #expect(try await watching.events(200) == (0..<200).map { "PUT k\($0 % 3)=\($0)" })
        }
    }

    @Test func theFutureIsAwaited() async throws {
        try await withEtcd { etcd in
            let watching = try Watching(etcd)
            try await watching.create("k") { $0.startRevision = 4 }
            #expect(try await watching.next().created)
            for number in 2...5 { try await etcd.put("k", "\(number)") }
            #expect(try await watching.events(2) == ["PUT k=4", "PUT k=5"])
        }
    }

    @Test func theForgottenIsToldWithTheOldestThatIsLeft() async throws {
        try await withEtcd { etcd in
            for number in 2...9 { try await etcd.put("k", "\(number)") }
            try await etcd.run("KV/Compact", EtcdCompactionRequest.with { $0.revision = 6 })
            let watching = try Watching(etcd)
            try await watching.create("k") { $0.startRevision = 3 }
            #expect(try await watching.next().created)
            let over = try await watching.next()
            #expect(over.canceled && over.compactRevision == 6 && over.watchID == 0)
            // The revision that is told can be watched from.
            try await watching.create("k") { $0.startRevision = over.compactRevision }
            #expect(try await watching.next().created)
            #expect(try await watching.events(4) == ["PUT k=6", "PUT k=7", "PUT k=8", "PUT k=9"])
        }
    }

    @Test func progressIsToldWhenAskedFor() async throws {
        try await withEtcd { etcd in
            let watching = try Watching(etcd)
            try await watching.create("k")
            #expect(try await watching.next().created)
            try await etcd.put("other", "1")
            try await watching.send { $0.progressRequest = EtcdWatchProgressRequest() }
            let progress = try await watching.next()
            #expect(progress.watchID == -1 && progress.header.revision == 2 && progress.events.isEmpty)
        }
    }

    @Test func quietWatchesAreToldOfProgressByTheClock() async throws {
        var limits = EtcdLimits()
        limits.progressInterval = .milliseconds(100)
        try await withEtcd(limits: limits) { etcd in
            let watching = try Watching(etcd)
            try await watching.create("k") { $0.progressNotify = true }
            #expect(try await watching.next().created)
            let progress = try await watching.next()
            #expect(progress.events.isEmpty && progress.watchID == 0 && !progress.canceled)
        }
    }

    @Test func aSlowClientMissesNothing() async throws {
        try await withEtcd { etcd in
            let watching = try Watching(etcd)
            try await watching.create("k") { $0.watchID = 5 }
            #expect(try await watching.next().created)
            let value = String(repeating: "v", count: 100_000)
            // More than the stream and the connection hold while nobody reads.
            for number in 0..<120 { try await etcd.put("k", "\(number) " + value) }
            var seen: [Int] = []
            while seen.count < 120 {
                for event in try await watching.next().events {
                    seen.append(Int(text(event.kv.value).split(separator: " ")[0]) ?? -1)
                }
            }
            #expect(seen == Array(0..<120))
        }
    }

    @Test func aLargeRevisionIsDividedWhereTheWatchAllowsIt() async throws {
        var limits = EtcdLimits()
        limits.watchMessage = 10_000
        limits.request = 60_000
        try await withEtcd(limits: limits) { etcd in
            let whole = try Watching(etcd)
            try await whole.create("k", to: "l")
            #expect(try await whole.next().created)
            let divided = try Watching(etcd)
            try await divided.create("k", to: "l") {
                $0.fragment = true
                $0.startRevision = 2
            }
            #expect(try await divided.next().created)
            let transaction = EtcdTxnRequest.with { txn in
                txn.success = (0..<10).map { number in
                    .with {
                        $0.requestPut.key = bytes("k\(number)")
                        $0.requestPut.value = protobufBytes(Array(repeating: 1, count: 5000))
                    }
                }
            }
            _ = try await etcd.call("KV/Txn", transaction, EtcdTxnResponse.self)
            #expect(try await whole.next().events.count == 10)
            // From the history, as a late watch reads it.
            let late = try Watching(etcd)
            try await late.create("k", to: "l") {
                $0.fragment = true
                $0.startRevision = 2
            }
            #expect(try await late.next().created)
            var parts: [EtcdWatchResponse] = []
            repeat { parts.append(try await late.next()) } while parts.last?.fragment == true
            #expect(parts.count > 2 && parts.flatMap(\.events).count == 10)
            #expect(Set(parts.map(\.header.revision)) == [2])
        }
    }

    @Test func theHubRestsWhenNobodyWatches() async throws {
        try await withEtcd { etcd in
            for _ in 0..<3 {
                let watching = try Watching(etcd)
                try await watching.create("k")
                #expect(try await watching.next().created)
                try await etcd.put("k", "1")
                #expect(try await watching.events(1) == ["PUT k=1"])
                watching.stream.cancel()
                try await etcd.put("k", "unseen")
            }
        }
    }
}

@Suite struct RangeIndexTests {
    final class Name: Sendable {
        let range: KeyRange
        init(_ range: KeyRange) { self.range = range }
    }

    @Test func itFindsWhatALookAtEachRangeFinds() {
        var random = SystemRandomNumberGenerator()
        var index = RangeIndex<Name>()
        var all: [KeyRange] = []
        func key() -> [UInt8] { (0..<Int.random(in: 1...3, using: &random)).map { _ in .random(in: 0...3) } }
        for round in 0..<300 {
            let range: KeyRange =
                switch round % 4 {
                case 0: KeyRange(key: key())
                case 1: KeyRange(prefix: key())
                case 2: KeyRange(from: key(), to: [])
                default: KeyRange(from: key(), to: key())
                }
            if index[range] == nil {
                index.insert(Name(range), for: range)
                all.append(range)
            }
            if round % 5 == 4, let gone = all.randomElement() {
                index.remove(gone)
                all.removeAll { $0 == gone }
            }
            let wanted = key()
            var found: Set<KeyRange> = []
            index.forEach(containing: wanted) { found.insert($0.range) }
            #expect(found == Set(all.filter { $0.contains(wanted) }))
        }
    }
}
