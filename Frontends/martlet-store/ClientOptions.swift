import ArgumentParser
import MartletBase
import MartletEtcdClient
import MartletHTTP
import MartletIO
import MartletPeerFlags

/// The flags of commands that talk to a running member.
struct ClientOptions: ParsableArguments {
    @Option(help: "Where the member serves clients.")
    var endpoint = "http://127.0.0.1:2379"
    @Option(help: "The authorities of the member's certificate. (default: the system's)")
    var cacert: String?
    @Option(help: "The certificate to show.")
    var cert: String?
    @Option(help: "Its private key.")
    var key: String?

    /// Runs `body` with a connection to the member.
    func withClient(_ body: @escaping @Sendable (EtcdClient) async throws -> Void) async throws {
        let options = self
        try await Console.reporting {
            let world = try Reactor(name: "martlet-store")
            defer { world.shutdown() }
            let client = try options.client(in: world)
            try await Task(executorPreference: world.executor) { try await body(client) }.value
        }
    }

    private func client(in world: any World) throws -> EtcdClient {
        let url = try MemberURL(endpoint, flag: "--endpoint")
        if !url.isSecure, cacert != nil || cert != nil || key != nil {
            throw ValidationError("--endpoint \(endpoint) is http://, but --cacert, --cert and --key are for https://")
        }
        if (cert == nil) != (key == nil) { throw ValidationError("--cert and --key go together") }
        var tls: TLSClient?
        if url.isSecure {
            let identity = try cert.flatMap { cert in
                try key.map {
                    try TLSIdentity(certificateChainPEM: Files.read(cert), privateKeyPEM: Files.read($0))
                }
            }
            tls = try TLSClient(
                authoritiesPEM: try cacert.map { try Files.read($0) }, identity: identity, alpn: ["h2"])
        }
        return EtcdClient(
            endpoint: url.endpoint, authority: "\(url.endpoint)", in: world, tls: tls, timeout: .seconds(10))
    }
}
