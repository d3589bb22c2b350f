import MartletBase
import MartletIO
import MartletObject
import MartletReplica
import Synchronization
import Testing

@testable import MartletGateway

@Suite struct WatchTests {
    @Test(.timeLimit(.minutes(1))) func changesArriveInTheirOrderAndAWatchResumesWhereAnotherEnded() async throws {
        try await TestAPI.run { api in
            let start = await api.get(Paths.configMaps).json["metadata", "resourceVersion"]?.string ?? ""
            let watch = await api.watch("\(Paths.configMaps)?watch=true&resourceVersion=\(start)")
            let first = await api.post(Paths.configMaps, Samples.configMap("a", ["k": "1"])).json
            _ = await api.patch("\(Paths.configMaps)/a", ["data": ["k": "2"]])
            _ = await api.post(Paths.configMaps, Samples.configMap("b"))
            _ = await api.delete("\(Paths.configMaps)/a")
            #expect(await watch.next()?["object"] == first)
            #expect(await watch.summary() == "MODIFIED a")
            #expect(await watch.summary() == "ADDED b")
            let last = await watch.next()
            #expect(last?["type"] == "DELETED")
            // A deletion shows the object as it was last, at the revision of its end.
            #expect(last?["object", "data", "k"] == "2")
            #expect(last?["object"]?.resourceVersion == "\(await api.replica.revision)")
            watch.stop()
            let resumed = await api.watch("\(Paths.configMaps)?watch=true&resourceVersion=\(first.resourceVersion)")
            #expect(await resumed.summary() == "MODIFIED a")
            #expect(await resumed.summary() == "ADDED b")
            #expect(await resumed.summary() == "DELETED a")
            resumed.stop()
        }
    }

    @Test(.timeLimit(.minutes(1))) func theOldPathsAreWatches() async throws {
        try await TestAPI.run { api in
            for name in ["a", "b"] { _ = await api.post(Paths.configMaps, Samples.configMap(name)) }
            let old = "/api/v1/watch/namespaces/default/configmaps"
            for (path, first) in [
                (old, "a"), ("/api/v1/watch/configmaps", "a"), ("\(old)/b", "b"),
                ("\(old)/b?fieldSelector=metadata.name%3Db", "b"), ("\(old)?fieldSelector=metadata.name!%3Da", "b"),
                ("/api/v1/watch/namespaces/default", "default"),
                ("/apis/rbac.authorization.k8s.io/v1/watch/clusterroles/admin", "admin"),
            ] {
                let watch = await api.watch(path)
                #expect(await watch.summary() == "ADDED \(first)", "\(path)")
                watch.stop()
            }
            #expect(await api.get("\(old)/b?fieldSelector=metadata.name%3Da").code == 400)
            #expect(await api.post(old, Samples.configMap("c")).code == 405)
            for path in ["/api/v1/watch", "\(old)/b/status", "/apis/authentication.k8s.io/v1/watch/tokenreviews"] {
                #expect(await api.get(path).code == 404, "\(path)")
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func anObjectThatComesToBeSelectedIsAddedAndOneThatCeasesToBeIsDeleted()
        async throws
    {
        try await TestAPI.run { api in
            let watch = await api.watch("\(Paths.configMaps)?watch=true&labelSelector=on%3Dyes")
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            _ = await api.patch("\(Paths.configMaps)/a", ["metadata": ["labels": ["on": "yes"]]])
            _ = await api.patch("\(Paths.configMaps)/a", ["data": ["k": "v"]])
            let off = await api.patch("\(Paths.configMaps)/a", ["metadata": ["labels": ["on": "no"]]]).json
            _ = await api.delete("\(Paths.configMaps)/a")
            _ = await api.post(Paths.configMaps, Samples.configMap("z", labels: ["on": "yes"]))
            #expect(await watch.summary() == "ADDED a")
            #expect(await watch.summary() == "MODIFIED a")
            let gone = await watch.next()
            #expect(gone?["type"] == "DELETED")
            // It shows the object as it was when it was selected, at the revision of the change.
            #expect(gone?["object"]?.labels == ["on": "yes"])
            #expect(gone?["object"]?.resourceVersion == off.resourceVersion)
            #expect(await watch.summary() == "ADDED z")
            watch.stop()
        }
    }

    @Test(.timeLimit(.minutes(1))) func initialEventsEndWithAMarkedBookmark() async throws {
        try await TestAPI.run { api in
            for name in ["a", "b"] { _ = await api.post(Paths.configMaps, Samples.configMap(name)) }
            let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
            let watch = await api.watch("\(Paths.configMaps)?\(query)")
            #expect(await watch.summary() == "ADDED a")
            #expect(await watch.summary() == "ADDED b")
            let mark = await watch.next()
            #expect(mark?["type"] == "BOOKMARK")
            #expect(mark?["object"]?.annotations == ["k8s.io/initial-events-end": "true"])
            #expect(mark?["object"]?.resourceVersion == "\(await api.replica.revision)")
            _ = await api.post(Paths.configMaps, Samples.configMap("c"))
            #expect(await watch.summary() == "ADDED c")
            watch.stop()
            let wrong = await api.get("\(Paths.configMaps)?watch=true&sendInitialEvents=true")
            #expect(wrong.code == 422)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aWatchOfForgottenHistoryIsToldSoInsideTheStream() async throws {
        try await TestAPI.run { api in
            for name in ["a", "b", "c"] { _ = await api.post(Paths.configMaps, Samples.configMap(name)) }
            await api.replica.compact(through: await api.replica.revision)
            let watch = await api.watch("\(Paths.configMaps)?watch=true&resourceVersion=1")
            #expect(watch.code == 200)
            let event = await watch.next()
            #expect(event?["type"] == "ERROR")
            #expect(event?["object", "code"] == 410)
            #expect(event?["object", "reason"] == "Expired")
            #expect(await watch.next() == nil)
            let future = await api.get("\(Paths.configMaps)?watch=true&resourceVersion=1000000")
            #expect(future.code == 504)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aWatchEndsAtItsTimeOut() async throws {
        try await TestAPI.run { api in
            let watch = await api.watch("\(Paths.configMaps)?watch=true&timeoutSeconds=1&resourceVersion=0")
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            #expect(await watch.summary() == "ADDED a")
            #expect(await watch.summary() == "end")
            // One that is to be told of revisions is told at its end how far it is.
            let query = "watch=true&timeoutSeconds=1&labelSelector=none&allowWatchBookmarks=true&resourceVersion=0"
            let quiet = await api.watch("\(Paths.configMaps)?\(query)")
            let mark = await quiet.next()
            #expect(mark?["type"] == "BOOKMARK")
            #expect(mark?["object"]?.resourceVersion == "\(await api.replica.revision)")
            #expect(await quiet.summary() == "end")
        }
    }

    @Test(.timeLimit(.minutes(1))) func aTableIsWatchedWithItsHeadingsOnce() async throws {
        try await TestAPI.run { api in
            let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
            let watch = await api.watch("\(Paths.configMaps)?watch=true", accept: table)
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            _ = await api.post(Paths.configMaps, Samples.configMap("b"))
            let first = await watch.next()
            #expect(first?["object", "kind"] == "Table")
            #expect(first?["object", "columnDefinitions"] != nil)
            #expect(first?["object", "rows"]?[0]?["object"]?.name == "a")
            let second = await watch.next()
            #expect(second?["object", "columnDefinitions"] == .null || second?["object", "columnDefinitions"] == nil)
            #expect(second?["object", "rows"]?[0]?["object"]?.name == "b")
            watch.stop()
        }
    }

    @Test(.timeLimit(.minutes(1))) func watchersOfTheSameKeysShareOneSerialisedEvent() async throws {
        try await TestAPI.run { api in
            var watches: [Watching] = []
            for _ in 0..<20 { watches.append(await api.watch("\(Paths.configMaps)?watch=true")) }
            for index in 0..<10 { _ = await api.post(Paths.configMaps, Samples.configMap("c\(index)")) }
            for watch in watches {
                for index in 0..<10 { #expect(await watch.summary() == "ADDED c\(index)") }
                watch.stop()
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func theAgesOfAWatchedTableAreCountedToTheEvent() async throws {
        try await TestAPI.run { real in
            let world = ShiftedWorld(real.world)
            let gateway = Gateway(
                replica: real.replica, configuration: .init(), in: world, logger: real.gateway.logger)
            let api = TestAPI(world: real.world, replica: real.replica, gateway: gateway)
            let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
            let watch = await api.watch("\(Paths.configMaps)?watch=true", accept: table)
            world.advance(.seconds(3600))
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            world.advance(.seconds(300))
            _ = await api.patch("\(Paths.configMaps)/a", ["data": ["k": "v"]])
            // NAME, DATA, AGE
            let added = await watch.next()?["object", "rows"]?[0]?["cells"]?[2]?.string ?? ""
            #expect(added.hasSuffix("s") || added == "5m")
            #expect(await watch.next()?["object", "rows"]?[0]?["cells"]?[2]?.string?.hasPrefix("5m") == true)
            watch.stop()
        }
    }
}

/// A world whose calendar is put on by hand.
private final class ShiftedWorld: World {
    private let base: Reactor
    private let shift = Mutex(Duration.zero)

    init(_ base: Reactor) { self.base = base }

    func advance(_ duration: Duration) { shift.withLock { $0 += duration } }

    var executor: any TaskExecutor { base.executor }
    func now() -> MonotonicTime { base.now() }
    func wallTime() -> WallTime { base.wallTime() + shift.withLock { $0 } }
    func sleep(until deadline: MonotonicTime) async throws { try await base.sleep(until: deadline) }
    func random() -> UInt64 { base.random() }
    func connect(to endpoint: Endpoint) async throws -> any ByteStream { try await base.connect(to: endpoint) }
    func listen(on endpoint: Endpoint) async throws -> any StreamListener { try await base.listen(on: endpoint) }
}
