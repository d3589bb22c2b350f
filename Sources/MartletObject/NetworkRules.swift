/// What holds for network policies, addresses and endpoints.
enum NetworkRules {
    @Sendable static func policy(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        if let selector = spec["podSelector"] { faults.selector("spec.podSelector", selector) }
        for (list, peers) in [("ingress", "from"), ("egress", "to")] {
            for (index, rule) in (spec[list]?.array ?? []).enumerated() {
                let path = "spec.\(list)[\(index)]"
                for (place, port) in (rule["ports"]?.array ?? []).enumerated() {
                    checkPort("\(path).ports[\(place)]", port, &faults)
                }
                for (place, peer) in (rule[peers]?.array ?? []).enumerated() {
                    checkPeer("\(path).\(peers)[\(place)]", peer, &faults)
                }
            }
        }
        let types = spec["policyTypes"] ?? []
        if types.array?.count ?? 0 > 2 {
            faults.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        }
    }

    private static func checkPort(_ path: String, _ port: JSON, _ faults: inout Faults) {
        if let value = port["port"] { faults.port("\(path).port", value) }
        guard let end = port["endPort"] else { return }
        guard let value = port["port"] else {
            faults.invalid("\(path).endPort", end, "may not be specified when `port` is not specified")
            return
        }
        guard let number = value.int else {
            faults.invalid("\(path).endPort", end, "may not be specified when `port` is non-numeric")
            return
        }
        if end.int ?? 0 < number {
            faults.invalid("\(path).endPort", end, "must be greater than or equal to `port`")
        }
        faults.portNumber("\(path).endPort", end.int ?? 0)
    }

    private static func checkPeer(_ path: String, _ peer: JSON, _ faults: inout Faults) {
        let selectors = ["podSelector", "namespaceSelector"].filter { peer[$0] != nil }
        for name in selectors { faults.selector("\(path).\(name)", peer[name] ?? [:]) }
        guard let block = peer["ipBlock"] else {
            if selectors.isEmpty { faults.required(path, "must specify a peer") }
            return
        }
        if !selectors.isEmpty { faults.forbidden(path, "may not specify both ipBlock and another peer") }
        let network = block["cidr"]?.string ?? ""
        if network.isEmpty {
            faults.required("\(path).ipBlock.cidr")
            return
        }
        checkNetwork("\(path).ipBlock.cidr", network, &faults)
        for (index, except) in (block["except"]?.array ?? []).enumerated() {
            let path = "\(path).ipBlock.except[\(index)]"
            checkNetwork(path, except.string ?? "", &faults)
            if let outer = AddressBlock(network), let inner = AddressBlock(except.string ?? ""),
                !outer.strictlyContains(inner)
            {
                faults.invalid(path, except, "must be a strict subset of `cidr`")
            }
        }
    }

    static func checkNetwork(_ path: String, _ text: String, _ faults: inout Faults) {
        if AddressBlock(text) == nil {
            faults.invalid(
                path, .string(text), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        }
    }

    @Sendable static func ipAddress(_ object: JSON, _ faults: inout Faults) {
        if !Names.isIPv4(object.name), !Names.isIPv6(object.name) {
            faults.invalid(
                "metadata.name", .string(object.name),
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        }
        guard let parent = object["spec", "parentRef"] else {
            faults.required("spec.parentRef")
            return
        }
        for field in ["resource", "name"] where (parent[field]?.string ?? "").isEmpty {
            faults.required("spec.parentRef.\(field)")
        }
    }

    @Sendable static func ipAddressChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("spec.parentRef", object["spec", "parentRef"], old["spec", "parentRef"])
    }

    @Sendable static func serviceCIDR(_ object: JSON, _ faults: inout Faults) {
        let networks = object["spec", "cidrs"]?.array ?? []
        if networks.isEmpty { faults.required("spec.cidrs", "at least one CIDR required") }
        if networks.count > 2 {
            faults.invalid("spec.cidrs", object["spec", "cidrs"] ?? [], "may only hold up to 2 values")
        }
        for (index, network) in networks.enumerated() {
            checkNetwork("spec.cidrs[\(index)]", network.string ?? "", &faults)
        }
    }

    @Sendable static func serviceCIDRChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("spec.cidrs", object["spec", "cidrs"], old["spec", "cidrs"])
    }

    /// The addresses of Endpoints or an EndpointSlice that lead to the machine itself or no further than its link.
    static func checkSpecialEndpoints(_ object: JSON, allowsLoopback: Bool, _ faults: inout Faults) {
        for (index, endpoint) in (object["endpoints"]?.array ?? []).enumerated() {
            for (place, address) in (endpoint["addresses"]?.array ?? []).enumerated() {
                faults.ordinaryAddress(
                    "endpoints[\(index)].addresses[\(place)]", address.string ?? "", allowsLoopback: allowsLoopback)
            }
        }
        for (index, subset) in (object["subsets"]?.array ?? []).enumerated() {
            for list in ["addresses", "notReadyAddresses"] {
                for (place, address) in (subset[list]?.array ?? []).enumerated() {
                    faults.ordinaryAddress(
                        "subsets[\(index)].\(list)[\(place)].ip", address["ip"]?.string ?? "",
                        allowsLoopback: allowsLoopback)
                }
            }
        }
    }

    @Sendable static func endpoints(_ object: JSON, _ faults: inout Faults) {
        for (index, subset) in (object["subsets"]?.array ?? []).enumerated() {
            let path = "subsets[\(index)]"
            let lists = ["addresses", "notReadyAddresses"]
            if lists.allSatisfy({ (subset[$0]?.array ?? []).isEmpty }) {
                faults.required(path, "must specify `addresses` or `notReadyAddresses`")
            }
            for list in lists {
                for (place, address) in (subset[list]?.array ?? []).enumerated() {
                    let ip = address["ip"]?.string ?? ""
                    faults.address("\(path).\(list)[\(place)].ip", ip)
                }
            }
            let ports = subset["ports"]?.array ?? []
            for (place, port) in ports.enumerated() {
                let name = port["name"]?.string ?? ""
                if name.isEmpty, ports.count > 1 { faults.required("\(path).ports[\(place)].name") }
                if !name.isEmpty { faults.name("\(path).ports[\(place)].name", name, Names.labelFault) }
                faults.portNumber("\(path).ports[\(place)].port", port["port"]?.int ?? 0)
            }
        }
    }
}

extension Faults {
    /// An address, as upstream's `IsValidIP`.
    mutating func address(_ path: @autoclosure () -> String, _ text: String) {
        if !Names.isIPv4(text), !Names.isIPv6(text) {
            invalid(path(), .string(text), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        }
    }

    /// An address that somebody else than this host and its link can have: nothing is forwarded to the others.
    mutating func ordinaryAddress(_ path: @autoclosure () -> String, _ text: String, allowsLoopback: Bool = false) {
        guard let address = AddressBlock(text + (text.contains(":") ? "/128" : "/32")) else { return }
        let ranges = allowsLoopback ? Self.specialRanges.filter { $0.1 != Self.loopback.1 } : Self.specialRanges
        for (ranges, sentence) in ranges
        where ranges.contains(where: { $0 == address || $0.strictlyContains(address) }) {
            invalid(path(), .string(text), sentence)
        }
    }

    private static let loopback = (
        ["127.0.0.0/8", "::1/128"], "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    )
    private static let specialRanges: [([AddressBlock], String)] = [
        (["0.0.0.0/32", "::/128"], "may not be unspecified (0.0.0.0 or ::)"), loopback,
        (["169.254.0.0/16", "fe80::/10"], "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            ["224.0.0.0/24", "ff02::/16"],
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        ),
    ].map { ranges, sentence in (ranges.compactMap { AddressBlock($0) }, sentence) }
}

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/64`.
struct AddressBlock: Equatable {
    private let bits: [UInt8]
    private let length: Int

    /// Nil when the text is no range.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = Int(parts[1]), let bits = Self.bits(String(parts[0])),
            (0...bits.count * 8).contains(length)
        else { return nil }
        self.bits = bits
        self.length = length
    }

    private static func bits(_ text: String) -> [UInt8]? {
        if Names.isIPv4(text) { return text.split(separator: ".").compactMap { UInt8($0) } }
        guard Names.isIPv6(text), !text.contains(".") else { return nil }
        func groups(_ text: Substring) -> [UInt16] { text.split(separator: ":").compactMap { UInt16($0, radix: 16) } }
        var head = groups(text[...])
        var tail: [UInt16] = []
        if let gap = text.utf8.indices.first(where: { text[$0...].hasPrefix("::") }) {
            head = groups(text[..<gap])
            tail = groups(text[gap...])
        }
        guard head.count + tail.count <= 8 else { return nil }
        let all = head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        return all.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
    }

    /// Whether another range is a smaller part of this one.
    func strictlyContains(_ other: AddressBlock) -> Bool {
        guard bits.count == other.bits.count, length < other.length else { return false }
        for bit in 0..<length {
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            if bits[bit / 8] & mask != other.bits[bit / 8] & mask { return false }
        }
        return true
    }
}
