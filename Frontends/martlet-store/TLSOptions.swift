import ArgumentParser
import MartletHTTP
import MartletPeerFlags

/// The flags of TLS towards clients: PEM files.
struct TLSOptions: ParsableArguments {
    @Option(help: "The certificate that clients are shown, with its chain.")
    var certFile: String?
    @Option(help: "Its private key.")
    var keyFile: String?
    @Option(help: "The authorities of clients' certificates.")
    var trustedCaFile: String?
    @Flag(help: "Refuse clients without a certificate of --trusted-ca-file; its common name is the user.")
    var clientCertAuth = false

    func validate() throws {
        if (certFile == nil) != (keyFile == nil) { throw ValidationError("--cert-file and --key-file go together") }
        if clientCertAuth, trustedCaFile == nil {
            throw ValidationError("--client-cert-auth needs --trusted-ca-file")
        }
    }

    /// TLS towards clients; nil without a certificate.
    func clients() throws -> TLSServer? {
        guard let certFile, let keyFile else { return nil }
        let identity = try PEMFiles.identity(certFile, keyFile)
        let authorities = try trustedCaFile.map(PEMFiles.read)
        let policy: TLSServer.ClientCertificates =
            switch authorities {
            case .none: .none
            case .some(let pem): clientCertAuth ? .required(authoritiesPEM: pem) : .optional(authoritiesPEM: pem)
            }
        return try TLSServer(identity: identity, clients: policy, alpn: ["h2", "http/1.1"])
    }
}
