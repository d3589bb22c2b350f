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

    /// The folder that relative paths begin in.
    static var workingDirectory: String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard unsafe getcwd(&path, path.count) != nil else { return "/" }
        return String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether this process may make network namespaces and cgroups.
    public static var isRoot: Bool { System.isRoot }
}
