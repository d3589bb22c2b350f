internal import CMartletLinux
internal import Glibc
public import MartletBase

/// Facts about this machine and this process, each read anew.
public enum System {
    /// The machine's name.
    public static func hostname() -> String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Physical memory in bytes.
    public static func memoryBytes() -> Int64 {
        Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Bytes of this process that are in memory; nil where /proc does not say.
    public static func residentBytes() -> Int64? {
        guard let text = try? Files.read("/proc/self/statm") else { return nil }
        let fields = text.split(separator: 0x20)
        guard fields.count > 1, let pages = Int64(String(decoding: fields[1], as: UTF8.self)) else { return nil }
        return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// What this process uses; nil where /proc does not say.
    public static func use() -> ProcessFacts? {
        guard let text = try? Files.read("/proc/self/stat"), let boot = try? Files.read("/proc/stat"),
            let resident = residentBytes(),
            var facts = ProcessFacts(stat: text, boot: boot, ticks: Double(sysconf(Int32(_SC_CLK_TCK))))
        else { return nil }
        facts.residentBytes = resident
        facts.descriptors = (try? Files.list("/proc/self/fd").count) ?? 0
        return facts
    }

    /// Processors that are switched on.
    public static func cpuCount() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Whether we act as root.
    public static var isRoot: Bool { geteuid() == 0 }

    /// Our process id.
    public static var processID: Int32 { getpid() }

    /// Allows this process as many descriptors as it may have (RLIMIT_NOFILE's soft limit becomes the hard one); a
    /// daemon calls it when it starts. Children get the soft limit that there was before, as programs that use
    /// select(2) need.
    /// - Returns: the limit.
    /// - Throws: `Errno`.
    @discardableResult
    public static func raiseDescriptorLimit() throws(Errno) -> Int {
        let limit = cml_raise_descriptors()
        guard limit >= 0 else { throw Errno(Int32(truncatingIfNeeded: -limit)) }
        return Int(limit)
    }

    /// A new id at each boot.
    public static func bootID() -> String { line("/proc/sys/kernel/random/boot_id") ?? "" }

    /// The installation's id; empty where there is none.
    public static func machineID() -> String { line("/etc/machine-id") ?? line("/var/lib/dbus/machine-id") ?? "" }

    /// The kernel's release, as `uname -r` says.
    public static func kernelVersion() -> String { line("/proc/sys/kernel/osrelease") ?? "" }

    /// The distribution, as people write it.
    public static func osImage() -> String {
        let text = (try? Files.read("/etc/os-release")) ?? (try? Files.read("/usr/lib/os-release")) ?? []
        return prettyName(osRelease: String(decoding: text, as: UTF8.self)) ?? "Linux"
    }

    /// `PRETTY_NAME` of an os-release(5) file.
    static func prettyName(osRelease text: String) -> String? {
        for line in text.split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
            let value = line.dropFirst("PRETTY_NAME=".count)
            return value.filter { $0 != "\"" && $0 != "'" }
        }
        return nil
    }

    private static func line(_ path: String) -> String? {
        guard let bytes = try? Files.read(path) else { return nil }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).first.map(String.init)
    }

    /// An IPv4 address of an interface that is up.
    public struct InterfaceAddress: Sendable, Hashable {
        /// The interface, such as `eth0`.
        public var interface: String
        /// The address in dotted form.
        public var address: String
        /// Whether it reaches this machine only.
        public var isLoopback: Bool
    }

    /// The IPv4 addresses of this machine (64 at most): the interface of the default route first, loopback last.
    public static func ipv4Addresses() -> [InterfaceAddress] {
        var list = [cml_ipv4](repeating: cml_ipv4(), count: 64)
        let count = max(0, Int(cml_ipv4_addresses(&list, Int32(list.count))))
        let found = list[..<count].filter(\.up).map { entry in
            let name = withUnsafeBytes(of: entry.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            let parts = [24, 16, 8, 0].map { String(entry.address >> UInt32($0) & 255) }
            return InterfaceAddress(interface: name, address: parts.joined(separator: "."), isLoopback: entry.loopback)
        }
        let routes = String(decoding: (try? Files.read("/proc/net/route")) ?? [], as: UTF8.self)
        return ordered(found, defaultInterface: defaultInterface(routes: routes))
    }

    static func ordered(_ addresses: [InterfaceAddress], defaultInterface: String?) -> [InterfaceAddress] {
        func rank(_ entry: InterfaceAddress) -> Int {
            entry.isLoopback ? 2 : entry.interface == defaultInterface ? 0 : 1
        }
        return (0...2).flatMap { wanted in addresses.filter { rank($0) == wanted } }
    }

    /// The interface of the best default route in the text of `/proc/net/route`.
    static func defaultInterface(routes: String) -> String? {
        let defaults = routes.split(separator: "\n").dropFirst().compactMap { line -> (metric: Int, name: String)? in
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count >= 8, fields[1] == "00000000", fields[7] == "00000000" else { return nil }
            return (Int(fields[6]) ?? .max, String(fields[0]))
        }
        return defaults.min { $0.metric < $1.metric }?.name
    }
}
