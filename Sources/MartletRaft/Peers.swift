internal import DequeModule

/// What a leader knows of another member, and what is under way to it.
///
/// A window of messages may be under way. While it is full, what arrives forms the next message, so that a slow peer
/// gets few large messages. The window grows by one with each acknowledgement that frees a full window, but past
/// `shortWindow` only where the messages are large or the way is long: on a short way more messages would only be
/// smaller ones. It is halved when a message was lost or did not fit.
struct Peer: Sendable {
    /// The window with which one begins.
    static let firstWindow = 2
    /// As far as the window grows for small messages on a short way.
    static let shortWindow = 4
    /// A message of so many bytes is a large one.
    static let largeMessage = 64 << 10

    var member: MemberID
    /// The next index to send.
    var next: UInt64
    /// Through which index the peer's log is known to be durable and equal.
    var match: UInt64 = 0
    var phase = PeerProgress.Phase.probe
    /// When the one message of a probe, or the offer of a snapshot, was sent; nil when it is to be sent.
    var probeSentAt: Int?
    var window = Peer.firstWindow
    var inflight: Deque<Sent> = []
    var inflightBytes = 0
    /// When it was last heard.
    var heardAt: Int
    /// The last round that it confirmed.
    var round: UInt64 = 0
    /// The highest commit index that it was told.
    var sentCommit: UInt64 = 0
    /// Set when the membership names it no more: for a while it gets what tells it so.
    var leavingSince: Int?
    /// The round of catching up that it is in (thesis, section 4.2.1): through where, since when.
    var catchUp: (end: UInt64, since: Int)
    /// Whether its last round of catching up was shorter than an election timeout.
    var isCaughtUp = false

    struct Sent: Sendable {
        var last: UInt64
        var bytes: Int
        var at: Int
    }

    init(_ member: MemberID, next: UInt64, now: Int) {
        self.member = member
        self.next = next
        heardAt = now
        catchUp = (next - 1, now)
    }

    /// Whether a further message of entries may be sent.
    func hasRoom(_ configuration: RaftConfiguration) -> Bool {
        inflight.count < window && inflightBytes < configuration.inflightBytes
    }

    /// Something was lost or did not fit: looks for the place from where to go on.
    mutating func probe(from index: UInt64) {
        if phase == .replicate { window = max(window / 2, 1) }
        phase = .probe
        next = max(index, match + 1)
        probeSentAt = nil
        inflight.removeAll(keepingCapacity: true)
        inflightBytes = 0
    }

    /// Messages through `match` have arrived.
    mutating func free(through match: UInt64, now: Int, upTo limit: Int) {
        let wasFull = inflight.count >= window
        while let first = inflight.first, first.last <= match {
            inflight.removeFirst()
            inflightBytes -= first.bytes
            let mayBeLong = now > first.at || first.bytes >= Self.largeMessage
            if wasFull, window < (mayBeLong ? limit : min(limit, Self.shortWindow)) { window += 1 }
        }
    }
}
