import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletPKI
import MartletRaft
import MartletStore
import Synchronization
import Testing

@testable import MartletReplica

/// Members over real sockets on loopback, each in a folder.
final class Loopback: Sendable {
    let world: Reactor
    let path: String
    let security: PeerSecurity?
    let ports: [String: UInt16]

    init(_ names: [String], in path: String, world: Reactor, isSecure: Bool) async throws {
        self.world = world
        self.path = path
        var ports: [String: UInt16] = [:]
        var listeners: [any StreamListener] = []
        for name in names {
            let listener = try await world.listen(on: .ip("127.0.0.1", port: 0))
            if case .ip(_, let port) = listener.endpoint { ports[name] = port }
            listeners.append(listener)
        }
        for listener in listeners { listener.close() }
        self.ports = ports
        security = isSecure ? try Self.security(world.wallTime()) : nil
    }

    private static func security(_ now: WallTime) throws -> PeerSecurity {
        let authority = try Authority.make(commonName: "peers", lifetime: .seconds(3600), now: now)
        var request = CertificateRequest(commonName: "member")
        request.dnsNames = ["peer"]
        request.isServer = true
        request.isClient = true
        let pair = try authority.issue(request, now: now)
        let identity = try TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM)
        let authorities = authority.keyPair.certificatePEM
        return PeerSecurity(
            server: try TLSServer(identity: identity, clients: .required(authoritiesPEM: authorities)),
            client: try TLSClient(authoritiesPEM: authorities, identity: identity), serverName: "peer"
        ) { $0.commonName == "member" }
    }

    func url(_ name: String) -> String { "https://127.0.0.1:\(ports[name] ?? 0)" }

    func first(_ names: [String], token: String = "test") -> Bootstrap {
        .cluster(token: token, members: names.map { .init(name: $0, peerURLs: [url($0)]) })
    }

    func open(_ name: String, _ bootstrap: Bootstrap, pace: CheckpointPace? = nil, logger: Logger = quiet) async throws
        -> Replica
    {
        let peers = PeerConfiguration(
            name: name, listen: .ip("127.0.0.1", port: ports[name] ?? 0), peerURLs: [url(name)],
            clientURLs: ["http://\(name)"], bootstrap: bootstrap, security: security)
        var parts = ReplicaParts()
        parts.peers = peers
        if let pace { parts.pace = pace }
        let (folder, log) = try await DataFolder.open("\(path)/\(name)")
        return try await Replica.open(on: log, beside: folder, parts, in: world, logger: logger)
    }

    func wait(_ what: String, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<1000 {
            if try await condition() { return }
            try await world.sleep(for: .milliseconds(10))
        }
        Issue.record("gave up waiting: \(what)")
        throw CancellationError()
    }
}

private func onLoopback(
    _ names: [String], isSecure: Bool = true, _ body: @escaping @Sendable (Loopback) async throws -> Void
) async throws {
    let world = try Reactor()
    defer { world.shutdown() }
    let path = try Files.makeTemporaryDirectory(prefix: "martlet-peers")
    defer { try? Files.remove(path) }
    try await Task(executorPreference: world.executor) {
        try await body(try await Loopback(names, in: path, world: world, isSecure: isSecure))
    }.value
}

@Suite(.serialized) struct PeersOnLoopback {
    @Test func shareOneStateOverMutualTLSThroughARestart() async throws {
        let names = ["a", "b", "c"]
        try await onLoopback(names) { group in
            var replicas: [String: Replica] = [:]
            for name in names { replicas[name] = try await group.open(name, group.first(names)) }
            for name in names {
                for number in 0..<20 { _ = try await replicas[name]?.propose(put("\(name)\(number)")) }
            }
            let b = try #require(replicas["b"])
            try await b.confirmRead()
            #expect(await b.revision == 61)
            await b.close()
            _ = try await replicas["a"]?.propose(put("while b is away"))
            let again = try await group.open("b", .existing)
            try await again.confirmRead()
            #expect(await again.revision == 62)
            let members = await again.members
            #expect(members.map(\.name).sorted() == names)
            await again.close()
            await replicas["a"]?.close()
            await replicas["c"]?.close()
        }
    }

    @Test func takeInLearnersByJoinAndBringThemUpFromASnapshot() async throws {
        try await onLoopback(["a", "b"]) { group in
            var pace = CheckpointPace()
            (pace.entries, pace.logMargin) = (50, 10)
            let seen = Whispers()
            let a = try await group.open("a", group.first(["a"]), pace: pace)
            for number in 0..<400 { _ = try await a.propose(put("k\(number % 30)", "\(number)")) }
            try await group.wait("the log to be cut") { await a.core.term(at: 1) == nil }
            let b = try await group.open(
                "b", .join(via: [.ip("127.0.0.1", port: group.ports["a"] ?? 0)], asLearner: false), pace: pace,
                logger: seen.logger)
            do { try await group.wait("b to vote") { await b.status.role == .follower } } catch {
                Issue.record("a: \(await a.status), b: \(await b.status), b said: \(seen.texts)")
                throw error
            }
            try await b.confirmRead()
            let (there, here) = (await b.get(key("k9")), await a.get(key("k9")))
            #expect(there == here && there != nil)
            #expect(seen.texts.contains { $0.contains("installed") })
            // The old revisions came with it.
            #expect(try await b.range(from: [], to: end, at: 100).pairs.count == 30)
            try await group.wait("the directory to say so") {
                await b.members.allSatisfy { !$0.isLearner && !$0.name.isEmpty }
            }
            _ = try await b.propose(put("from b"))
            try await a.remove(member: await b.identifiers.member)
            try await group.wait("b to stop") { await b.failure?.contains("removed") == true }
            _ = try await a.propose(put("alone again"))
            await b.close()
            await a.close()
        }
    }

    @Test func ofAnotherClusterAreRefusedByName() async throws {
        try await onLoopback(["a", "b"]) { group in
            let (here, there) = (Whispers(), Whispers())
            let a = try await group.open("a", group.first(["a", "b"], token: "one"), logger: here.logger)
            let b = try await group.open("b", group.first(["a", "b"], token: "two"), logger: there.logger)
            let (ours, theirs) = (await a.identifiers, await b.identifiers)
            try await group.wait("the refusal") {
                there.texts.contains { text in
                    text.contains(String(ours.cluster, radix: 16)) && text.contains(String(theirs.cluster, radix: 16))
                        && text.contains("different clusters")
                }
            }
            try await group.world.sleep(for: .milliseconds(500))
            #expect(there.texts.filter { $0.contains("different clusters") }.count <= 4)
            await a.close()
            await b.close()
        }
    }
}

/// What a new member says that cannot join, and what a member is told that missed a restore.
@Suite(.serialized) struct AMemberThatDoesNotBelong {
    @Test func isLeftOutOfARestoredCluster() async throws {
        let names = ["a", "b", "c"]
        try await onLoopback(names) { group in
            var replicas: [String: Replica] = [:]
            let seen = Whispers()
            for name in names {
                replicas[name] = try await group.open(
                    name, group.first(names), logger: name == "c" ? seen.logger : quiet)
            }
            let (a, c) = (try #require(replicas["a"]), try #require(replicas["c"]))
            _ = try await a.propose(put("k", "before"))
            // Another may lead, and have answered before it is applied here.
            try await a.confirmRead()
            try await save(try await a.snapshot(), to: "\(group.path)/snapshot")
            _ = try await a.propose(put("k", "after"))
            try await c.confirmRead()
            for name in ["a", "b"] {
                await replicas[name]?.close()
                try Files.remove("\(group.path)/\(name)")
                let options = RestoreOptions(
                    name: name, members: names.map { ($0, [group.url($0)]) }, token: "test")
                _ = try await SnapshotFile.restore("\(group.path)/snapshot", into: "\(group.path)/\(name)", options)
                replicas[name] = try await group.open(name, .existing)
            }
            for name in ["a", "b"] {
                let restored = try #require(replicas[name])
                try await group.wait("a leader") { await restored.leader != nil }
                try await restored.confirmRead()
                #expect(await restored.get(key("k"))?.value == Array("before".utf8))
                #expect(await restored.identifiers.cluster != c.identifiers.cluster)
            }
            try await group.wait("c to be refused") {
                seen.texts.contains { $0.contains("different clusters") && $0.contains("empty its data folder") }
            }
            try await group.wait("c to miss its leader") { await c.leader == nil }
            for replica in replicas.values { await replica.close() }
        }
    }

    @Test func saysAtOnceWhyItCannotJoin() async throws {
        try await onLoopback(["b", "free"], isSecure: false) { group in
            let web = try await group.world.listen(on: .ip("127.0.0.1", port: 0))
            let serving = Task(executorPreference: group.world.executor) {
                while let stream = try? await web.accept() {
                    _ = try await stream.read(atMost: 100)
                    try await stream.write(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
                    stream.close()
                }
            }
            let seen = Whispers()
            let nobody = Endpoint.ip("127.0.0.1", port: group.ports["free"] ?? 0)
            let joining = Task(executorPreference: group.world.executor) {
                _ = try await group.open(
                    "b", .join(via: [nobody, web.endpoint], asLearner: false), logger: seen.logger)
            }
            try await group.wait("both to be named") { seen.texts.count >= 2 }
            #expect(seen.texts.contains { $0.contains("through \(nobody): ") && $0.contains("is it started") })
            #expect(seen.texts.contains { $0.contains("through \(web.endpoint): ") && $0.contains("(--listen-peer)") })
            try await group.world.sleep(for: .milliseconds(800))
            #expect(seen.texts.count == 2, "what is known is not said again: \(seen.texts)")
            joining.cancel()
            web.close()
            _ = await joining.result
            _ = await serving.result
        }
    }
}

/// A log that a test can read.
final class Whispers: Sendable {
    private let lines = Mutex<[String]>([])
    var texts: [String] { lines.withLock { $0 } }
    var logger: Logger {
        var logger = Logger(label: "whispers") { _ in Handler(whispers: self) }
        logger.logLevel = .info
        return logger
    }

    private struct Handler: LogHandler {
        let whispers: Whispers
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { whispers.lines.withLock { $0.append("\(event.message)") } }
    }
}
