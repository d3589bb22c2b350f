import ArgumentParser
import Martlet
import MartletFrontend

/// `martlet-gateway`: the store and the REST gateway alone.
@main
struct MartletGatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-gateway",
        abstract: "Runs the replicated store and the Kubernetes REST gateway over it, and nothing else.",
        discussion: "Objects are kept and served; nothing schedules or runs them. For scripts, tests and clients.")

    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
        try await Daemon.run(try daemon.configuration(roles: [.gateway]), removesPods: false)
    }
}
