internal import MartletHTTP
internal import MartletPKI
internal import Synchronization

/// The certificates of this machine in use. The files are the truth; whatever shows or trusts them is known here, and
/// follows when they change, without a restart: new handshakes go by the new files, open connections go on.
final class Credentials: Sendable {
    let pki: ClusterPKI
    private let followers = Mutex<[@Sendable (ClusterPKI) throws -> Void]>([])

    init(_ pki: ClusterPKI) { self.pki = pki }

    /// A server that shows a leaf, and asks its clients for certificates of an authority. Where none is required, one
    /// that cannot be verified is no identity, and does no harm beside a good token.
    /// - Throws: `PKIError` or `TLSError`.
    func server(_ leaf: String, clientsOf authority: String, required: Bool) throws -> TLSServer {
        @Sendable func settings(_ pki: ClusterPKI) throws -> (TLSIdentity, TLSServer.ClientCertificates) {
            let trusted = try pki.trusted(authority)
            return (
                try TLSIdentity(pki.servingPair(leaf)),
                required ? .required(authoritiesPEM: trusted) : .requested(authoritiesPEM: trusted)
            )
        }
        let (identity, clients) = try settings(pki)
        let server = try TLSServer(identity: identity, clients: clients)
        follow { pki in
            let (identity, clients) = try settings(pki)
            try server.replace(identity: identity, clients: clients)
        }
        return server
    }

    /// A client that shows a leaf, and trusts an authority.
    /// - Throws: `PKIError` or `TLSError`.
    func client(_ leaf: String, trusting authority: String) throws -> TLSClient {
        let client = try TLSClient(
            authoritiesPEM: pki.trusted(authority), identity: TLSIdentity(pki.keyPair(leaf)))
        follow { pki in
            try client.replace(
                authoritiesPEM: pki.trusted(authority), identity: TLSIdentity(pki.keyPair(leaf)))
        }
        return client
    }

    /// Tells `follower` whenever the files have changed.
    func follow(_ follower: @escaping @Sendable (ClusterPKI) throws -> Void) {
        followers.withLock { $0.append(follower) }
    }

    /// Makes everything go by what is in the files now.
    /// - Throws: `PKIError` or `TLSError` of the first that cannot; the rest has changed all the same.
    func reload() throws {
        var failure: (any Error)?
        for follower in followers.withLock({ $0 }) {
            do { try follower(pki) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }
}
