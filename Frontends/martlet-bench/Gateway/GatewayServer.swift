import Glibc
import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletPKI
import Synchronization

/// An API server that is measured, with its store: child processes on loopback that share one PKI folder's layout.
final class GatewayServer: Sendable {
    /// The programs of both sides.
    struct Programs: Sendable {
        var martlet: String
        var apiserver: String
        var etcd: String
    }

    let kind: Rival.Kind
    let port: UInt16
    private let startTime: MonotonicTime
    private let folder: String
    private let commands: [(name: String, program: String, arguments: [String])]
    private let running: Mutex<[(name: String, process: ChildProcess)]>
    private let tls: TLSClient
    private let world: Reactor

    /// Starts it in a new folder; ``ready()`` waits for it.
    init(_ kind: Rival.Kind, _ programs: Programs, in folder: String, world: Reactor) async throws {
        self.kind = kind
        self.folder = folder
        self.world = world
        let ports = try await Self.freePorts(3, in: world)
        port = ports[0]
        try Files.makeDirectory("\(folder)/data")
        // Both sides find the authorities that the client trusts: for Martlet this is a data folder that was begun.
        try Files.write(Array("1\n".utf8), to: "\(folder)/data/FORMAT")
        let now = world.wallTime()
        let pki = try ClusterPKI.ensure(
            directory: "\(folder)/data/pki", nodeName: "bench", names: [], addresses: ["127.0.0.1"], now: now)
        var request = CertificateRequest(commonName: "bench")
        request.organizations = ["system:masters"]
        request.isClient = true
        let pair = try pki.authority("ca").issue(request, now: now)
        tls = try TLSClient(
            authoritiesPEM: pki.authority("ca").keyPair.certificatePEM,
            identity: TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM))
        startTime = world.now()
        commands = Self.commands(kind, programs, folder, ports)
        running = Mutex([])
        try start()
    }

    private var processes: [(name: String, process: ChildProcess)] { running.withLock { $0 } }

    /// Starts its processes, for the first time or again on what they have.
    func start() throws {
        let started = try commands.map { name, program, arguments in
            let output = ChildProcess.Output.file("\(folder)/\(name).log")
            return (name, try ChildProcess(program, arguments, output: output, errors: output, in: world))
        }
        running.withLock { $0 = started }
    }

    /// Ends its processes as a power cut would.
    func kill() async {
        for (_, process) in processes { process.signal(SIGKILL) }
        for (_, process) in processes { _ = await process.wait() }
    }

    /// Waits until it is ready, and makes what the cases need. Returns the seconds from its start until it was ready.
    func ready() async throws -> Double {
        while true {
            var answer: String
            do {
                let status = try await get("/readyz", within: .seconds(1)).status
                if status.code == 200 { break }
                answer = "\(status)"
            } catch {
                answer = "\(error)"
            }
            guard world.now() < startTime + .seconds(60) else { throw failure("not ready after 60 s: \(answer)") }
            try await world.sleep(for: .milliseconds(10))
        }
        let seconds = Double((world.now() - startTime).nanoseconds) / 1e9
        try await makeAccount()
        return seconds
    }

    /// How the processes are started.
    static func commands(
        _ kind: Rival.Kind, _ programs: Programs, _ folder: String, _ ports: [UInt16]
    ) -> [(name: String, program: String, arguments: [String])] {
        if kind == .martlet {
            return [
                (
                    "martlet-gateway", programs.martlet,
                    [
                        "--data-dir", "\(folder)/data", "--api-address", "127.0.0.1:\(ports[0])", "--node-name",
                        "bench",
                        // The rival has no controllers either: they are a program of their own there.
                        "--node-address", "127.0.0.1", "--log-level", "warning", "--no-controllers",
                    ]
                )
            ]
        }
        let (client, peer) = ("http://127.0.0.1:\(ports[1])", "http://127.0.0.1:\(ports[2])")
        let pki = "\(folder)/data/pki"
        return [
            (
                "etcd", programs.etcd,
                [
                    "--name", "bench", "--data-dir", "\(folder)/etcd", "--listen-client-urls", client,
                    "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls",
                    peer, "--initial-cluster", "bench=\(peer)", "--quota-backend-bytes", "8589934592",
                ]
            ),
            (
                "kube-apiserver", programs.apiserver,
                [
                    "--etcd-servers", client, "--bind-address", "127.0.0.1", "--secure-port", "\(ports[0])",
                    "--advertise-address", "127.0.0.1", "--service-cluster-ip-range", "10.96.0.0/16",
                    "--client-ca-file", "\(pki)/ca.crt", "--tls-cert-file", "\(pki)/apiserver.crt",
                    "--tls-private-key-file", "\(pki)/apiserver.key", "--service-account-issuer",
                    "https://kubernetes.default.svc.cluster.local", "--service-account-key-file", "\(pki)/sa.pub",
                    "--service-account-signing-key-file", "\(pki)/sa.key", "--authorization-mode", "Node,RBAC",
                    "--enable-admission-plugins", "NodeRestriction",
                ]
            ),
        ]
    }

    private static func freePorts(_ count: Int, in world: Reactor) async throws -> [UInt16] {
        var ports: [UInt16] = []
        var listeners: [any StreamListener] = []
        for _ in 0..<count {
            let listener = try await world.listen(on: .ip("127.0.0.1", port: 0))
            if case .ip(_, let port) = listener.endpoint { ports.append(port) }
            listeners.append(listener)
        }
        for listener in listeners { listener.close() }
        // The reactor closes them a moment later.
        try await world.sleep(for: .milliseconds(50))
        return ports
    }

    /// No controller runs beside either server, so that the account that pods run as is made here.
    private func makeAccount() async throws {
        let account = #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}"#
        for attempt in 0... {
            let answer = try await send(
                .post, "/api/v1/namespaces/default/serviceaccounts", body: Array(account.utf8), on: client())
            if [201, 409].contains(answer.status.code) { return }
            guard attempt < 100 else { throw BenchFailure(description: "\(kind.rawValue): \(answer.status.code)") }
            try await world.sleep(for: .milliseconds(100))
        }
    }

    /// A client with a connection of its own.
    func client() -> HTTPClient {
        HTTPClient(
            endpoint: .ip("127.0.0.1", port: port), serverName: "127.0.0.1", in: world, tls: tls, maxIdle: 1)
    }

    /// Sends a request and reads the whole answer.
    func send(
        _ method: HTTPRequest.Method, _ path: String, body: [UInt8] = [], on client: HTTPClient
    ) async throws -> (status: HTTPResponse.Status, bytes: Int) {
        var head = HTTPRequest(method: method, scheme: "https", authority: "127.0.0.1:\(port)", path: path)
        if !body.isEmpty {
            head.headerFields[.contentType] = "application/json"
            head.headerFields[.contentLength] = String(body.count)
        }
        let answer = try await client.send(head, body: .bytes(body))
        var bytes = 0
        switch answer.body {
        case .bytes(let all): bytes = all.count
        case .stream(let next): while let piece = try await next() { bytes += piece.count }
        }
        return (answer.head.status, bytes)
    }

    /// A GET on a connection of its own.
    func get(_ path: String, within limit: Duration) async throws -> (status: HTTPResponse.Status, bytes: Int) {
        let world = self.world
        return try await withThrowingTaskGroup(of: (status: HTTPResponse.Status, bytes: Int).self) { group in
            defer { group.cancelAll() }
            group.addTask { try await self.send(.get, path, on: self.client()) }
            group.addTask {
                try await world.sleep(for: limit)
                throw BenchFailure(description: "\(path): no answer within \(limit)")
            }
            guard let answer = try await group.next() else { throw CancellationError() }
            return answer
        }
    }

    /// The pieces of a watch's stream, until `take` says that it has seen enough.
    func watch(_ path: String, opened: @Sendable () -> Void, _ take: @Sendable ([UInt8]) -> Bool) async throws {
        let client = client()
        let head = HTTPRequest(method: .get, scheme: "https", authority: "127.0.0.1:\(port)", path: path)
        let answer = try await client.send(head)
        guard answer.head.status.code == 200, case .stream(let next) = answer.body else {
            throw BenchFailure(description: "\(kind.rawValue): a watch is answered with \(answer.head.status.code)")
        }
        opened()
        while let piece = try await next() { if !take(piece) { return } }
    }

    /// An error with the last lines of what the processes said.
    func failure(_ text: String) -> BenchFailure {
        let lines = processes.map { name, _ in
            let output = (try? Files.read("\(folder)/\(name).log")) ?? []
            let last = String(decoding: output.suffix(2000), as: UTF8.self).split(separator: "\n").suffix(4)
            return "\n--- \(name): " + last.joined(separator: "\n    ")
        }
        return BenchFailure(description: "\(kind.rawValue): \(text)\(lines.joined())")
    }

    /// CPU seconds of each of its processes.
    func cpuSeconds() -> [Double] { processes.map { ProcessFigures.cpuSeconds($0.process.pid) } }

    /// Resident bytes of each of its processes.
    func resident() -> [(name: String, bytes: Double)] {
        processes.map { ($0.name, ProcessFigures.resident($0.process.pid).all) }
    }

    /// Ends the processes and removes their folder.
    func stop() async {
        await kill()
        try? Files.remove(folder)
    }
}
