import ArgumentParser
import Martlet
import MartletFrontend
import MartletIO
import MartletPKI

/// `martlet user`
struct User: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "People who use the cluster.", subcommands: [Certificate.self])

    /// `martlet user cert`
    struct Certificate: ConfiguredCommand {
        static let configuration = CommandConfiguration(
            commandName: "cert", abstract: "Makes a kubeconfig with a short-lived certificate; on a master.")
        static var settings: SettingGroups { .local }

        @OptionGroup var data: DataOptions
        @OptionGroup var connection: ConnectionOptions
        @Argument(help: "The user's name.") var name: String
        @Option(name: .customLong("group"), help: "A group of the user; may be given more than once.")
        var groups: [String] = []
        @Option(help: "How long it is good for: 10m, 24h, 30d.") var ttl = "24h"
        @Option(
            help: """
                Where the kubeconfig finds the API: ADDRESS, ADDRESS:PORT or a URL. (default: the cluster's virtual \
                address, else this master's own)
                """, transform: Flags.apiServer)
        var server: String?

        func run() async throws {
            let lifetime = try Token.duration(ttl)
            guard !name.hasPrefix("system:") else {
                throw ValidationError("\(name): names that begin with system: are the cluster's own")
            }
            var connection = connection
            guard Files.exists(data.path + "/pki/ca.key") else {
                throw Refusal(
                    "there is no master's data folder at \(data.path), with whose authority's key it is signed: run "
                        + "this on a master, and give --data-dir when its folder is another one")
            }
            if connection.kubeconfig == nil { connection.kubeconfig = data.path + "/admin.kubeconfig" }
            var endpoint = try connection.target().endpoint
            // It is for somebody elsewhere.
            if let machine = try MachineFile(readingFrom: data.path) { endpoint = machine.published(endpoint) }
            let reactor = try Reactor(name: "martlet-cli")
            defer { reactor.shutdown() }
            let text = try ClusterPKI(directory: data.path + "/pki").kubeconfig(
                user: name, groups: groups, server: server ?? "https://\(endpoint)", cluster: "martlet",
                lifetime: lifetime, now: reactor.wallTime())
            print(String(decoding: text, as: UTF8.self), terminator: "")
        }
    }
}
