import ArgumentParser
import Martlet
import MartletFrontend
import MartletPeerFlags

/// `martletd`: one machine's part of a cluster, by default all of it.
@main
struct Martletd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martletd",
        abstract: "Runs a Kubernetes-compatible cluster, or this machine's part of it.",
        discussion: """
            Without flags it plays every role: store, REST gateway, scheduler, controllers, node agent, ingress and \
            edge. It stops at SIGINT or SIGTERM; pods run on and are taken over at the next start, unless --ephemeral \
            is given. What flags do not say, variables (MARTLET_NODE_NAME for --node-name) and then the configuration \
            file say.
            """,
        version: MartletVersion.line(of: "martletd"))

    @OptionGroup var file: ConfigurationOptions
    @OptionGroup var daemon: DaemonOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup(title: "One master among several") var peers: PeerOptions

    @Flag(help: "Say whether the configuration is good, and leave.")
    var checkConfig = false

    @Flag(help: "End all pods with the daemon, and remove everything that was made for them.")
    var ephemeral = false

    @Flag(help: ArgumentHelp("End all pods, remove what was made for them, and leave.", visibility: .hidden))
    var clean = false

    static func main() async { await Configured.main(Self.self, groups: .daemon) }

    func validate() throws { try peers.check() }

    func run() async throws {
        var configuration = try daemon.configuration(roles: node.chosenRoles)
        node.apply(to: &configuration)
        if checkConfig { return print("the configuration is good") }
        if peers.asksForPeers {
            configuration.storePeers = try peers.configuration(
                name: configuration.nodeName, clientURLs: [configuration.apiURL], hasCertificates: true)
        }
        if clean { return try await Daemon.clean(configuration) }
        try await Daemon.run(configuration, removesPods: ephemeral)
    }
}
