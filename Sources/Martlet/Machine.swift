#if canImport(Glibc)
internal import Glibc
#else
internal import Musl
#endif
internal import MartletBase
internal import MartletIO

/// What this machine says of itself.
public enum Machine {
    /// The host name in lower case, as Kubernetes wants names of nodes.
    public static var nodeName: String { System.hostname().lowercased() }

    /// The address of the interface with the default route, else the first that is not loopback, else loopback.
    public static var address: String {
        System.ipv4Addresses().first { !$0.isLoopback }?.address ?? "127.0.0.1"
    }

    /// An address of the other kind on the interface that has this one; nil when there is none that others can reach.
    public static func companion(of address: String) -> String? {
        let four = System.ipv4Addresses()
        guard let own = IPAddress(address) else { return nil }
        let six = (try? Files.read("/proc/net/if_inet6")).map {
            interfaceAddresses(String(decoding: $0, as: UTF8.self))
        }
        if own.family == .ipv6 {
            let interface = six?.first { $0.address == own }?.interface
            return four.first { $0.interface == interface && !$0.isLoopback }?.address
        }
        let interface = four.first { $0.address == address && !$0.isLoopback }?.interface
        return six?.first { $0.interface == interface && $0.isLasting }.map { "\($0.address)" }
    }

    /// All addresses of this machine's interfaces.
    static var addresses: [IPAddress] {
        let six = (try? Files.read("/proc/net/if_inet6")) ?? []
        return System.ipv4Addresses().compactMap { IPAddress($0.address) }
            + interfaceAddresses(String(decoding: six, as: UTF8.self)).map(\.address)
    }

    /// The IPv6 addresses in the text of `/proc/net/if_inet6`. Lasting is one that is neither the link's alone nor
    /// changed from time to time for privacy.
    static func interfaceAddresses(_ text: String) -> [(interface: String, address: IPAddress, isLasting: Bool)] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count == 6, fields[0].utf8.count == 32, let flags = UInt8(fields[4], radix: 16) else {
                return nil
            }
            let digits = Array(fields[0])
            let groups = stride(from: 0, to: 32, by: 4).map { String(digits[$0..<$0 + 4]) }
            guard let address = IPAddress(groups.joined(separator: ":")) else { return nil }
            let isTemporary: UInt8 = 0x01
            return (String(fields[5]), address, fields[3] == "00" && flags & isTemporary == 0)
        }
    }

    /// The folder that relative paths begin in.
    static var workingDirectory: String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard unsafe getcwd(&path, path.count) != nil else { return "/" }
        return String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether this process may make network namespaces and cgroups.
    public static var isRoot: Bool { System.isRoot }
}
