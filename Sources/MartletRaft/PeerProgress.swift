/// What a leader knows of another member, for a status.
public struct PeerProgress: Sendable, Hashable {
    /// How the leader sends to a peer.
    public enum Phase: String, Sendable, Hashable {
        /// One message at a time, until the place is found from where the logs are equal.
        case probe
        /// A window of messages.
        case replicate
        /// The peer fetches a snapshot.
        case snapshot
    }

    /// Through which index the peer's log is known to be durable and equal.
    public var match: UInt64
    /// The next index to send.
    public var next: UInt64
    /// How the leader sends to it.
    public var phase: Phase
    /// How many messages may be under way to it.
    public var window: Int
    /// Whether it has answered within the last election timeout.
    public var isActive: Bool
}
