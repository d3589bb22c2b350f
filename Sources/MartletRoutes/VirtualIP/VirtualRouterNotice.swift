public import MartletBase

/// What an operator is told of a virtual router.
public enum VirtualRouterNotice: Sendable, Hashable, CustomStringConvertible {
    /// It holds the addresses now.
    case active
    /// It holds the addresses no longer; another one does, as far as it is known.
    case backup(of: IPAddress?)
    /// It has given the addresses up.
    case gaveUp(String)
    /// It could not hold the addresses.
    case unfit(String)
    /// It did not run for so long that others must have given it up.
    case late(Duration)
    /// A packet is not obeyed, nor are so many like it since the last word about them.
    case refused(VRRPRefusal, from: IPAddress, count: Int)
    /// Another router knows other addresses beside ours.
    case addressesDiffer([IPAddress], from: IPAddress)
    /// Another router of lower priority held the addresses, too.
    case rival(IPAddress, priority: UInt8)

    /// What has happened.
    public var description: String {
        switch self {
        case .active: "this machine holds the virtual addresses"
        case .backup(let other?): "\(other) holds the virtual addresses"
        case .backup(nil): "this machine does not hold the virtual addresses"
        case .gaveUp(let reason): "this machine gives the virtual addresses up: \(reason)"
        case .unfit(let reason): "this machine cannot hold the virtual addresses: \(reason)"
        case .late(let time): "this machine's virtual router did not run for \(time.nanoseconds / 1_000_000) ms"
        case .refused(let refusal, let source, let count):
            "an advertisement from \(source) is not obeyed: \(refusal)"
                + (count > 1 ? " (\(count) of this kind)" : "")
        case .addressesDiffer(let addresses, let source):
            "\(source) has other virtual addresses (\(addresses.map(\.description).joined(separator: ", "))): set "
                + "--vip alike everywhere"
        case .rival(let source, let priority):
            "\(source) of priority \(priority) held the virtual addresses, too, and was told to let go"
        }
    }

    /// Whether somebody should look at it.
    public var isWarning: Bool {
        switch self {
        case .active, .backup: false
        case .gaveUp, .unfit, .late, .refused, .addressesDiffer, .rival: true
        }
    }
}

/// Keeps what others send wrong from filling a log: of each kind a word every ``period``, with how many there were.
struct VirtualRouterComplaints: Sendable {
    static let period = Duration.seconds(10)

    private struct Kind {
        var next: MonotonicTime
        var count = 0
    }
    /// By ``VRRPRefusal/kind``, and two of its own: as many as there are kinds.
    private var kinds: [Int: Kind] = [:]
    private static let difference = 100, rival = 101

    mutating func take(_ refusal: VRRPRefusal, from source: IPAddress, at now: MonotonicTime) -> VirtualRouterNotice? {
        count(refusal.kind, at: now).map { .refused(refusal, from: source, count: $0) }
    }

    mutating func takeDifference(
        _ addresses: [IPAddress], from source: IPAddress, at now: MonotonicTime
    ) -> VirtualRouterNotice? {
        count(Self.difference, at: now).map { _ in .addressesDiffer(addresses, from: source) }
    }

    mutating func takeRival(_ source: IPAddress, _ priority: UInt8, at now: MonotonicTime) -> VirtualRouterNotice? {
        count(Self.rival, at: now).map { _ in .rival(source, priority: priority) }
    }

    /// How many there were, when it is time to speak of them.
    private mutating func count(_ number: Int, at now: MonotonicTime) -> Int? {
        var kind = kinds[number] ?? Kind(next: now)
        kind.count += 1
        defer { kinds[number] = kind }
        if now < kind.next { return nil }
        defer { kind = Kind(next: now + Self.period) }
        return kind.count
    }
}
