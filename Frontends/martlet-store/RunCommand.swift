import ArgumentParser
import Logging
import MartletBase
import MartletEtcd
import MartletHTTP
import MartletIO
import MartletPeerFlags
import MartletReplica
import MartletStore
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// `martlet-store`: a member, until SIGINT or SIGTERM.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a member. This is what happens without a subcommand.",
        discussion: """
            It says "ready" when it serves clients and knows a leader. It exits with 0 after SIGINT or \
            SIGTERM, and with 1 and the reason when its data cannot be used or its disk fails.
            """)

    /// Whether there is a member to end in good order.
    private static let isUp = Atomic(false)

    @OptionGroup var store: StoreOptions
    @OptionGroup var peers: PeerOptions
    @OptionGroup var tls: TLSOptions

    func validate() throws { try peers.check() }

    func run() async throws {
        Allocator.keepFreedMemoryAtHand()
        Allocator.giveBackFromNowOn()
        // From here on, so that a signal that comes during the start is not lost. Until the member is up there is
        // nothing to end in good order: a start may be cut short at any moment.
        let signal = Task<String?, Never> {
            _ = await Signals.wait(for: [SIGINT, SIGTERM])
            if !Self.isUp.load(ordering: .acquiring) {
                Console.say("stopping")
                _exit(0)
            }
            return nil
        }
        try await Console.reporting {
            let clients = try tls.clients()
            let endpoints = try store.clientListeners.map { text in
                let url = try MemberURL(text, flag: "--listen-client")
                try url.expect(secure: clients != nil, flag: "--listen-client", files: "--cert-file and --key-file")
                return url.endpoint
            }
            let configuration = store.configuration(
                try peers.configuration(name: store.name, clientURLs: try clientURLs(secure: clients != nil)))
            do { try Reactor.checkFree(endpoints) } catch {
                throw Failure(description: "--listen-client: \(error); choose another port, or end who has it")
            }
            do { try System.raiseDescriptorLimit() } catch {
                Console.complain("cannot raise the limit of open files (\(error)); going on with the one there is")
            }
            let world = try Reactor(name: "martlet-store")
            let logger = store.logger
            Console.say("starting \(store.name) with its data in \(configuration.directory)")
            let member = try await Task(executorPreference: world.executor) {
                try await Member.start(configuration, clients: endpoints, tls: clients, in: world, logger: logger)
            }.value
            Self.isUp.store(true, ordering: .releasing)
            let announcement = Task(executorPreference: world.executor) { await member.announce(in: world) }
            let reason = await withTaskGroup(of: String?.self) { group in
                group.addTask { await Self.wait(for: signal) }
                group.addTask(executorPreference: world.executor) { await member.failure(in: world) }
                defer { group.cancelAll() }
                return await group.next() ?? nil
            }
            announcement.cancel()
            if reason == nil { Console.say("stopping") }
            await Task(executorPreference: world.executor) { await member.stop() }.value
            world.shutdown()
            if let reason { throw Failure(description: "\(configuration.directory): \(reason)") }
        }
    }

    /// Where clients are told that they reach this member.
    private func clientURLs(secure: Bool) throws -> [String] {
        for text in store.clientURLs {
            let url = try MemberURL(text, flag: "--advertise-client")
            try url.expect(secure: secure, flag: "--advertise-client", files: "--cert-file and --key-file")
        }
        return store.clientURLs.isEmpty ? store.clientListeners : store.clientURLs
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

    /// Says that it is ready when somebody leads, and until then what it waits for.
    func announce(in world: any World) async {
        var waited = 0
        while await replica.leader == nil {
            // After a second, and every ten from then on.
            if waited % 100 == 10 { await sayWhoIsMissing() }
            waited += 1
            guard (try? await world.sleep(for: .milliseconds(100))) != nil else { return }
        }
        for endpoint in server.endpoints { Console.say("ready: clients are served on \(endpoint)") }
    }

    private func sayWhoIsMissing() async {
        let voters = await replica.members.filter { !$0.isLearner }
        guard !voters.isEmpty else {
            return Console.say("waiting for a leader, which brings this new member up to date")
        }
        let names = voters.map { "\(Console.name(of: $0.id, $0.name)) \($0.peerURLs.joined(separator: ","))" }
        Console.say(
            "waiting for a leader: \(voters.count / 2 + 1) of these must run and reach each other: "
                + names.joined(separator: "; "))
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
