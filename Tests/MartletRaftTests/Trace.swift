import MartletBase

@testable import MartletRaft

extension Group {
    /// An effect as a line of a transcript; nil for those that a story does not tell: what goes to the disk, and
    /// heartbeats.
    func text(_ effect: RaftEffect, of name: Character) -> String? {
        switch effect {
        case .persist: return nil
        case .send(let message):
            guard let body = text(message.body) else { return nil }
            return "\(name)>\(letter(of: message.to)) \(body)"
        case .apply(let entries): return "\(name) applies " + entries.map(text).joined(separator: " ")
        case .changed(let role, let term, let leader):
            let of = leader.map { role == .leader ? "" : " of \(letter(of: $0))" } ?? ""
            return "\(name) is \(role)\(of) in \(term)"
        case .refused(let sequences, let refusal): return "\(name) refuses \(sequences.list): \(refusal)"
        case .lost(let sequences): return "\(name) lost sight of \(sequences.list)"
        case .readable(let numbers, let index): return "\(name) may read \(numbers.list) at \(index)"
        case .unreadable(let numbers): return "\(name) gives up reading \(numbers.list)"
        case .membership(let membership): return "\(name) knows \(text(membership))"
        case .fetchSnapshot(let sources, let index):
            return "\(name) fetches \(index) from \(String(sources.map(letter)))"
        }
    }

    private func text(_ membership: Membership) -> String {
        var result = String(membership.voters.map(letter))
        if membership.isJoint { result = String(membership.outgoing.map(letter)) + "->" + result }
        if !membership.learners.isEmpty { result += "+" + String(membership.learners.map(letter)) }
        return result
    }

    private func text(_ entry: RaftEntry) -> String {
        if let membership = entry.membership { return "\(entry.index):[\(text(membership))]" }
        return "\(entry.index):" + (entry.payload.isEmpty ? "-" : String(decoding: entry.payload, as: UTF8.self))
    }

    private func text(_ proposal: Proposal) -> String {
        "\(proposal.sequence)=\(String(decoding: proposal.payload, as: UTF8.self))"
    }

    private func text(_ body: RaftMessage.Body) -> String? {
        switch body {
        case .requestPreVote(let index, let term): "would you? \(index)/\(term)"
        case .preVote(let granted): granted ? "I would" : "I would not"
        case .requestVote(let index, let term, let forTransfer): "vote? \(index)/\(term)\(forTransfer ? " now" : "")"
        case .vote(let granted): granted ? "yes" : "no"
        case .append(let index, let term, let entries, let commit):
            (["after \(index)/\(term)"] + entries.map(text) + ["commit \(commit)"]).joined(separator: " ")
        case .appended(let match): "has \(match)"
        case .conflict(let previous, let hint, let term): "not \(previous), perhaps \(hint)/\(term)"
        case .heartbeat(0, _), .heard(0): nil
        case .heartbeat(let round, _): "beat \(round)"
        case .heard(let round): "heard \(round)"
        case .snapshot(let index, let term, let sources):
            "snapshot \(index)/\(term) at \(String(sources.map(letter)))"
        case .timeoutNow: "stand now"
        case .transfer(let to): "hand over to \(letter(of: to))"
        case .propose(_, let floor, let proposals):
            (["please, from \(floor):"] + proposals.map(text)).joined(separator: " ")
        case .change(_, _, let sequence, let change, _): "please \(sequence)=\(change.text)"
        case .refused(_, let sequences, let refusal): "refused \(sequences.list): \(refusal)"
        case .read(_, let token): "read? \(token)"
        case .readIndex(_, let token, let index): "read \(token) at \(index)"
        }
    }
}

extension MembershipChange {
    fileprivate var text: String {
        switch self {
        case .addLearner(let member, let auto): "add learner \(letter(of: member))\(auto ? " auto" : "")"
        case .addVoter(let member): "add voter \(letter(of: member))"
        case .promote(let member): "promote \(letter(of: member))"
        case .remove(let member): "remove \(letter(of: member))"
        case .replace(let voters, _): "replace by \(String(voters.map(letter)))"
        }
    }
}

extension [UInt64] {
    fileprivate var list: String { map(String.init).joined(separator: " ") }
}
