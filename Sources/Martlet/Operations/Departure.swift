internal import MartletClient
internal import MartletReplica
internal import MartletStore

/// How a master leaves the others, before its data is removed.
public enum Departure {
    /// Why a master must not be reset, by what came of asking the others to do without it; nil when they do already.
    /// - Parameters:
    ///   - name: the master.
    ///   - error: an `APIError` is what a master has answered; with any other none has.
    public static func refusal(of name: String, _ error: any Error) -> String? {
        guard let answer = error as? APIError else {
            return "\(name) is not reset: the other masters cannot be told (\(error)); start martletd on one of them, "
                + "or give --keep-membership to leave them as they are: they may lose their quorum by it"
        }
        // It was removed before: that is what it, or another master, says of it.
        if answer.code == 404 || answer.code == 410 { return nil }
        if answer.code == 409 {
            return "\(name) is not reset: the others would lose their quorum (\(answer.message)); --keep-membership "
                + "gives the cluster up"
        }
        return "\(name) is not reset: the other masters were not told (\(answer.message)); start martletd here and see "
            + "martlet status, or give --keep-membership to leave them as they are: they may lose their quorum by it"
    }

    /// A master that does not run.
    public struct StoppedMaster: Sendable, Hashable {
        /// Its number among the members of the store, in hexadecimal.
        public var id: String
        /// How many other masters it knows.
        public var otherCount: Int
        /// Where their APIs are, as URLs.
        public var otherURLs: [String]
    }

    /// What the store of a master knows that does not run: who it is, and the others.
    /// - Parameter dataDirectory: its data folder.
    /// - Throws: `ReplicaError` or `LogError`.
    public static func stoppedMaster(in dataDirectory: String) async throws -> StoppedMaster {
        let report = try await LostQuorum.examine(dataDirectory + "/store")
        let others = report.members.filter { $0.id != report.member }
        return StoppedMaster(
            id: String(report.member, radix: 16), otherCount: others.count, otherURLs: others.flatMap(\.clientURLs))
    }
}
