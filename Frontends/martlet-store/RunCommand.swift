import ArgumentParser
import Logging
import MartletBase
import MartletEtcd
import MartletHTTP
import MartletIO
import MartletPeerFlags
import MartletReplica

#if canImport(Glibc)
import Glibc
#endif

/// `martlet-store`: a member, until SIGINT or SIGTERM.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a member. This is what happens without a subcommand.",
        discussion: """
            It says "ready" when it serves clients. It exits with 0 after SIGINT or SIGTERM, and with 1 and the reason \
            when its data cannot be used or its disk fails.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var peers: PeerOptions
    @OptionGroup var tls: TLSOptions

    func run() async throws {
        Allocator.keepFreedMemoryAtHand()
        // From here on, so that a signal that comes during the start is not lost.
        let signal = Task<String?, Never> {
            _ = await Signals.wait(for: [SIGINT, SIGTERM])
            return nil
        }
        try await Console.reporting {
            let clients = try tls.clients()
            let endpoints = try store.clientListeners.map { text in
                let url = try MemberURL(text, flag: "--listen-client")
                try url.expect(secure: clients != nil, flag: "--listen-client", files: "--cert-file and --key-file")
                return url.endpoint
            }
            let urls = store.clientURLs.isEmpty ? store.clientListeners : store.clientURLs
            let configuration = store.configuration(try peers.configuration(name: store.name, clientURLs: urls))
            do { try System.raiseDescriptorLimit() } catch {
                Console.complain("cannot raise the limit of open files (\(error)); going on with the one there is")
            }
            let world = try Reactor(name: "martlet-store")
            let logger = store.logger
            let member = try await Task(executorPreference: world.executor) {
                try await Member.start(configuration, clients: endpoints, tls: clients, in: world, logger: logger)
            }.value
            for endpoint in member.server.endpoints { Console.say("ready: clients are served on \(endpoint)") }
            let reason = await withTaskGroup(of: String?.self) { group in
                group.addTask { await Self.wait(for: signal) }
                group.addTask(executorPreference: world.executor) { await member.failure(in: world) }
                defer { group.cancelAll() }
                return await group.next() ?? nil
            }
            if reason == nil { Console.say("stopping") }
            await Task(executorPreference: world.executor) { await member.stop() }.value
            world.shutdown()
            if let reason { throw Failure(description: "\(configuration.directory): \(reason)") }
        }
    }

    private static func wait(for signal: Task<String?, Never>) async -> String? {
        await withTaskCancellationHandler(operation: { await signal.value }, onCancel: { signal.cancel() })
    }

    private struct Failure: Error, CustomStringConvertible { var description: String }
}

/// A replica and what serves it.
private struct Member: Sendable {
    let replica: Replica
    let server: EtcdServer

    static func start(
        _ configuration: ReplicaConfiguration, clients: [Endpoint], tls: TLSServer?, in world: any World, logger: Logger
    ) async throws -> Member {
        let replica = try await Replica.open(configuration, in: world, logger: logger)
        do {
            let server = try await EtcdServer.start(replica, on: clients, tls: tls, logger: logger, in: world)
            return Member(replica: replica, server: server)
        } catch {
            await replica.close()
            throw error
        }
    }

    /// Why the store has stopped for good; nil when the task was cancelled first.
    func failure(in world: any World) async -> String? {
        while (try? await world.sleep(for: .milliseconds(500))) != nil {
            if let reason = await replica.stopped { return reason }
        }
        return nil
    }

    func stop() async {
        await server.shutdown(grace: .seconds(2))
        await replica.close()
    }
}
