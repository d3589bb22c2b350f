import ArgumentParser
import MartletBase

/// `martlet-bench`: measures a part of Martlet beside what bounds it, in one run.
@main
struct MartletBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-bench",
        abstract: "Measures parts of Martlet beside their rival or their bound, in one run.",
        version: MartletVersion.line(of: "martlet-bench"),
        subcommands: [
            LogBenchCommand.self, StoreBenchCommand.self, GatewayBenchCommand.self, InformerCommand.self,
            TortureCommand.self, DNSBenchCommand.self, DNSServeCommand.self,
            NetworkBenchCommand.self, EdgeBenchCommand.self, RoutesBenchCommand.self, LoadCommand.self,
        ])
}
