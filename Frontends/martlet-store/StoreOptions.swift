import ArgumentParser
import Logging
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

    @Option(name: .customLong("advertise-client"), help: "Where clients reach this member. (default: --listen-client)")
    var clientURLs: [String] = []

    @Option(help: "How many revisions of history are kept for watches and reads of the past.")
    var historyRevisions = 10_000

    @Flag(help: "Answer reads without asking the other members first; trusts that clocks run at about the same speed.")
    var leaseReads = false

    @Option(help: "How much to say: trace, debug, info, notice, warning, error.")
    var logLevel = "info"

    func validate() throws {
        if name.isEmpty { throw ValidationError("--name is empty; give this member a name of its own") }
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

    /// The replica that these flags ask for, among these peers.
    func configuration(_ peers: PeerConfiguration) -> ReplicaConfiguration {
        var configuration = ReplicaConfiguration(
            directory: dataDirectory ?? Self.standardDirectory, historyLimit: historyRevisions, peers: peers)
        configuration.leaseReads = leaseReads
        return configuration
    }

    private static var standardDirectory: String {
        if geteuid() == 0 { return "/var/lib/martlet-store" }
        let home = getenv("HOME").map { String(cString: $0) } ?? "."
        return (getenv("XDG_STATE_HOME").map { String(cString: $0) } ?? home + "/.local/state") + "/martlet-store"
    }
}
