public import MartletObject

/// Whether a master may stop without the others losing their quorum.
public enum QuorumGuard {
    /// What is known of a master: as the leader answers `GET /martlet/v1/members`.
    public struct Member: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Whether it votes.
        public var votes: Bool
        /// Whether the leader hears of it; nil when it is not known.
        public var isAlive: Bool?
        /// How many entries of the log it has yet to get; nil when it is not known.
        public var behind: Int?
        /// Why it takes no changes; nil when it does, or has not said.
        public var failure: String?

        /// A master from its parts.
        public init(name: String, votes: Bool, isAlive: Bool?, behind: Int?, failure: String? = nil) {
            self.name = name
            self.votes = votes
            self.isAlive = isAlive
            self.behind = behind
            self.failure = failure
        }

        /// A master in the leader's answer.
        public init(_ member: JSON) {
            self.init(
                name: member["name"]?.string ?? "", votes: member["votes"]?.bool ?? false,
                isAlive: member["alive"]?.bool, behind: member["behind"]?.int,
                failure: member["failure"]?.string)
        }
    }

    /// What stopping a master means.
    public enum Verdict: Sendable, Hashable {
        /// The others go on.
        case safe
        /// It is the only one: nothing answers until it is back, which nobody can help.
        case pause
        /// It would stop the cluster: why, and what to do.
        case refused(String)
    }

    /// Why virtual addresses cannot move away from a master; nil when another one could take them.
    public static func refusal(movingAddressesFrom name: String, _ members: [Member]) -> String? {
        let others = members.filter { $0.name != name }
        // Who is not known to be dead may well take them.
        if others.contains(where: { $0.isAlive != false }) { return nil }
        let dead = others.map { "; \($0.name) does not answer" }.joined()
        return "\(name) is the only master that could hold them" + dead
    }

    /// A master that has more than this to get is not counted on: it would hold up writes until it has it.
    public static let farBehind = 10_000

    /// Decides about a master's stop.
    public static func judge(stopping name: String, _ members: [Member]) -> Verdict {
        let voters = members.filter(\.votes)
        guard voters.contains(where: { $0.name == name }) else { return .safe }
        if voters.count == 1 { return .pause }
        let others = voters.filter { $0.name != name }
        let able = others.filter { $0.isAlive == true && $0.failure == nil && ($0.behind ?? 0) <= farBehind }
        let quorum = voters.count / 2 + 1
        if able.count >= quorum { return .safe }
        let missing = others.filter { !able.contains($0) }.map { other in
            if other.isAlive != true { return "\(other.name) does not answer" }
            if let failure = other.failure { return "\(other.name) takes no changes (\(failure))" }
            return "\(other.name) is still \(other.behind ?? 0) entries behind"
        }
        let why =
            missing.isEmpty
            ? "with \(voters.count) masters none can be missed: add one more (martlet member add)"
            : missing.joined(separator: ", ") + ": mend that first"
        return .refused(
            "without \(name), \(able.count) of \(voters.count) masters would be left, and \(quorum) must run; \(why)")
    }
}
