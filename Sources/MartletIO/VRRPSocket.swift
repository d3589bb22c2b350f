internal import CMartletLinux
internal import Glibc
public import MartletBase

/// A raw socket for VRRP (IP protocol 112) on one device, and one for whole frames beside it. Sends and receives never
/// block; ``wait(for:)`` does: for a thread of its own.
public final class VRRPSocket: Sendable {
    /// A message, and what its IP header says.
    public struct Message: Sendable, Hashable {
        /// Who sent it.
        public var source: IPAddress
        /// Whom it was sent to.
        public var destination: IPAddress
        /// TTL or hop limit.
        public var hopLimit: UInt8
        /// What came behind the IP header.
        public var bytes: [UInt8]
    }

    /// No message of VRRP is longer: 255 addresses of IPv6.
    private static let receiveBytes = 4_608

    private let descriptor, frames, bell: Int32
    private let link: Int32

    /// Opens both. They belong to the network namespace of the calling thread.
    /// - Parameters:
    ///   - device: the device's name.
    ///   - link: its number.
    ///   - group: the multicast group to join; nil for none.
    /// - Throws: `Errno`; EPERM when we are not root.
    public init(_ family: IPAddress.Family, device: String, link: Int32, group: IPAddress?) throws(Errno) {
        let bell = cml_bell_open()
        let frames = cml_frames_open()
        let descriptor = cml_vrrp_open(Int32(family.rawValue), device, link, group?.bytes)
        if let worst = [bell, frames, descriptor].first(where: { $0 < 0 }) {
            for open in [bell, frames, descriptor] where open >= 0 { _ = close(open) }
            throw Errno(-worst)
        }
        (self.bell, self.frames, self.descriptor, self.link) = (bell, frames, descriptor, link)
    }

    deinit { for open in [bell, frames, descriptor] { _ = close(open) } }

    /// The next message; nil when there is none now.
    /// - Throws: `Errno`, as ENETDOWN when the device is down.
    public func receive() throws(Errno) -> Message? {
        var packet = cml_vrrp_packet()
        var status = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.receiveBytes) { buffer, count in
            status = cml_vrrp_receive(descriptor, buffer.baseAddress, buffer.count, &packet)
            count = max(0, status)
        }
        guard status >= 0 else {
            if status == -Int(EAGAIN) || status == -Int(EINTR) { return nil }
            throw Errno(Int32(-status))
        }
        let length = Int(packet.length)
        let source = withUnsafeBytes(of: packet.source) { Array($0.prefix(length)) }
        let destination = withUnsafeBytes(of: packet.destination) { Array($0.prefix(length)) }
        guard let from = IPAddress(bytes: source), let to = IPAddress(bytes: destination) else { return nil }
        return Message(source: from, destination: to, hopLimit: packet.hop_limit, bytes: bytes)
    }

    /// Sends a message.
    /// - Parameter source: an address of this machine.
    /// - Throws: `Errno`; EINVAL when the source is none of this machine's.
    public func send(_ bytes: [UInt8], from source: IPAddress, to destination: IPAddress) throws(Errno) {
        var packet = cml_vrrp_packet()
        packet.length = UInt8(source.family.bits / 8)
        withUnsafeMutableBytes(of: &packet.source) { $0.copyBytes(from: source.bytes) }
        withUnsafeMutableBytes(of: &packet.destination) { $0.copyBytes(from: destination.bytes) }
        let status = cml_vrrp_send(descriptor, link, bytes, bytes.count, &packet)
        if status < 0 { throw Errno(-status) }
    }

    /// Sends a whole Ethernet frame; from any thread.
    /// - Throws: `Errno`.
    public func sendFrame(_ bytes: [UInt8]) throws(Errno) {
        let status = cml_frames_send(frames, link, bytes, bytes.count)
        if status < 0 { throw Errno(-status) }
    }

    /// Waits until a message has come, ``wake()`` was called, or `patience` has passed (nil: for ever).
    /// - Throws: `Errno`.
    public func wait(for patience: Duration?) throws(Errno) {
        let status = cml_wait(descriptor, bell, patience.map { max(0, $0.nanoseconds) } ?? -1)
        if status < 0 { throw Errno(-status) }
    }

    /// Ends a ``wait(for:)``, or the next one; from any thread.
    public func wake() { cml_bell_ring(bell) }

    /// Asks that the calling thread runs before all usual ones: a router that is held up for three of its intervals
    /// is given up by the others. Where the system does not let us, it runs as any.
    public static func hurryThread() { cml_thread_urgent() }
}
