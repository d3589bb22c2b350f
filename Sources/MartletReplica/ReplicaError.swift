/// Why a replica refuses.
public enum ReplicaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// This member does not lead and knows no leader.
    case notLeader
    /// The change is larger than the log takes.
    case tooLarge(limit: Int)
    /// So many changes wait for the log that no more are taken in; nothing was changed. Try again.
    case overloaded
    /// The log failed or the replica was closed; whether the change was made is not known.
    case stopped(String)
    /// The data folder holds something that this program cannot use; says what, and what to do.
    case unusable(String)

    /// One line for people.
    public var description: String {
        switch self {
        case .notLeader: "no leader"
        case .tooLarge(let limit): "the change is over the limit of \(limit) bytes"
        case .overloaded: "too many changes are waiting to be written; try again"
        case .stopped(let why): "the store has stopped: \(why)"
        case .unusable(let why): why
        }
    }
}
