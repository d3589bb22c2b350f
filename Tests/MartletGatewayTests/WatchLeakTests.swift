import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import Testing

@testable import MartletGateway
@testable import MartletReplica

/// Tells whether a watch's queue is still held: by the replica, or by a task that waits for it.
private final class QueueWitness: Sendable {
    weak let queue: WatchQueue?
    init(_ queue: WatchQueue) { self.queue = queue }
}

extension Replica {
    fileprivate var witnesses: [QueueWitness] { watchers.queues.map { QueueWitness($0) } }

    /// Lets the replica forget the watches that are over, as it does about once a second.
    fileprivate func sweep() { lookAfterWatchers() }
}

/// Answers everybody as the administrator.
private struct OpenDoor: RequestHandler {
    let gateway: Gateway
    func handle(_ request: Request) async -> Response { await gateway.serve(request, as: TestAPI.admin) }
}

@Suite struct WatchLeakTests {
    /// The forms of a watch: with what is there, with a bookmark after it, from now on, with a selector, as a table.
    private static let queries: [(query: String, accept: String?)] = [
        ("watch=true", nil),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", nil),
        ("watch=true&resourceVersion=0", nil), ("watch=true&labelSelector=on%3Dyes", nil),
        ("watch=true", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    ]

    @Test(.timeLimit(.minutes(1))) func twoHundredDroppedWatchesLeaveNoTaskNoWaiterAndNoPlaceTaken() async throws {
        try await TestAPI.run { api in
            let before = await api.replica.witnesses.count
            var watches: [Watching] = []
            for index in 0..<200 {
                let (query, accept) = Self.queries[index % Self.queries.count]
                watches.append(await api.watch("\(Paths.configMaps)?\(query)", accept: accept))
            }
            _ = await api.post(Paths.configMaps, Samples.configMap("a", labels: ["on": "yes"]))
            for watch in watches { #expect(await watch.next() != nil) }
            let witnesses = await api.replica.witnesses
            #expect(witnesses.count == before + 200)
            #expect(api.gateway.admittance.inFlight.longRunning == 200)
            for watch in watches { watch.stop() }
            for watch in watches { await watch.task.value }
            #expect(api.gateway.admittance.inFlight == (0, 0, 0))
            await api.replica.sweep()
            #expect(await api.replica.witnesses.count == before)
            #expect(witnesses.filter { $0.queue != nil }.count == before)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aWatchWhoseAnswerIsNeverReadLeavesNothing() async throws {
        try await TestAPI.run { api in
            let before = await api.replica.witnesses.count
            for _ in 0..<200 {
                let response = await api.gateway.serve(
                    api.request(.get, "\(Paths.configMaps)?watch=true"), as: TestAPI.admin)
                #expect(response.head.status == .ok)
            }
            #expect(api.gateway.admittance.inFlight.longRunning == 0)
            await api.replica.sweep()
            #expect(await api.replica.witnesses.count == before)
        }
    }

    @Test(.timeLimit(.minutes(1))) func callersWhoHangUpOnQuietWatchesAreNoticed() async throws {
        try await TestAPI.run { api in
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let server = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: api.world, logger: logger, handler: OpenDoor(gateway: api.gateway))
            let client = HTTPClient(endpoint: server.endpoint, serverName: "test", in: api.world)
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            let before = await api.replica.witnesses.count
            let (opened, announce) = AsyncStream<Bool>.makeStream()
            let head = api.request(.get, "\(Paths.configMaps)?watch=true").head
            let callers = (0..<200).map { _ in
                api.world.spawn {
                    guard let answer = try? await client.send(head), case .stream(let next) = answer.body else {
                        announce.yield(false)
                        return
                    }
                    announce.yield((try? await next()) != nil)
                    _ = try? await next()
                }
            }
            var answers = opened.makeAsyncIterator()
            for _ in callers { #expect(await answers.next() == true) }
            let witnesses = await api.replica.witnesses
            #expect(witnesses.count == before + 200)
            for caller in callers { caller.cancel() }
            for caller in callers { await caller.value }
            // The server learns of it from its sockets; the test's time limit ends the waiting when it does not.
            while api.gateway.admittance.inFlight.longRunning > 0 {
                try await api.world.sleep(until: api.world.now() + .milliseconds(5))
            }
            await api.replica.sweep()
            #expect(await api.replica.witnesses.count == before)
            #expect(witnesses.filter { $0.queue != nil }.count == before)
            client.close()
            await server.shutdown(grace: .zero)
        }
    }
}
