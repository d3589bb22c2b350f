public import ArgumentParser
internal import MartletBase
internal import MartletHTTP
internal import MartletIO
public import MartletReplica

/// The flags of a member of a replicated store that say who its peers are, and how they know each other.
public struct PeerOptions: ParsableArguments {
    /// Where a member listens for its peers when nothing else is said.
    public static let standardListener = "http://127.0.0.1:2380"

    @Option(
        name: .customLong("listen-peer"),
        help: "Where the other members are served. (default: \(PeerOptions.standardListener))")
    var listener: String?

    @Option(
        name: .customLong("advertise-peer"), help: "Where the other members reach this one. (default: --listen-peer)")
    var advertised: [String] = []

    @Option(help: "The first members of a new cluster, this one among them: NAME=URL,...")
    var initialCluster: String?

    @Option(help: "Tells this cluster from others with members of the same names.")
    var initialClusterToken = "martlet-store"

    @Option(
        name: .customLong("join"),
        help: "Enter a cluster: where one of its members serves its peers; may be given more than once.")
    var joins: [String] = []

    @Flag(help: "With --join: get no vote, serve reads and watches and pass writes on.")
    var learner = false

    @Option(help: "This member's certificate among its peers, for both sides of a connection.")
    var peerCertFile: String?
    @Option(help: "Its private key.")
    var peerKeyFile: String?
    @Option(help: "The authorities of peers' certificates.")
    var peerTrustedCaFile: String?

    /// See ``configuration(name:clientURLs:hasCertificates:)``. No flag.
    private var hasCertificates = false

    private enum CodingKeys: CodingKey {
        case listener, advertised, initialCluster, initialClusterToken, joins, learner
        case peerCertFile, peerKeyFile, peerTrustedCaFile
    }

    /// As the command line gives them.
    public init() {}

    /// Refuses flags that contradict each other.
    /// - Throws: `ValidationError` that names them.
    public func check() throws {
        if initialCluster != nil, !joins.isEmpty {
            throw ValidationError("--initial-cluster begins a new cluster, --join enters one: give one of them")
        }
        if learner, joins.isEmpty { throw ValidationError("--learner is for members that --join a cluster") }
        let files = [peerCertFile, peerKeyFile, peerTrustedCaFile].compactMap { $0 }
        if !files.isEmpty, files.count < 3 {
            throw ValidationError("--peer-cert-file, --peer-key-file and --peer-trusted-ca-file go together")
        }
    }

    /// Whether any of the flags asks for peers.
    public var asksForPeers: Bool { listener != nil || initialCluster != nil || !joins.isEmpty }

    /// The member `name` that these flags ask for; clients reach it at `clientURLs`.
    /// - Parameter hasCertificates: whether https:// needs no files, because the program has certificates of its own.
    /// - Throws: `ValidationError` that names the flag.
    public func configuration(name: String, clientURLs: [String], hasCertificates: Bool = false) throws
        -> PeerConfiguration
    {
        var checked = self
        checked.hasCertificates = hasCertificates
        return try checked.checkedConfiguration(name: name, clientURLs: clientURLs)
    }

    private func checkedConfiguration(name: String, clientURLs: [String]) throws -> PeerConfiguration {
        let text = listener ?? Self.standardListener
        let url = try url(text, flag: "--listen-peer")
        for text in advertised { _ = try self.url(text, flag: "--advertise-peer") }
        do { try Reactor.checkFree([url.endpoint]) } catch {
            throw ValidationError("--listen-peer \(text): \(error); choose another port, or end who has it")
        }
        let security = try security()
        return PeerConfiguration(
            name: name, listen: url.endpoint, peerURLs: advertised.isEmpty ? [text] : advertised,
            clientURLs: clientURLs, bootstrap: try bootstrap(), security: security)
    }

    /// A peer's URL, of the scheme that the certificates ask for.
    private func url(_ text: String, flag: String) throws -> MemberURL {
        let url = try MemberURL(text, flag: flag)
        try expect(url, flag: flag)
        return url
    }

    private func expect(_ url: MemberURL, flag: String) throws {
        if hasCertificates, peerCertFile == nil { return }
        try url.expect(secure: peerCertFile != nil, flag: flag, files: "--peer-cert-file and --peer-key-file")
    }

    private func bootstrap() throws -> Bootstrap {
        if !joins.isEmpty {
            return .join(via: try joins.map { try url($0, flag: "--join").endpoint }, asLearner: learner)
        }
        guard let initialCluster else { return .alone }
        let members = try InitialCluster.members(initialCluster) { try expect($0, flag: "--initial-cluster") }
        return .cluster(
            token: initialClusterToken,
            members: members.map { Bootstrap.FirstMember(name: $0.name, peerURLs: $0.peerURLs) })
    }

    /// Mutual TLS among the members; nil without a certificate.
    private func security() throws -> PeerSecurity? {
        guard let peerCertFile, let peerKeyFile, let peerTrustedCaFile else { return nil }
        let identity = try PEMFiles.identity(peerCertFile, peerKeyFile)
        let authorities = try PEMFiles.read(peerTrustedCaFile)
        return PeerSecurity(
            server: try TLSServer(identity: identity, clients: .required(authoritiesPEM: authorities)),
            client: try TLSClient(authoritiesPEM: authorities, identity: identity))
    }
}
