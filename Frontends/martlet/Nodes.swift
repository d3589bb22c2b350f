import ArgumentParser
import Martlet
import MartletBase

/// `martlet node`
struct Node: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The machines that run pods.",
        subcommands: [List.self, Cordon.self, Uncordon.self, Drain.self])

    /// Runs `body`; that there is no node of the name is said with what to do.
    static func naming(_ name: String, _ body: () async throws -> Void) async throws {
        do { try await body() } catch let error as APIError where error.isNotFound {
            throw Refusal("there is no node \(name); see martlet node list")
        }
    }

    /// `martlet node list`
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the nodes, and what they take.")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var form: OutputOptions

        func run() async throws {
            let form = form.output
            try await connection.withClient { client, _ in
                let nodes = try await client.list(.node).items.map(Self.summary)
                if form == .json { return printJSON(.array(nodes)) }
                print(
                    Columns.text(
                        [["NODE", "READY", "PODS", "ADDRESS", "POD RANGE"]]
                            + nodes.map { node in
                                [
                                    node["name"]?.string ?? "", node["ready"]?.string ?? "Unknown",
                                    node["schedulable"]?.bool == false ? "no more (cordoned)" : "taken",
                                    node["address"]?.string ?? "-", node["podCIDR"]?.string ?? "-",
                                ]
                            }))
            }
        }

        static func summary(_ node: JSON) -> JSON {
            var summary = Status.summary(node)
            summary["schedulable"] = .bool(node["spec", "unschedulable"]?.bool != true)
            summary["podCIDR"] = node["spec", "podCIDR"] ?? .null
            return summary
        }
    }

    /// `martlet node cordon`
    struct Cordon: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets no further pod be placed on a node.")
        @OptionGroup var connection: ConnectionOptions
        @Argument(help: "The node's name.") var name: String

        func run() async throws {
            let name = name
            try await connection.withClient { client, _ in
                try await Node.naming(name) {
                    let isNew = try await NodeDrain.setUnschedulable(true, node: name, by: client)
                    print("node \(name) \(isNew ? "takes no more pods" : "took no more pods already")")
                }
            }
        }
    }

    /// `martlet node uncordon`
    struct Uncordon: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets pods be placed on a node again.")
        @OptionGroup var connection: ConnectionOptions
        @Argument(help: "The node's name.") var name: String

        func run() async throws {
            let name = name
            try await connection.withClient { client, _ in
                try await Node.naming(name) {
                    let isNew = try await NodeDrain.setUnschedulable(false, node: name, by: client)
                    print("node \(name) \(isNew ? "takes pods again" : "took pods already")")
                }
            }
        }
    }

    /// `martlet node drain`
    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Empties a node for upkeep: no more pods, and those there move away as their budgets allow.",
            discussion: """
                The flags mean what they mean for kubectl drain. When a pod may not go, nothing is evicted, and it is \
                said which flag would let it. Afterwards: martlet node uncordon NAME.
                """)

        @OptionGroup var connection: ConnectionOptions
        @Argument(help: "The node's name.") var name: String
        @Flag(name: .customLong("ignore-daemonsets"), help: "Leave the pods of DaemonSets where they are.")
        var ignoresDaemonSets = false
        @Flag(
            name: .customLong("delete-emptydir-data"),
            help: "Let pods with an emptyDir go, and what is in it with them.")
        var deletesEmptyDirData = false
        @Flag(help: "Let pods go that no controller makes anew.") var force = false
        @Flag(help: "Delete the pods without asking disruption budgets.") var disableEviction = false
        @Option(help: "How many seconds a pod gets to end; -1: as many as it says itself.") var gracePeriod = -1
        @Option(help: "When to give up: 30s, 5m; 0: never.") var timeout = "0"
        @Flag(help: "Only say which pods would go.") var dryRun = false

        func run() async throws {
            var options = NodeDrain.Options()
            options.ignoresDaemonSets = ignoresDaemonSets
            options.deletesEmptyDirData = deletesEmptyDirData
            options.isForced = force
            options.deletesWithoutBudget = disableEviction
            options.graceSeconds = gracePeriod < 0 ? nil : gracePeriod
            options.timeout = timeout == "0" || timeout == "0s" ? nil : try Token.duration(timeout, flag: "--timeout")
            let (name, chosen, dryRun) = (name, options, dryRun)
            try await connection.withClient { client, world in
                try await Node.naming(name) {
                    try await NodeDrain(chosen, client: client, in: world).run(name, isDryRun: dryRun) { print($0) }
                }
            }
        }
    }
}
