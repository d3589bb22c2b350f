import ArgumentParser
import Logging
import MartletBase
import MartletReplica

#if canImport(Glibc)
import Glibc
#endif

/// The flags of a running member, but for those of TLS.
struct StoreOptions: ParsableArguments {
    @Option(
        name: .customLong("data-dir"),
        help:
            "The folder of all state. (default: /var/lib/martlet-store, or ~/.local/state/martlet-store when not root)")
    var dataDirectory: String?

    @Option(help: "The name of this member.")
    var name = "default"

    @Option(name: .customLong("listen-client"), help: "Where clients are served; may be given more than once.")
    var clientListeners: [String] = ["http://127.0.0.1:2379"]

    @Option(name: .customLong("listen-peer"), help: "Where the other members are served.")
    var peerListener = "http://127.0.0.1:2380"

    @Option(name: .customLong("advertise-client"), help: "Where clients reach this member. (default: --listen-client)")
    var clientURLs: [String] = []

    @Option(
        name: .customLong("advertise-peer"), help: "Where the other members reach this one. (default: --listen-peer)")
    var peerURLs: [String] = []

    @Option(help: "The first members of a new cluster, this one among them: NAME=URL,...")
    var initialCluster: String?

    @Option(help: "Tells this cluster from others with members of the same names.")
    var initialClusterToken = "martlet-store"

    @Option(
        name: .customLong("join"),
        help:
            "Enter a cluster: where one of its members serves its peers; may be given more than once."
    )
    var joins: [String] = []

    @Flag(help: "With --join: get no vote, serve reads and watches and pass writes on.")
    var learner = false

    @Option(help: "How many revisions of history are kept for watches and reads of the past.")
    var historyRevisions = 10_000

    @Flag(help: "Answer reads without asking the other members first; trusts that clocks run at about the same speed.")
    var leaseReads = false

    @Option(help: "How much to say: trace, debug, info, notice, warning, error.")
    var logLevel = "info"

    func validate() throws {
        if initialCluster != nil, !joins.isEmpty {
            throw ValidationError("--initial-cluster begins a new cluster, --join enters one: give one of them")
        }
        if learner, joins.isEmpty { throw ValidationError("--learner is for members that --join a cluster") }
        if historyRevisions < 0 { throw ValidationError("--history-revisions \(historyRevisions) is less than 0") }
        if Logger.Level(rawValue: logLevel) == nil {
            throw ValidationError("--log-level \(logLevel) is none of trace, debug, info, notice, warning, error")
        }
    }

    /// The log, on the standard error output.
    var logger: Logger {
        var logger = Logger(label: "martlet-store") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        return logger
    }

    /// The replica that these flags ask for.
    /// - Throws: `ValidationError` that names the flag.
    func configuration(security: PeerSecurity?) throws -> ReplicaConfiguration {
        let peer = try MemberURL(peerListener, flag: "--listen-peer")
        try peer.expect(secure: security != nil, flag: "--listen-peer", files: "--peer-cert-file and --peer-key-file")
        let peers = PeerConfiguration(
            name: name, listen: peer.endpoint, peerURLs: peerURLs.isEmpty ? [peerListener] : peerURLs,
            clientURLs: clientURLs.isEmpty ? clientListeners : clientURLs, bootstrap: try bootstrap(),
            security: security)
        var configuration = ReplicaConfiguration(
            directory: dataDirectory ?? Self.standardDirectory, historyLimit: historyRevisions, peers: peers)
        configuration.leaseReads = leaseReads
        return configuration
    }

    private func bootstrap() throws -> Bootstrap {
        if !joins.isEmpty {
            return .join(via: try joins.map { try MemberURL($0, flag: "--join").endpoint }, asLearner: learner)
        }
        guard let initialCluster else { return .alone }
        let members = try InitialCluster.members(initialCluster)
        return .cluster(
            token: initialClusterToken,
            members: members.map { Bootstrap.FirstMember(name: $0.name, peerURLs: $0.peerURLs) })
    }

    private static var standardDirectory: String {
        if geteuid() == 0 { return "/var/lib/martlet-store" }
        let home = getenv("HOME").map { String(cString: $0) } ?? "."
        return (getenv("XDG_STATE_HOME").map { String(cString: $0) } ?? home + "/.local/state") + "/martlet-store"
    }
}

/// `https://10.0.0.1:2379`: where a member is served.
struct MemberURL {
    var endpoint: Endpoint
    var isSecure: Bool

    /// - Throws: `ValidationError` that names the flag.
    init(_ text: String, flag: String) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3 || parts.count == 4 && parts[3].isEmpty, parts[1].isEmpty,
            parts[0] == "https:" || parts[0] == "http:", let colon = parts[2].lastIndex(of: ":"),
            let port = UInt16(parts[2][parts[2].index(after: colon)...])
        else { throw ValidationError("\(flag) \(text) is not https://ADDRESS:PORT or http://ADDRESS:PORT") }
        let host = parts[2][..<colon].filter { $0 != "[" && $0 != "]" }
        guard !host.isEmpty else { throw ValidationError("\(flag) \(text) has no address") }
        endpoint = .ip(host == "localhost" ? "127.0.0.1" : String(host), port: port)
        isSecure = parts[0] == "https:"
    }

    /// Checks that there are certificates where the URL wants them, and none where it does not.
    func expect(secure: Bool, flag: String, files: String) throws {
        if isSecure, !secure { throw ValidationError("\(flag) is https://, for which \(files) are needed") }
        if !isSecure, secure { throw ValidationError("\(flag) is http://, but \(files) ask for https://") }
    }
}
