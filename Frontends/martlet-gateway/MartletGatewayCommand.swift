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
            Objects are kept and served; nothing schedules or runs them. For scripts, tests and clients. With --join \
            and --learner it is one more gateway of a running cluster: it answers reads and watches from its own \
            memory and passes writes on.
            """)

    @OptionGroup var daemon: DaemonOptions
    @OptionGroup var peers: PeerOptions

    func validate() throws { try peers.check() }

    func run() async throws {
        var configuration = try daemon.configuration(roles: [.gateway])
        if peers.asksForPeers {
            configuration.storePeers = try peers.configuration(name: configuration.nodeName, clientURLs: [])
        }
        try await Daemon.run(configuration, removesPods: false)
    }
}
