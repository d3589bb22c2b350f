import ArgumentParser
import Foundation
import HTTPTypes
import Martlet
import MartletBase
import MartletHTTP
import MartletIO

/// How to reach the cluster: the current context of a kubeconfig.
struct ConnectionOptions: ParsableArguments {
    @Option(help: "The kubeconfig to use. (default: $KUBECONFIG, else ~/.kube/config, else this master's own)")
    var kubeconfig: String?

    /// The cluster, as the kubeconfig says.
    func target() throws -> Kubeconfig {
        let usual = NSHomeDirectory() + "/.kube/config"
        let own = "/var/lib/martlet/admin.kubeconfig"
        if let path = kubeconfig ?? ProcessInfo.processInfo.environment["KUBECONFIG"] {
            return try Kubeconfig(path: path)
        }
        if let path = [usual, own].first(where: Files.exists) { return try Kubeconfig(path: path) }
        throw Refusal(Self.missing(usual, try? MachineFile(readingFrom: "/var/lib/martlet")))
    }

    private static func missing(_ usual: String, _ machine: MachineFile?) -> String {
        let what =
            switch machine?.roles.contains(.gateway) {
            case nil: "this machine is no master"
            case false?: "\(machine?.nodeName ?? "") is no master, and has no leave to ask of the whole cluster"
            case true?: "this master has not run yet"
            }
        return "\(what), and there is no \(usual): run this on a master, or give --kubeconfig FILE"
    }

    /// Returns when the API takes requests.
    func whenReady() async throws {
        for attempt in 1... {
            do { return try await withClient { client, _ in _ = try await client.list(.namespace) } } catch {
                guard attempt < 300 else { throw error }
                usleep(100_000)
            }
        }
    }

    /// The masters as the leader sees them, who alone hears of all; as any of them does where no leader answers. Each
    /// says itself whether it takes changes.
    func masters() async throws -> JSON {
        var masters = try await withClient { client, _ in try await client.ask(.get, "/martlet/v1/members") }
        if let leader = masters["leader"]?.string, leader != masters["answeredBy"]?.string,
            let leading = await members(as: leader, amongst: masters)
        {
            masters = MasterStates.merge(masters, into: leading)
        }
        for name in MasterStates.unheard(masters) {
            guard let other = await members(as: name, amongst: masters) else { continue }
            masters = MasterStates.merge(other, into: masters)
        }
        return masters
    }

    /// The masters as one of them sees them; nil when it does not answer.
    private func members(as name: String, amongst masters: JSON) async -> JSON? {
        let urls = (masters["members"]?.array ?? []).filter { $0["name"]?.string == name }
            .flatMap { $0["apiURLs"]?.array ?? [] }.compactMap(\.string)
        guard
            let endpoint = urls.lazy.compactMap({ MachineFile.endpoint(String($0.dropFirst("https://".count))) }).first
        else { return nil }
        return try? await withTransport(at: endpoint) { transport, world in
            let client = Client(transport: transport, in: world)
            return try await world.limited(to: .seconds(2), "\(endpoint)") {
                try await client.ask(.get, "/martlet/v1/members")
            }
        }
    }

    /// Runs `body` with a client of the cluster, and the world it lives in.
    func withClient<Value: Sendable>(
        _ body: @escaping @Sendable (Client, any World) async throws -> Value
    ) async throws -> Value {
        try await withTransport { try await body(Client(transport: $0, in: $1), $1) }
    }

    /// Runs `body` with what carries requests to the cluster, and the world it lives in.
    /// - Parameter endpoint: another master than the kubeconfig says.
    func withTransport<Value: Sendable>(
        at endpoint: Endpoint? = nil, _ body: @escaping @Sendable (HTTPSTransport, any World) async throws -> Value
    ) async throws -> Value {
        var target = try target()
        if case .ip(let address, _)? = endpoint {
            target.endpoint = endpoint ?? target.endpoint
            target.host = address
        }
        let reactor = try Reactor(name: "martlet-cli")
        defer { reactor.shutdown() }
        return try await withTaskExecutorPreference(reactor.executor) {
            let identity = try TLSIdentity(
                certificateChainPEM: target.certificate, privateKeyPEM: target.privateKey)
            let http = HTTPClient(
                endpoint: target.endpoint, serverName: target.host, in: reactor,
                tls: try TLSClient(authoritiesPEM: target.authority, identity: identity))
            return try await body(HTTPSTransport(http), reactor)
        }
    }
}

/// The current context of a kubeconfig file.
struct Kubeconfig {
    var endpoint: Endpoint
    var host: String
    var authority: [UInt8]
    var certificate: [UInt8]
    var privateKey: [UInt8]

    /// - Throws: `Refusal` that names the file and what it lacks.
    init(path: String) throws {
        func refuse(_ what: String) -> Refusal {
            Refusal("\(path): \(what); give another file with --kubeconfig")
        }
        guard let text = FileManager.default.contents(atPath: path) else { throw refuse("cannot be read") }
        let config: JSON
        do { config = try JSON.documents(yaml: text).first ?? .null } catch { throw refuse("is not YAML (\(error))") }
        func named(_ list: String, _ name: String?) -> JSON? {
            config[list]?.array?.first { $0["name"]?.string == name }
        }
        let context = named("contexts", config["current-context"]?.string)?["context"]
        guard let cluster = named("clusters", context?["cluster"]?.string)?["cluster"],
            let user = named("users", context?["user"]?.string)?["user"]
        else { throw refuse("has no usable current-context") }
        guard let server = cluster["server"]?.string.flatMap(URL.init(string:)), let host = server.host else {
            throw refuse("its cluster has no server")
        }
        func material(_ json: JSON, _ key: String) throws -> [UInt8] {
            if let text = json[key + "-data"]?.string, let data = Base64.decode(text) { return data }
            if let file = json[key]?.string, let data = FileManager.default.contents(atPath: file) {
                return [UInt8](data)
            }
            throw refuse("has no \(key)")
        }
        self.host = host
        endpoint = .ip(host == "localhost" ? "127.0.0.1" : host, port: UInt16(server.port ?? 443))
        authority = try material(cluster, "certificate-authority")
        certificate = try material(user, "client-certificate")
        privateKey = try material(user, "client-key")
    }
}
