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

    /// Whether this process may make network namespaces and cgroups.
    public static var isRoot: Bool { System.isRoot }
}
