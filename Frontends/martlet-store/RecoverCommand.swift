import ArgumentParser
import MartletReplica
import MartletStore

/// `martlet-store recover`: the way back from a lost quorum.
struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets this member go on alone when a majority of the members is gone for good.",
        discussion: """
            Stop all members that are left, and run this on the one whose log reaches furthest (it is shown before \
            anything is changed). It becomes the only member of a new cluster with all that it has. The others are \
            then added anew, with empty data folders.
            """)

    @Option(name: .customLong("data-dir"), help: "The data folder of the member, which must not be running.")
    var dataDirectory: String

    @Option(help: "By how much the revision goes up: more than the writes it may have missed. Forgets the history.")
    var bumpRevision: Int64 = 0

    @Flag(help: "Do not ask.")
    var yes = false

    func validate() throws {
        if bumpRevision < 0 { throw ValidationError("--bump-revision \(bumpRevision): a revision never goes back") }
    }

    func run() async throws {
        try await Console.reporting {
            let found = try await LostQuorum.examine(dataDirectory)
            show(found)
            guard confirmed(found) else {
                Console.say("nothing was changed")
                throw ExitCode(2)
            }
            let report = try await LostQuorum.recover(dataDirectory, bumpRevision: bumpRevision)
            Console.say("")
            Console.say(
                "Done: member \(Console.hex(report.member)) is the only one of cluster "
                    + "\(Console.hex(report.cluster)), at revision \(report.revision) with \(report.keys) keys.")
            Console.say("1. Start it with the flags that it always had; --initial-cluster is not looked at any more.")
            let others = found.members.filter { $0.id != found.member }
            guard !others.isEmpty else { return }
            Console.say(
                "2. Never start these again with their old data: remove the data folders of "
                    + others.map { Console.name(of: $0.id, $0.name) }.joined(separator: ", ") + ".")
            Console.say(
                "3. Add each anew: start it with an empty --data-dir and --join and the peer URL of this member.")
        }
    }

    private func show(_ report: MemberReport) {
        Console.say("\(dataDirectory): member \(Console.hex(report.member)) of cluster \(Console.hex(report.cluster))")
        Console.say(
            "  log:      through entry \(report.lastIndex), of which \(report.commitIndex) are known to be "
                + "committed; term \(report.term)")
        if let cut = report.cut { Console.say("  warning:  \(cut)") }
        Console.say("  revision: \(report.revision), \(report.keys) keys")
        for member in report.members {
            let role = report.voters.contains(member.id) ? "votes" : "learner"
            let own = member.id == report.member ? "  (this one)" : ""
            Console.say(
                "  member:   \(Console.name(of: member.id, member.name)) \(role) "
                    + "\(member.peerURLs.joined(separator: ","))\(own)")
        }
    }

    private func confirmed(_ report: MemberReport) -> Bool {
        if yes { return true }
        Console.say("")
        let majority = report.voters.count / 2 + 1
        Console.say(
            "As long as \(majority) of the \(report.voters.count) voting members can be started, start them "
                + "instead: this is for when they cannot.")
        Console.say("What only other members know of is lost, and none of them may be started with its old data again.")
        return Console.answer(to: "Go on with this member alone? Type yes: ") == "yes"
    }
}

extension Console {
    static func name(of id: UInt64, _ name: String) -> String { name.isEmpty ? hex(id) : "\(name) (\(hex(id)))" }
}
