public import MartletObject

/// What is known of a cluster's masters: the leader's answer to `GET /martlet/v1/members`, and what each master says
/// of itself. The leader hears who is alive; that a master has no room to write is known to that master alone.
public enum MasterStates {
    /// The masters that have not said yet how they are, and may answer.
    public static func unheard(_ answer: JSON) -> [String] {
        members(answer).filter { $0["failure"] == nil && $0["alive"]?.bool != false }.map(\.givenName)
            .filter { !$0.isEmpty }
    }

    /// Adds to an answer what another master says of itself.
    public static func merge(_ other: JSON, into answer: JSON) -> JSON {
        guard let name = other["answeredBy"]?.string else { return answer }
        let own = members(other).first { $0.givenName == name }
        var merged = answer
        merged["members"] = .array(
            members(answer).map { member in
                guard member.givenName == name else { return member }
                var member = member
                member["failure"] = own?["failure"] ?? .null
                return member
            })
        return merged
    }

    /// A word for how a master is: `yes`, `no`, `read-only` for one that answers and takes no changes, `?` for one
    /// that nobody has heard of.
    public static func word(_ member: JSON) -> String {
        if member["failure"]?.string != nil { return "read-only" }
        return member["alive"]?.bool.map { $0 ? "yes" : "no" } ?? "?"
    }

    /// Why masters take no changes: a line for each that takes none.
    public static func failures(_ answer: JSON) -> [String] {
        members(answer).compactMap { member in
            member["failure"]?.string.map { "\(member.givenName) takes no changes: \($0)" }
        }
    }

    /// How many masters must agree, and how many more may be lost.
    public static func quorum(_ answer: JSON) -> String {
        guard answer["leader"]?.string != nil else { return "no leader: nothing can be written now" }
        let voters = members(answer).filter { $0["votes"]?.bool == true }
        let working = voters.filter { $0["alive"]?.bool != false && $0["failure"]?.string == nil }
        let (quorum, all) = (voters.count / 2 + 1, "of \(voters.count) voters")
        let some = working.count == voters.count ? "" : ", of which \(working.count) can write"
        if working.count < quorum { return "quorum: \(quorum) \(all)\(some): nothing can be written now" }
        return "quorum: \(quorum) \(all)\(some); the loss of \(working.count - quorum) is survived"
    }

    private static func members(_ answer: JSON) -> [JSON] { answer["members"]?.array ?? [] }
}

extension JSON {
    fileprivate var givenName: String { self["name"]?.string ?? "" }
}
