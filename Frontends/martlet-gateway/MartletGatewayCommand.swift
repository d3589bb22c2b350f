import ArgumentParser
import Martlet
import MartletFrontend
import MartletPeerFlags

/// `martlet-gateway`: the store and the REST gateway alone.
@main
struct MartletGatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-gateway",
        abstract: "Runs the replicated store and the Kubernetes REST gateway over it, and nothing else.",
        discussion: """
            Objects are kept and served; nothing schedules or runs them. For scripts, tests and clients. Where its \
            store leads, it also empties and ends namespaces, collects what has lost its owners, makes default \
            service accounts and their tokens, publishes the cluster's authority, gathers aggregated roles, ends old \
            events and signs approved certificates. With --join and --learner it is one more gateway of a running \
            cluster: it answers reads and watches from its own memory and passes writes on. What flags do not say, \
            variables (MARTLET_API_ADDRESS for --api-address) and then the configuration file say.
            """,
        version: MartletVersion.line(of: "martlet-gateway"))

    @OptionGroup var file: ConfigurationOptions
    @OptionGroup var daemon: DaemonOptions
    @OptionGroup var peers: PeerOptions

    @Flag(
        name: .customLong("controllers"), inversion: .prefixedNo,
        help: "Whether it does what is said above where its store leads; without, it only keeps and serves.")
    var tendsObjects = true

    static func main() async { await Configured.main(Self.self, groups: .gateway) }

    func validate() throws { try peers.check() }

    func run() async throws {
        var configuration = try daemon.configuration(roles: [.gateway])
        configuration.tendsObjects = tendsObjects
        if peers.asksForPeers {
            configuration.storePeers = try peers.configuration(name: configuration.nodeName, clientURLs: [])
        }
        try await Daemon.run(configuration, removesPods: false)
    }
}
