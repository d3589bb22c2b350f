import ArgumentParser
import MartletBase
import MartletHTTP
import MartletIO
import MartletReplica

/// The flags of TLS: PEM files.
struct TLSOptions: ParsableArguments {
    @Option(help: "The certificate that clients are shown, with its chain.")
    var certFile: String?
    @Option(help: "Its private key.")
    var keyFile: String?
    @Option(help: "The authorities of clients' certificates.")
    var trustedCaFile: String?
    @Flag(help: "Refuse clients without a certificate of --trusted-ca-file; its common name is the user.")
    var clientCertAuth = false

    @Option(help: "This member's certificate among its peers, for both sides of a connection.")
    var peerCertFile: String?
    @Option(help: "Its private key.")
    var peerKeyFile: String?
    @Option(help: "The authorities of peers' certificates.")
    var peerTrustedCaFile: String?

    func validate() throws {
        if (certFile == nil) != (keyFile == nil) { throw ValidationError("--cert-file and --key-file go together") }
        if clientCertAuth, trustedCaFile == nil {
            throw ValidationError("--client-cert-auth needs --trusted-ca-file")
        }
        let peers = [peerCertFile, peerKeyFile, peerTrustedCaFile].compactMap { $0 }
        if !peers.isEmpty, peers.count < 3 {
            throw ValidationError("--peer-cert-file, --peer-key-file and --peer-trusted-ca-file go together")
        }
    }

    /// TLS towards clients; nil without a certificate.
    func clients() throws -> TLSServer? {
        guard let certFile, let keyFile else { return nil }
        let identity = try Self.identity(certFile, keyFile)
        let authorities = try trustedCaFile.map(Self.read)
        let policy: TLSServer.ClientCertificates =
            switch authorities {
            case .none: .none
            case .some(let pem): clientCertAuth ? .required(authoritiesPEM: pem) : .optional(authoritiesPEM: pem)
            }
        return try TLSServer(identity: identity, clients: policy, alpn: ["h2", "http/1.1"])
    }

    /// Mutual TLS among the members; nil without a certificate.
    func peers() throws -> PeerSecurity? {
        guard let peerCertFile, let peerKeyFile, let peerTrustedCaFile else { return nil }
        let identity = try Self.identity(peerCertFile, peerKeyFile)
        let authorities = try Self.read(peerTrustedCaFile)
        return PeerSecurity(
            server: try TLSServer(identity: identity, clients: .required(authoritiesPEM: authorities)),
            client: try TLSClient(authoritiesPEM: authorities, identity: identity))
    }

    private static func identity(_ certificate: String, _ key: String) throws -> TLSIdentity {
        do {
            return try TLSIdentity(certificateChainPEM: try read(certificate), privateKeyPEM: try read(key))
        } catch let error as TLSError {
            throw ValidationError("\(certificate), \(key): \(error)")
        }
    }

    private static func read(_ path: String) throws -> [UInt8] {
        do { return try Files.read(path) } catch { throw ValidationError("\(path): \(error)") }
    }
}
