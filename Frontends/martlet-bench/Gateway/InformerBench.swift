import ArgumentParser
import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import Synchronization

/// `martlet-bench informers`: whether cached views stay exact while the gateway is killed again and again.
struct InformerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "informers",
        abstract: "Kills the gateway at random under writes, and checks that clients' cached views stay exact.",
        discussion: """
            Writers create, update and delete ConfigMaps. Informers keep a view of them: from a list, from a list in \
            pages, or from a watch with initial events; they resume where a watch broke off, and list anew after 410. \
            Some go away until the server has forgotten their revision (410 must come then, and never earlier); some \
            select what does not change, so that only bookmarks carry them on. Every event must fit what is known \
            (nothing added twice, nothing changed that is not there, revisions only rise), and at the end each view \
            must be what a list shows.
            """)

    @Option(help: "Changes in all.") var changes = 100_000
    @Option(help: "How often the gateway is killed (SIGKILL) and started again.") var restarts = 100
    @Option(help: "Informers of each kind.") var informers = 2
    @Option(help: "How often one informer of each kind goes away until its revision is forgotten.") var naps = 3
    @Option(help: "Revisions that the gateway keeps for watches.") var history = 10_000
    @Option(help: "Writers.") var writers = 16
    @Option(help: "Different objects.") var objects = 500
    @Option(help: "Martlet's program. (default: martlet-gateway beside this one)") var martlet: String?
    @Option(help: "The folder of all data.") var directory = "."

    func run() async throws {
        guard changes > 0, restarts >= 0, informers > 0, writers > 0, objects > 0 else {
            throw ValidationError("the counts are at least 1")
        }
        guard naps >= 0, history > 0, naps == 0 || (naps + 1) * history <= changes else {
            throw ValidationError("\(naps) naps of \(history) changes take more than \(changes) changes")
        }
        let world = try Reactor(name: "martlet-bench")
        defer { world.shutdown() }
        let folder = "\(GatewayBenchCommand.absolute(directory))/martlet-informers-\(System.processID)"
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let command = self
        let faults = try await Task(executorPreference: world.executor) {
            try await command.torture(in: folder, world)
        }.value
        for fault in faults.prefix(20) { print("error: \(fault)") }
        if !faults.isEmpty { throw ExitCode(1) }
    }

    private static let path = "/api/v1/namespaces/default/configmaps"

    private func torture(in folder: String, _ world: Reactor) async throws -> [String] {
        let programs = GatewayServer.Programs(
            martlet: martlet ?? GatewayBenchCommand.beside("martlet-gateway"), apiserver: "", etcd: "")
        let server = try await GatewayServer(.martlet, programs, in: folder, world: world)
        do {
            _ = try await server.ready()
            let faults = try await run(server, world)
            await server.stop()
            return faults
        } catch {
            await server.stop()
            throw error
        }
    }

    private func run(_ server: GatewayServer, _ world: Reactor) async throws -> [String] {
        let views = Informer.Start.allCases.flatMap { start in
            (0..<informers).map { number in
                Informer(
                    "\(start.rawValue)-\(number)", start, server, path: Self.path,
                    naps: number == informers - 1 && start != .quiet ? naps : 0, history: Int64(history), world: world)
            }
        }
        _ = try await server.send(.post, Self.path, body: Self.labelled("quiet"), on: server.client())
        let done = Counter()
        return try await withThrowingTaskGroup(of: Void.self) { followers in
            defer { followers.cancelAll() }
            for view in views { followers.addTask { await view.run() } }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    group.addTask { await write(writer, server, world) { done.take() + 1 } }
                }
                group.addTask { try await restart(server, world) { done.taken } }
                try await group.waitForAll()
            }
            return try await judge(views, server, world)
        }
    }

    /// An object that the quiet views see too.
    private static func labelled(_ name: String) -> [UInt8] {
        let head = #"{"apiVersion":"v1","kind":"ConfigMap","data":{"value":"\#(name)"}"#
        return Array(#"\#(head),"metadata":{"name":"\#(name)","labels":{"\#(Informer.quiet)":""}}}"#.utf8)
    }

    /// Kills the server after changes drawn at random.
    private func restart(_ server: GatewayServer, _ world: Reactor, _ done: @Sendable () -> Int) async throws {
        var random = SplitMix64(seed: 1)
        let steps = (0..<restarts).map { _ in Int(random.next() % UInt64(changes)) }.sorted()
        for (number, step) in steps.enumerated() {
            while done() < step { try await world.sleep(for: .milliseconds(5)) }
            await server.kill()
            try server.start()
            if (number + 1) % 10 == 0 { print("\(number + 1) of \(restarts) restarts, \(done()) changes") }
        }
    }

    /// Writes until all have written enough. An answer that was lost says nothing of the write: both is right.
    private func write(
        _ number: Int, _ server: GatewayServer, _ world: Reactor, _ count: @Sendable () -> Int
    ) async {
        var random = SplitMix64(seed: UInt64(number))
        let client = server.client()
        var isOver = false
        while !isOver {
            let name = "cm-\(random.next() % UInt64(objects))"
            let head = #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\#(name)"}"#
            let body = Array(#"\#(head),"data":{"value":"\#(random.next())"}}"#.utf8)
            let calls: [(HTTPRequest.Method, String, [UInt8])] = [
                (.put, "\(Self.path)/\(name)", body), (.post, Self.path, body), (.delete, "\(Self.path)/\(name)", []),
            ]
            // More updates than deletions, so that there is something to update.
            let call = calls[[0, 0, 1, 1, 2][Int(random.next() % 5)]]
            do {
                let status = try await server.send(call.0, call.1, body: call.2, on: client).status.code
                if (200...201).contains(status) { isOver = count() >= changes }
                if status >= 429 { try await world.sleep(for: .milliseconds(20)) }
            } catch {
                try? await world.sleep(for: .milliseconds(20))
            }
        }
    }

    /// Holds every view against a list.
    private func judge(_ views: [Informer], _ server: GatewayServer, _ world: Reactor) async throws -> [String] {
        _ = try await server.ready()
        // One more change, which tells all of the revision to reach.
        let last = Self.labelled("last")
        _ = try await server.send(.post, Self.path, body: last, on: server.client())
        let head = HTTPRequest(method: .get, scheme: "https", authority: "127.0.0.1:\(server.port)", path: Self.path)
        let answer = try await server.client().send(head)
        let list = try JSON(parsing: try await answer.body.collect(limit: 1 << 28))
        let items = list["items"]?.array ?? []
        var faults = views.flatMap(\.faults)
        let deadline = world.now() + .seconds(30)
        for view in views {
            while view.objects["last"] == nil, world.now() < deadline { try await world.sleep(for: .milliseconds(20)) }
            if view.objects["last"] == nil { faults.append("\(view.name): it never saw the last change") }
            let seen = view.objects
            let shown = items.filter(view.shows)
            if seen.count != shown.count { faults.append("\(view.name): \(seen.count) objects, not \(shown.count)") }
            for item in shown {
                let known = seen[item.name]
                if known?.value != item["data", "value"]?.string
                    || known.map({ "\($0.revision)" }) != item.resourceVersion
                {
                    faults.append(
                        "\(view.name): \(item.name) is \(known.map { "\($0)" } ?? "absent"), not as in the list")
                }
            }
            print("\(view.name): \(view.summary)")
        }
        print("\(changes) changes, \(restarts) restarts, \(items.count) objects: \(faults.count) faults")
        return faults
    }
}
