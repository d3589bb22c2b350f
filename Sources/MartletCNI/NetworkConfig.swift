public import MartletObject

/// An error as CNI wants it on standard output (CNI 1.1.0, "Error").
public struct CNIError: Error, Sendable, Hashable {
    /// 1 to 99 are CNI's, 100 and up a plugin's own.
    public var code: Int
    /// One line.
    public var message: String
    /// More, when there is more.
    public var details: String

    /// An error from its parts.
    public init(code: Int, message: String, details: String = "") {
        self.code = code
        self.message = message
        self.details = details
    }

    /// The version of the configuration is not spoken here.
    static func version(_ text: String) -> CNIError {
        CNIError(
            code: 1, message: "CNI version \(text) is not supported",
            details: "supported: " + CNIPlugin.supportedVersions.joined(separator: ", "))
    }
    /// The environment lacks a variable, or has a bad one.
    static func environment(_ text: String) -> CNIError { CNIError(code: 4, message: text) }
    /// The configuration is not JSON.
    static func decoding(_ text: String) -> CNIError { CNIError(code: 6, message: text) }
    /// The configuration is not right.
    static func configuration(_ text: String) -> CNIError { CNIError(code: 7, message: text) }

    /// Whether a standard plugin could not remove rules of iptables that are not there. An ADD that was cut short has
    /// made none, and a removal has nothing to fail by (CNI 1.1.0, "DEL"). They say so by what iptables prints alone.
    var isOfAbsentRules: Bool {
        let words = [
            "does not exist", "No chain/target/match by that name", "does a matching rule exist in that chain",
            "No such file or directory",
        ]
        return code == 999 && message.contains("tables -t nat ") && words.contains { message.contains($0) }
    }

    /// Whether a standard plugin found a plain file where a network namespace was mounted.
    var isOfAbsentNamespace: Bool { code == 999 && message.contains("unknown FS magic on ") }

    /// The JSON for standard output.
    public func encoded(version: String) -> [UInt8] {
        var json: JSON = ["cniVersion": .string(version), "code": .int(Int64(code)), "msg": .string(message)]
        if !details.isEmpty { json["details"] = .string(details) }
        return json.encoded()
    }
}

/// The network configuration of the plugin `martlet-cni`, as it stands in the list that the runtime reads.
public struct NetworkConfig: Sendable, Hashable {
    /// The plugin's `type`.
    public static let type = "martlet-cni"
    /// The name of the network.
    public static let defaultName = "martlet"
    /// The name of the bridge, unless the configuration names another.
    public static let defaultBridge = "martlet0"

    /// CNI version of the configuration.
    public var version = "1.0.0"
    /// Name of the network; reservations of addresses are kept under it.
    public var name = NetworkConfig.defaultName
    /// Name of the bridge that joins the node's pods, at most 15 bytes.
    public var bridge = NetworkConfig.defaultBridge
    /// The node's parts of the cluster's pod addresses, as `10.244.0.0/24`: one, or one of each kind.
    public var podCIDRs: [String]
    /// Largest packet; 0 for the kernel's choice.
    public var mtu = 0
    /// Whether traffic that leaves for outside the pod CIDR gets the node's address (needs iptables).
    public var masquerade = true
    /// Where reservations of addresses are kept.
    public var dataDirectory: String

    /// A configuration; the rest has plain defaults.
    public init(podCIDRs: [String], dataDirectory: String) {
        self.podCIDRs = podCIDRs
        self.dataDirectory = dataDirectory
    }

    /// Reads what a runtime hands to the plugin.
    /// - Throws: ``CNIError`` 1 or 7.
    public init(_ json: JSON) throws(CNIError) {
        version = json["cniVersion"]?.string ?? "0.1.0"
        guard CNIPlugin.supportedVersions.contains(version) else { throw .version(version) }
        guard let name = json["name"]?.string, Self.isName(name) else {
            throw .configuration("`name` is missing, or not made of letters, digits, `.`, `_` and `-`")
        }
        self.name = name
        bridge = json["bridge"]?.string ?? Self.defaultBridge
        guard Self.isInterface(bridge) else {
            throw .configuration("`bridge` is not an interface's name: \(bridge)")
        }
        // A runtime still hands out lists that an earlier version has written, with one range, to end pods.
        podCIDRs = json["podCIDRs"]?.array?.map { $0.string ?? "" } ?? [json["podCIDR"]?.string ?? ""]
        guard (1...2).contains(podCIDRs.count), podCIDRs.allSatisfy(Self.isCIDR) else {
            throw .configuration(
                "`podCIDRs` is missing, or not one or two ranges, each an address and a prefix length as 10.244.0.0/24")
        }
        mtu = json["mtu"]?.int ?? 0
        guard (0...65_536).contains(mtu) else { throw .configuration("`mtu` is not between 0 and 65536") }
        masquerade = json["ipMasq"]?.bool ?? true
        guard let folder = json["dataDir"]?.string, folder.utf8.first == UInt8(ascii: "/") else {
            throw .configuration("`dataDir` is missing, or not a whole path")
        }
        dataDirectory = folder
    }

    /// The list with this plugin alone, for the runtime's folder of configurations. The runtime passes port mappings
    /// on because of the capability.
    public var list: JSON {
        [
            "cniVersion": .string(version),
            "name": .string(name),
            "plugins": [
                [
                    "type": .string(Self.type), "bridge": .string(bridge),
                    "podCIDRs": .array(podCIDRs.map { .string($0) }),
                    "mtu": .int(Int64(mtu)), "ipMasq": .bool(masquerade), "dataDir": .string(dataDirectory),
                    "capabilities": ["portMappings": true],
                ]
            ],
        ]
    }

    /// Where the plugin `host-local` keeps one file per address that is in use.
    public var reservationsDirectory: String { "\(dataDirectory)/networks/\(name)" }

    /// What the plugin `bridge` is told.
    func bridgeConfig(previous: JSON?) -> JSON {
        var json: JSON = [
            "cniVersion": .string(delegateVersion), "name": .string(name), "type": "bridge", "bridge": .string(bridge),
            "isGateway": true, "ipMasq": .bool(masquerade), "hairpinMode": true,
            // A node that was registered anew may have another range: the bridge takes its address from that.
            "forceAddress": true,
            "ipam": [
                "type": "host-local", "dataDir": .string("\(dataDirectory)/networks"),
                "ranges": .array(podCIDRs.map { [["subnet": .string($0)]] }),
                "routes": .array(podCIDRs.map { ["dst": $0.utf8.contains(UInt8(ascii: ":")) ? "::/0" : "0.0.0.0/0"] }),
            ],
        ]
        if mtu > 0 { json["mtu"] = .int(Int64(mtu)) }
        json["prevResult"] = forDelegates(previous)
        return json
    }

    /// What the plugin `portmap` is told.
    func portmapConfig(mappings: JSON, previous: JSON?) -> JSON {
        var json: JSON = [
            "cniVersion": .string(delegateVersion), "name": .string(name), "type": "portmap", "snat": true,
            "runtimeConfig": ["portMappings": mappings],
        ]
        json["prevResult"] = forDelegates(previous)
        return json
    }

    /// A result, named as one of the version that the standard plugins are spoken to in.
    private func forDelegates(_ result: JSON?) -> JSON? {
        guard var result, result.object != nil else { return nil }
        result["cniVersion"] = .string(delegateVersion)
        return result
    }

    /// The standard plugins may be older than this one; a result of 1.0.0 is also one of 1.1.0.
    private var delegateVersion: String { version == "1.1.0" ? "1.0.0" : version }

    // MARK: Words

    /// A network's name or a container's id: letters, digits, `.`, `_`, `-`, the first one a letter or digit.
    static func isName(_ text: String) -> Bool {
        func plain(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard let first = text.utf8.first, plain(first), text.utf8.count <= 253 else { return false }
        return text.utf8.allSatisfy {
            plain($0) || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains($0)
        }
    }

    /// What the kernel takes as an interface's name.
    static func isInterface(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
    }

    /// An address and a prefix length. An IPv4 address is checked whole; an IPv6 one only by its characters, as
    /// `host-local` checks it again.
    static func isCIDR(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = UInt8(parts[1]) else { return false }
        if parts[0].utf8.contains(UInt8(ascii: ":")) {
            return length <= 128 && parts[0].allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
        }
        let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        return length <= 32 && numbers.count == 4 && numbers.allSatisfy { UInt8($0) != nil && $0.utf8.first != 0x2B }
    }
}
