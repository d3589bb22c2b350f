import ArgumentParser
import MartletBase
import MartletEtcdMessages
import MartletHTTP
import MartletIO
import SwiftProtobuf

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
            let client = try EtcdClient(options, in: world)
            try await Task(executorPreference: world.executor) { try await body(client) }.value
        }
    }
}

/// A client of etcd's API.
struct EtcdClient: Sendable {
    private let channel: GRPCChannel

    init(_ options: ClientOptions, in world: any World) throws {
        let url = try MemberURL(options.endpoint, flag: "--endpoint")
        var tls: TLSClient?
        if url.isSecure {
            let identity = try options.cert.flatMap { cert in
                try options.key.map {
                    try TLSIdentity(certificateChainPEM: Files.read(cert), privateKeyPEM: Files.read($0))
                }
            }
            tls = try TLSClient(
                authoritiesPEM: try options.cacert.map { try Files.read($0) }, identity: identity, alpn: ["h2"])
        }
        channel = GRPCChannel(endpoint: url.endpoint, authority: "\(url.endpoint)", in: world, tls: tls)
    }

    /// One request, one answer.
    func call<Request: Message, Response: Message>(_ path: String, _ request: Request, _: Response.Type) async throws
        -> Response
    {
        let bytes: [UInt8] = try request.serializedBytes()
        let answer = try await channel.unary("/etcdserverpb.\(path)", bytes, timeout: .seconds(10))
        return try Response(serializedBytes: answer)
    }

    /// All pieces of a snapshot.
    func snapshot(_ take: (EtcdSnapshotResponse) throws -> Void) async throws {
        let next = try await channel.serverStream("/etcdserverpb.Maintenance/Snapshot", [])
        while let bytes = try await next() { try take(try EtcdSnapshotResponse(serializedBytes: bytes)) }
    }
}
