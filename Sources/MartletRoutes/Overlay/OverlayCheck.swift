public import MartletBase

/// Looks whether packets get through an overlay to another host, small ones and whole ones: a value that says what to
/// send next and is told whether an answer came. A port that nobody listens at answers by itself ("port unreachable"),
/// when the packet has come and its checksum is right.
public struct OverlayCheck: Sendable, Hashable {
    /// What was found.
    public enum Finding: Sendable, Hashable {
        /// All is well.
        case whole
        /// Not even small packets are answered.
        case silent
        /// Whole packets are lost; the largest that gets through has so many bytes.
        case cutOff(at: Int, of: Int)
    }

    /// The port that packets are sent to: traceroute's first, where nobody should listen.
    public static let port: UInt16 = 33_434
    private static let small = 64
    /// How often a size is tried before it counts as lost.
    private static let attempts = 3
    /// A host may be about to join, too: how often the first packet is sent.
    private static let firstAttempts = 30
    /// How exactly the largest size is searched for.
    private static let step = 8

    private let headers: Int
    private let full: Int
    private var passes = 0
    private var fails: Int?
    private var left = Self.firstAttempts
    private var size = Self.small
    /// Nil until it has ended.
    public private(set) var finding: Finding?

    /// A check over a device with that largest packet.
    public init(mtu: Int, _ family: IPAddress.Family) {
        headers = (family == .ipv4 ? 20 : 40) + 8
        full = max(mtu - headers, Self.small)
    }

    /// How many bytes a UDP packet is to carry next; nil at the end.
    public var next: Int? { finding == nil ? size : nil }

    /// The last packet was answered, or was not in time.
    public mutating func heard(_ isAnswered: Bool) {
        guard finding == nil else { return }
        if isAnswered {
            passes = size
        } else {
            left -= 1
            if left > 0 { return }
            if passes == 0 { return finding = .silent }
            fails = size
        }
        left = Self.attempts
        if passes == full { return finding = .whole }
        guard let fails else { return size = full }
        if fails - passes <= Self.step { return finding = .cutOff(at: passes + headers, of: full + headers) }
        size = (passes + fails) / 2
    }

    /// What is to be said of a finding; nil when all is well.
    public func sentence(host: IPAddress, device: String) -> String? {
        switch finding {
        case .silent:
            """
            host \(host) does not answer over \(device): let UDP port \(Flannel.port) through between the hosts; if it \
            is, and ping gets through, a network card breaks checksums: ethtool -K \(device) tx-checksum-ip-generic off
            """
        case .cutOff(let bytes, let whole):
            """
            packets of \(whole) bytes over \(device) do not reach host \(host), those of \(bytes) do: the network \
            between carries less than this host's device says; set the device's MTU to \
            \(bytes + Int(Flannel.overhead(host.family)))
            """
        case .whole, nil: nil
        }
    }
}
