import ArgumentParser
import Martlet
import MartletFrontend

/// `martlet`: the command line of a cluster.
@main
struct MartletCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Makes clusters of machines, looks after them, and talks to them.",
        discussion: """
            For everything else use kubectl with the kubeconfig that martletd writes; apply, get and delete serve \
            where there is no kubectl.
            """,
        version: MartletVersion.line(of: "martlet"),
        subcommands: [
            Init.self, Join.self, Token.self, Member.self, Node.self, Status.self, Snapshot.self, Upgrade.self,
            VirtualIPCommand.self, Reset.self, PKI.self, User.self, Config.self, Apply.self, Get.self, Delete.self,
            Image.self,
        ])

    static func main() async {
        var words = Array(CommandLine.arguments.dropFirst())
        var command: any ParsableCommand.Type = Self.self
        var path: [String] = []
        while let word = words.first,
            let next = command.configuration.subcommands.first(where: { $0._commandName == word })
        {
            path.append(words.removeFirst())
            command = next
        }
        do {
            if let configured = command as? any ConfiguredCommand.Type {
                words = try Configured.arguments(for: configured.settings, words)
            }
        } catch { exit(withError: error) }
        await Console.run(Self.self, path + words)
    }
}

/// A command whose flags variables and the configuration file set, too.
protocol ConfiguredCommand: AsyncParsableCommand {
    /// Which of its flags.
    static var settings: SettingGroups { get }
}
