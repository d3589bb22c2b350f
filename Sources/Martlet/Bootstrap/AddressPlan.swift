internal import MartletBase
internal import MartletControllers
internal import MartletIO

/// Whether the ranges of a cluster can be told apart from each other and from the networks that a machine is in.
public enum AddressPlan {
    /// A network that the machine sends to.
    struct Route: Sendable, Hashable {
        var range: IPRange
        var interface: String
    }

    /// Devices that are made for pods: what is routed there is the cluster's own, of an earlier start.
    static let own = ["martlet", "flannel.", "flannel-v6.", "cni", "veth"]

    /// - Parameter routes: the networks of the machine.
    /// - Throws: ``ClusterError`` that names both ranges, and says which flag to change.
    static func check(podCIDR: String, serviceCIDR: String, routes: [Route] = []) throws {
        let pods = try ranges(podCIDR, "--pod-cidr")
        for pod in pods where PodCIDR("\(pod)") == nil {
            throw ClusterError.unusable(
                "--pod-cidr \(pod) cannot be handed out: each node gets a /24 of IPv4 or a /64 of IPv6 out of it, and "
                    + "at most 65536 nodes do; write it as 10.244.0.0/16 or fd00:244::/56")
        }
        let services = try ranges(serviceCIDR, "--service-cidr")
        for pod in pods {
            if let service = services.first(where: pod.overlaps) {
                throw ClusterError.unusable(
                    "--pod-cidr \(pod) and --service-cidr \(service) have addresses in common: choose ranges apart "
                        + "from each other")
            }
        }
        for route in routes where !own.contains(where: route.interface.hasPrefix) {
            for (range, flag) in pods.map({ ($0, "--pod-cidr") }) + services.map({ ($0, "--service-cidr") })
            where range.overlaps(route.range) {
                throw ClusterError.unusable(
                    "\(flag) \(range) has addresses in common with \(route.range), which this machine reaches by "
                        + "\(route.interface): begin the cluster with another \(flag), as 172.20.0.0/16")
            }
        }
    }

    /// Why the ranges of a cluster cannot be; nil when they can, as far as they say themselves.
    public static func fault(podCIDR: String?, serviceCIDR: String?) -> String? {
        let usual = ClusterSettings()
        do {
            try check(podCIDR: podCIDR ?? usual.podCIDR, serviceCIDR: serviceCIDR ?? usual.serviceCIDR)
            return nil
        } catch { return "\(error)" }
    }

    /// Refuses an address at which nobody reaches this machine.
    /// - Parameter own: those that it has.
    /// - Throws: ``ClusterError`` that names them.
    static func check(nodeAddress: String, own: [IPAddress]) throws {
        let loopback = IPRange("127.0.0.0/8")
        guard let address = IPAddress(nodeAddress), !own.contains(address), loopback?.contains(address) != true else {
            return
        }
        let usable = own.filter { loopback?.contains($0) != true && $0 != IPAddress("::1") && !$0.isLinkLocal }
        throw ClusterError.unusable(
            "--node-address \(nodeAddress) is no address of this machine, which has "
                + "\(usable.map(\.description).joined(separator: ", ")): give the one at which the others reach it")
    }

    private static func ranges(_ text: String, _ flag: String) throws -> [IPRange] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let range = IPRange(part) else {
                throw ClusterError.unusable("\(flag) \(part) is no range of addresses: write it as 10.244.0.0/16")
            }
            return range
        }
    }

    /// The networks of this machine, but for the way to everywhere else.
    static func machineRoutes() -> [Route] {
        func text(_ path: String) -> String { String(decoding: (try? Files.read(path)) ?? [], as: UTF8.self) }
        return routes(ipv4: text("/proc/net/route")) + routes(ipv6: text("/proc/net/ipv6_route"))
    }

    /// Reads `/proc/net/route`: interface, destination and, eighth, mask, in hexadecimal with the last byte first.
    static func routes(ipv4 text: String) -> [Route] {
        text.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count >= 8, let destination = UInt32(fields[1], radix: 16),
                let mask = UInt32(fields[7], radix: 16), mask != 0, fields[0] != "lo"
            else { return nil }
            let range = IPRange(IPAddress(ipv4: destination.byteSwapped), length: mask.nonzeroBitCount)
            return Route(range: range, interface: String(fields[0]))
        }
    }

    /// Reads `/proc/net/ipv6_route`: destination and length in hexadecimal; the interface comes last.
    static func routes(ipv6 text: String) -> [Route] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count >= 10, let length = Int(fields[1], radix: 16), length > 0, fields[9] != "lo" else {
                return nil
            }
            let digits = Array(fields[0])
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(digits[$0...($0 + 1)]), radix: 16)
            }
            // Every link has fe80::/10 and ff00::/8.
            guard bytes.count == 16, let address = IPAddress(bytes: bytes), bytes[0] != 0xFF,
                !(bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80)
            else { return nil }
            return Route(range: IPRange(address, length: length), interface: String(fields[9]))
        }
    }
}
