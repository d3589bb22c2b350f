import ArgumentParser
import Foundation
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
        let path =
            kubeconfig ?? ProcessInfo.processInfo.environment["KUBECONFIG"]
            ?? (!Files.exists(usual) && Files.exists(own) ? own : usual)
        return try Kubeconfig(path: path)
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

    /// Runs `body` with a client of the cluster, and the world it lives in.
    func withClient(_ body: @escaping @Sendable (Client, any World) async throws -> Void) async throws {
        let target = try target()
        let reactor = try Reactor(name: "martlet-cli")
        defer { reactor.shutdown() }
        try await withTaskExecutorPreference(reactor.executor) {
            let identity = try TLSIdentity(
                certificateChainPEM: target.certificate, privateKeyPEM: target.privateKey)
            let http = HTTPClient(
                endpoint: target.endpoint, serverName: target.host, in: reactor,
                tls: try TLSClient(authoritiesPEM: target.authority, identity: identity))
            try await body(Client(transport: HTTPSTransport(http), in: reactor), reactor)
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

    /// - Throws: `ValidationError` that names the file and what it lacks.
    init(path: String) throws {
        func refuse(_ what: String) -> ValidationError {
            ValidationError("\(path): \(what); give another file with --kubeconfig")
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
