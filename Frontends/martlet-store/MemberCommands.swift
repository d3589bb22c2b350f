import ArgumentParser
import MartletEtcdClient
import MartletEtcdMessages

/// `martlet-store member`: the members of a running cluster.
struct Members: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member", abstract: "Shows and changes the members of a running cluster.",
        discussion: "A new member needs no more than to be started with --join; it adds itself.",
        subcommands: [List.self, Add.self, Remove.self, Promote.self, Update.self])

    /// `martlet-store member list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the members.")
        @OptionGroup var client: ClientOptions

        func run() async throws {
            try await client.withClient { client in
                for member in try await client.members() { show(member) }
            }
        }
    }

    /// `martlet-store member add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds a member; start it with --join and the same peer URL.")
        @OptionGroup var client: ClientOptions
        @Argument(help: "The URL at which the others will reach it.")
        var peerURL: String
        @Flag(help: "Without a vote.")
        var learner = false

        func run() async throws {
            let (url, learner) = (peerURL, learner)
            try await client.withClient { client in
                show(try await client.addMember(peerURLs: [url], asLearner: learner).member)
            }
        }
    }

    /// `martlet-store member remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes a member.")
        @OptionGroup var client: ClientOptions
        @OptionGroup var member: MemberArgument

        func run() async throws {
            let id = try member.number
            try await client.withClient { client in
                _ = try await client.removeMember(id)
                Console.say("removed \(Console.hex(id))")
            }
        }
    }

    /// `martlet-store member promote`.
    struct Promote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Gives a learner that has caught up a vote.")
        @OptionGroup var client: ClientOptions
        @OptionGroup var member: MemberArgument

        func run() async throws {
            let id = try member.number
            try await client.withClient { client in
                _ = try await client.promoteMember(id)
                Console.say("promoted \(Console.hex(id))")
            }
        }
    }

    /// `martlet-store member update`.
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Says where the others reach a member from now on.")
        @OptionGroup var client: ClientOptions
        @OptionGroup var member: MemberArgument
        @Argument(help: "The new peer URL.")
        var peerURL: String

        func run() async throws {
            let (id, url) = (try member.number, peerURL)
            try await client.withClient { client in
                _ = try await client.updateMember(id, peerURLs: [url])
                Console.say("updated \(Console.hex(id))")
            }
        }
    }

    /// A member's id on the command line.
    struct MemberArgument: ParsableArguments {
        @Argument(help: "The member's id, as `member list` shows it.")
        var id: String

        var number: UInt64 {
            get throws {
                guard let number = UInt64(id, radix: 16) else { throw ValidationError("\(id) is no member's id") }
                return number
            }
        }
    }

    private static func show(_ member: EtcdMember) {
        let name = member.name.isEmpty ? "(not started)" : member.name
        let role = member.isLearner ? "learner" : "votes"
        Console.say(
            "\(Console.hex(member.id)) \(name) \(role) peers \(member.peerUrls.joined(separator: ",")) "
                + "clients \(member.clientUrls.joined(separator: ","))")
    }
}
