import ArgumentParser
import MartletBase
import MartletEtcdClient
import MartletHTTP
import MartletIO
import MartletPeerFlags

#if canImport(Glibc)
import Glibc
#endif

/// The flags of commands that talk to a running member.
struct ClientOptions: ParsableArguments {
    @Option(
        name: [.customLong("endpoint"), .customLong("endpoints")],
        help: "Where the member serves clients. (default: the first of $ETCDCTL_ENDPOINTS, or http://127.0.0.1:2379)")
    var givenEndpoint: String?
    @Option(
        name: .customLong("cacert"),
        help: "The authorities of the member's certificate. (default: $ETCDCTL_CACERT, or the system's)")
    var givenCacert: String?
    @Option(name: .customLong("cert"), help: "The certificate to show. (default: $ETCDCTL_CERT)")
    var givenCert: String?
    @Option(name: .customLong("key"), help: "Its private key. (default: $ETCDCTL_KEY)")
    var givenKey: String?

    /// As etcdctl's flags, these come from the environment where they are not given.
    private static func variable(_ name: String) -> String? {
        getenv("ETCDCTL_\(name)").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The first endpoint: each member answers for all, and a snapshot is one member's.
    private var endpoint: String {
        let all = givenEndpoint ?? Self.variable("ENDPOINTS") ?? "http://127.0.0.1:2379"
        let first = all.split(separator: ",").first.map(String.init) ?? all
        if first.contains("://") { return first }
        return (cacert == nil && cert == nil ? "http://" : "https://") + first
    }
    private var cacert: String? { givenCacert ?? Self.variable("CACERT") }
    private var cert: String? { givenCert ?? Self.variable("CERT") }
    private var key: String? { givenKey ?? Self.variable("KEY") }

    /// Runs `body` with a connection to the member.
    func withClient(_ body: @escaping @Sendable (EtcdClient) async throws -> Void) async throws {
        let options = self
        try await Console.reporting {
            let world = try Reactor(name: "martlet-store")
            defer { world.shutdown() }
            let client = try options.client(in: world)
            do { try await Task(executorPreference: world.executor) { try await body(client) }.value } catch {
                throw options.explained(error)
            }
        }
    }

    /// What went wrong on the way to the member, or what it refused, with what to do.
    private func explained(_ error: any Error) -> any Error {
        switch error {
        case let status as GRPCStatus:
            let hint =
                switch status.code {
                case 4,
                    14 where status.message.contains("etcdserver: "):
                    "; without a quorum nothing can be decided: start the members that are missing, or, when a "
                        + "majority is gone for good, see `martlet-store recover`"
                case 14: "; --endpoint says where a member serves its clients"
                default: ""
                }
            return Failure(description: "\(endpoint): \(status.message)\(hint)")
        case is TLSError:
            return Failure(description: "\(endpoint): \(error); look at --cacert, --cert and --key")
        case is NetworkError:
            return Failure(
                description: "\(endpoint): \(error); --endpoint says where a member serves its clients, and https:// "
                    + "there needs --cacert")
        default: return error
        }
    }

    private struct Failure: Error, CustomStringConvertible { var description: String }

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
