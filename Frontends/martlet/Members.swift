import ArgumentParser
import HTTPTypes
import Martlet

/// `martlet member`
struct Member: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The masters of a cluster.", subcommands: [List.self, Add.self, Remove.self])

    /// `martlet member list`
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the masters, and who of them leads.")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var form: OutputOptions

        func run() async throws {
            let masters = try await connection.masters()
            if form.output == .json { return printJSON(masters) }
            print(Columns.text(Status.rows(masters)))
            for line in MasterStates.failures(masters) { print(line) }
        }
    }

    /// `martlet member add`
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the command that a new master joins with.",
            discussion: "A master adds itself when it joins: this is martlet token create --role master.")
        @OptionGroup var connection: ConnectionOptions
        @Option(help: "How long it is good for: 30m, 24h.") var ttl = "1h"

        func run() async throws {
            var create = Token.Create()
            create.connection = connection
            create.role = "master"
            create.ttl = ttl
            try await create.run()
        }
    }

    /// `martlet member remove`
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a master. One that is gone for good is removed before its successor joins.")
        @OptionGroup var connection: ConnectionOptions
        @Argument(help: "Its name, or its id.") var name: String

        func run() async throws {
            let name = name
            try await connection.withClient { client, _ in
                let answer = try await client.ask(.delete, "/martlet/v1/members/\(name)")
                if let name = answer["forgotten"]?.string {
                    return print("\(name) asked to be let in and never came: it is waited for no longer")
                }
                let removed = answer["removed"]?.string ?? name
                if answer["isLearner"]?.bool == true {
                    return print("\(removed) is a member of the store no longer: end its gateway and delete its folder")
                }
                print("\(removed) is a master no longer; on that machine: martlet reset")
            }
        }
    }
}

/// `martlet status`
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows masters, leader, quorum, nodes, and certificates near expiry.")
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var form: OutputOptions

    func run() async throws {
        let form = form.output
        let members = try await connection.masters()
        try await connection.withClient { client, world in
            let certificates = try await client.ask(.get, "/martlet/v1/pki")
            let ending = CertificateRow.all(certificates, at: world.wallTime()).filter(\.isNearExpiry)
            let nodes = try await client.list(.node).items
            // A master of an older release does not know of them.
            let virtual = (try? await client.ask(.get, "/martlet/v1/vip")) ?? .null
            if form == .json {
                return printJSON([
                    "members": members, "nodes": .array(nodes.map(Self.summary)),
                    "certificatesNearExpiry": .array(ending.map(\.json)),
                    "rotation": certificates["rotation"] ?? .null, "virtualIPs": virtual["routers"] ?? .array([]),
                ])
            }
            print(Columns.text(Self.rows(members)))
            print("")
            for line in MasterStates.failures(members) { print(line) }
            print(MasterStates.quorum(members))
            let held = VirtualIPText.rows(virtual, members)
            if held.count > 1 { print("\n" + Columns.text(held)) }
            if let rotation = certificates["rotation"], rotation != .null, rotation["phase"] != "done" {
                print(RotationText.line(rotation))
            }
            if !ending.isEmpty {
                print("")
                let rows = ending.map { [$0.machine] + $0.cells }
                print(Columns.text([["CERTIFICATE NEAR EXPIRY OF"] + CertificateRow.heading] + rows))
            }
            if nodes.isEmpty { return }
            print("")
            print(
                Columns.text(
                    [["NODE", "READY", "ADDRESS"]]
                        + nodes.map { node in
                            let summary = Self.summary(node)
                            return ["name", "ready", "address"].map { summary[$0]?.string ?? "-" }
                        }))
        }
    }

    static func rows(_ answer: JSON) -> [[String]] {
        let leader = answer["leader"]?.string
        return [["MASTER", "ROLE", "ALIVE", "API", "PEERS", "ID"]]
            + (answer["members"]?.array ?? []).map { member in
                let name = member["name"]?.string ?? ""
                let role = member["votes"]?.bool == true ? (name == leader ? "leader" : "voter") : "learner"
                func list(_ field: String) -> String {
                    (member[field]?.array ?? []).compactMap(\.string).joined(separator: ",")
                }
                return [
                    name.isEmpty ? "(not started)" : name, role, MasterStates.word(member), list("apiURLs"),
                    list("peerURLs"),
                    member["id"]?.string ?? "",
                ]
            }
    }

    static func summary(_ node: JSON) -> JSON {
        let ready = (node["status", "conditions"]?.array ?? []).first { $0["type"]?.string == "Ready" }
        let address = (node["status", "addresses"]?.array ?? []).first { $0["type"]?.string == "InternalIP" }
        return [
            "name": .string(node.name), "ready": ready?["status"] ?? "Unknown", "address": address?["address"] ?? .null,
        ]
    }
}
