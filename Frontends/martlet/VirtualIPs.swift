import ArgumentParser
import HTTPTypes
import Martlet
import MartletBase

/// `martlet vip`
struct VirtualIPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vip", abstract: "The virtual addresses that the masters hold in turn.",
        subcommands: [Show.self, Move.self])

    /// `martlet vip show`
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows who holds the virtual addresses.")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var form: OutputOptions

        func run() async throws {
            let (routers, members) = (try await connection.virtualIPs(), try await connection.masters())
            if form.output == .json { return printJSON(routers) }
            let rows = VirtualIPText.rows(routers, members)
            print(rows.count > 1 ? Columns.text(rows) : "there are no virtual addresses: begin with martlet init --vip")
        }
    }

    /// `martlet vip move`
    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets another master take the virtual addresses over.",
            discussion: "The next master in the order of priorities takes them at once. They stay there.")
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let (routers, members) = (try await connection.virtualIPs(), try await connection.masters())
            let holders = Set((routers["routers"]?.array ?? []).compactMap { $0["holder"]?.string })
            if holders.isEmpty { throw Refusal("nobody is known to hold virtual addresses: see martlet vip show") }
            for holder in holders.sorted() {
                guard let endpoint = VirtualIPText.endpoint(of: holder, routers, members) else {
                    throw Refusal("\(holder) holds the virtual addresses and is no master of this cluster")
                }
                let known = (members["members"]?.array ?? []).map(QuorumGuard.Member.init)
                let name = VirtualIPText.name(of: holder, routers, members)
                if let why = QuorumGuard.refusal(movingAddressesFrom: name, known) {
                    throw Refusal("the virtual addresses are not moved: \(why)")
                }
                try await connection.withTransport(at: endpoint) { transport, world in
                    let client = Client(transport: transport, in: world)
                    let answer = try await client.ask(.post, "/martlet/v1/vip/move", [:])
                    print("\(answer["answeredBy"]?.string ?? holder) gives the virtual addresses up")
                }
            }
        }
    }
}

/// What people read of virtual addresses.
enum VirtualIPText {
    /// A line for each address.
    static func rows(_ answer: JSON, _ members: JSON) -> [[String]] {
        [["VIRTUAL IP", "HELD BY"]]
            + (answer["routers"]?.array ?? []).flatMap { router in
                (router["addresses"]?.array ?? []).compactMap(\.string).map { address in
                    [address, router["holder"]?.string.map { name(of: $0, answer, members) } ?? "nobody that is known"]
                }
            }
    }

    /// What that master is called; its address when it is no member.
    static func name(of holder: String, _ answer: JSON, _ members: JSON) -> String {
        member(holder, answer, members)?["name"]?.string ?? holder
    }

    /// The master with that address. Over IPv6 the holder is known by an address of its link, which only itself knows.
    private static func member(_ holder: String, _ answer: JSON, _ members: JSON) -> JSON? {
        let isItself = (answer["routers"]?.array ?? []).contains {
            $0["state"]?.string == "Active" && $0["holder"]?.string == holder
        }
        return (members["members"]?.array ?? []).first { member in
            isItself
                ? member["name"]?.string == answer["answeredBy"]?.string
                : endpoints(member).contains { if case .ip(let address, _) = $0 { address == holder } else { false } }
        }
    }

    /// Where that master's API is.
    static func endpoint(of holder: String, _ answer: JSON, _ members: JSON) -> Endpoint? {
        member(holder, answer, members).flatMap { endpoints($0).first }
    }

    private static func endpoints(_ member: JSON) -> [Endpoint] {
        (member["apiURLs"]?.array ?? []).compactMap(\.string).compactMap {
            MachineFile.endpoint(String($0.dropFirst("https://".count)))
        }
    }
}

extension ConnectionOptions {
    /// What one master knows of the virtual addresses.
    func virtualIPs() async throws -> JSON {
        try await withClient { client, _ in try await client.ask(.get, "/martlet/v1/vip") }
    }
}
