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

    /// What is encoded once for many is what each alone is owed, whoever falls behind when.
    @Test func slowWatchesOfOneStreamSeeTheirOwnChangesAndAllOfThem() async throws {
        try await withEtcd { etcd in
            let watching = try Watching(etcd)
            var random = SystemRandomNumberGenerator()
            let names = ["a", "b", "c", "d", "e"]
            var watched: [Int64: ClosedRange<String>] = [:]
            for id in Int64(1)...30 {
                let from = names[Int.random(in: 0..<5, using: &random)]
                watched[id] = from...(id % 3 == 0 ? from : "e")
                try await watching.create(from, to: id % 3 == 0 ? nil : "f") {
                    $0.watchID = id
                    $0.prevKv = id % 4 == 0
                    $0.fragment = id % 2 == 0
                    if id % 5 == 0 { $0.filters = [.nodelete] }
                }
                #expect(try await watching.next().watchID == id)
            }
            var owed: [Int64: [String]] = [:]
            let padding = String(repeating: "v", count: 20_000)
            for number in 0..<150 {
                let key = names[Int.random(in: 0..<5, using: &random)]
                let isDeletion = number % 7 == 6
                if isDeletion { try await etcd.put(key, "") }
                let revision =
                    isDeletion
                    ? try await etcd.delete(key).header.revision
                    : try await etcd.put(key, "\(number)" + padding).header.revision
                for (id, range) in watched where range.contains(key) {
                    if isDeletion { owed[id, default: []].append("PUT \(key) \(revision - 1)") }
                    if isDeletion, id % 5 == 0 { continue }
                    owed[id, default: []].append("\(isDeletion ? "DELETE" : "PUT") \(key) \(revision)")
                }
            }
            var seen: [Int64: [String]] = [:]
            for _ in 0..<owed.values.joined().count where seen != owed {
                let response = try await watching.next()
                for event in response.events {
                    let kind = event.type == .put ? "PUT" : "DELETE"
                    let line = "\(kind) \(text(event.kv.key)) \(event.kv.modRevision)"
                    seen[response.watchID, default: []].append(line)
                    #expect(response.watchID % 4 == 0 || !event.hasPrevKv)
                }
            }
            #expect(seen == owed)
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
