import ArgumentParser
import HTTPTypes
import Martlet
import MartletFrontend
import MartletIO

/// `martlet token`
struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tokens by which new machines join.", subcommands: [Create.self, List.self, Remove.self])

    /// Makes a token and says how it is used.
    static func create(
        _ role: JoinToken.Role, ttl: Duration, pin: String, by client: Client, of server: Endpoint, in world: any World
    ) async throws -> String {
        let token = JoinToken(pin: pin, in: world)
        _ = try await client.create(.secret, token.secretObject(for: role, until: world.wallTime() + ttl))
        let master = role == .master ? " --role master" : ""
        return "martlet join \(server) --token \(token.text)\(master)"
    }

    /// `24h`, `90m`, `30s`
    static func duration(_ text: String, flag: String = "--ttl") throws -> Duration {
        guard let duration = Duration(written: text), duration > .zero else {
            throw ValidationError("\(flag) \(text) is no time: write it as 30m, 24h or 7d")
        }
        return duration
    }

    /// `martlet token create`
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a token, and prints the command that a new machine joins with.")

        @OptionGroup var connection: ConnectionOptions
        @Option(help: "What it lets in: master (one machine) or worker (any number, until it runs out).")
        var role = "worker"
        @Option(help: "How long it is good for: 30m, 24h, 7d.") var ttl = "1h"

        func run() async throws {
            guard let role = JoinToken.Role(rawValue: role) else {
                throw ValidationError("--role \(role) is neither master nor worker")
            }
            let ttl = try Token.duration(ttl)
            let target = try connection.target()
            let pin = try Joining.pin(ofAuthority: target.authority)
            try await connection.withClient { client, world in
                let server = try await Self.server(client, target.endpoint)
                print(try await Token.create(role, ttl: ttl, pin: pin, by: client, of: server, in: world))
            }
        }

        /// A master as others reach it: this machine's kubeconfig may say 127.0.0.1.
        static func server(_ client: Client, _ own: Endpoint) async throws -> Endpoint {
            guard case .ip(let address, _) = own, address.hasPrefix("127.") || address == "::1" else { return own }
            let members = try await client.ask(.get, "/martlet/v1/members")
            let name = members["answeredBy"]?.string
            let urls = (members["members"]?.array ?? []).filter { $0["name"]?.string == name }
                .flatMap { $0["apiURLs"]?.array ?? [] }.compactMap(\.string)
            return urls.first.flatMap { MachineFile.endpoint(String($0.dropFirst("https://".count))) } ?? own
        }
    }

    /// `martlet token list`
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the tokens there are.")
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            try await connection.withClient { client, world in
                let now = world.wallTime()
                var rows = [["TOKEN", "LETS IN", "UNTIL", "USED FOR"]]
                for secret in try await client.list(.secret, namespace: "kube-system").items
                where secret["type"] == "bootstrap.kubernetes.io/token" {
                    let groups = JoinToken.value("auth-extra-groups", in: secret) ?? ""
                    let role = groups.split(separator: ":").last.map(String.init) ?? "-"
                    let end = JoinToken.value("expiration", in: secret) ?? "for ever"
                    let isOver = WallTime(rfc3339: end).map { $0 <= now } ?? false
                    rows.append([
                        JoinToken.value("token-id", in: secret) ?? secret.name, role,
                        isOver ? "has run out" : end, JoinToken.value("used-for", in: secret) ?? "-",
                    ])
                }
                print(Columns.text(rows))
            }
        }
    }

    /// `martlet token delete`
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "delete", abstract: "Makes a token useless.")
        @OptionGroup var connection: ConnectionOptions
        @Argument(help: "The token, or its first part.") var token: String

        func run() async throws {
            let id = token.split(separator: ".").first.map(String.init) ?? token
            try await connection.withClient { client, _ in
                do {
                    try await client.delete(.secret, namespace: "kube-system", name: "bootstrap-token-\(id)")
                } catch let error as APIError where error.isNotFound {
                    throw ValidationError("there is no token \(id); see martlet token list")
                }
                print("token \(id) deleted")
            }
        }
    }
}
