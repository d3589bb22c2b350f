internal import CMartletLinux
internal import Glibc
public import MartletBase

/// A socket to the kernel's tables of networks (netlink(7)); it carries bytes whose form others know. It belongs to
/// the network namespace of the thread that opened it. It blocks, for moments: for a worker's thread.
public final class NetlinkSocket: Sendable {
    /// Whom it talks to.
    public enum Subsystem: Int32, Sendable {
        /// Devices, addresses, routes, neighbours (rtnetlink(7)).
        case route = 0
        /// nftables and tracked connections.
        case netfilter = 12
    }

    /// Both buffers of the socket: a transaction is one send, and must fit.
    public static let bufferBytes = 256 << 20
    /// How long an answer may take.
    static let patienceMilliseconds: Int32 = 30_000
    /// No message of the kernel's lists is longer.
    static let receiveBytes = 64 << 10

    private let descriptor: Int32

    /// Opens one.
    /// - Throws: `Errno`.
    public init(_ subsystem: Subsystem) throws(Errno) {
        descriptor = cml_netlink_open(subsystem.rawValue, Int32(Self.bufferBytes), Self.patienceMilliseconds)
        guard descriptor >= 0 else { throw Errno(-descriptor) }
    }

    deinit { _ = close(descriptor) }

    /// Hands over messages. The kernel has carried them out when this returns; what it says of it is to be received.
    /// - Throws: `Errno`.
    public func send(_ bytes: [UInt8]) throws(Errno) {
        while Glibc.send(descriptor, bytes, bytes.count, 0) < 0 {
            if errno != EINTR { throw Errno(errno) }
        }
    }

    /// What the kernel says next; nil when it has nothing to say now and `waits` is false.
    /// - Throws: `Errno`: EAGAIN when the kernel stays silent for too long, ENOBUFS when answers were lost.
    public func receive(waits: Bool = true) throws(Errno) -> [UInt8]? {
        while true {
            var status = 0
            var reason: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.receiveBytes) { buffer, count in
                status = recv(descriptor, buffer.baseAddress, buffer.count, waits ? 0 : Int32(MSG_DONTWAIT))
                reason = errno
                count = max(0, status)
            }
            if status >= 0 { return bytes }
            if reason == EAGAIN && !waits { return nil }
            if reason != EINTR { throw Errno(reason) }
        }
    }
}

/// Network namespaces of this machine.
public enum NetworkNamespace {
    /// Moves the calling thread, and no other, into a namespace for good: for a worker's thread of its own.
    /// - Parameter path: as `/run/netns/NAME`.
    /// - Throws: `Errno`.
    public static func enter(_ path: String) throws(Errno) {
        let status = cml_enter_network(path)
        if status < 0 { throw Errno(-status) }
    }
}
