internal import MartletBase
internal import MartletObject

/// Names of what all policies share in a table.
enum PolicyMaps {
    /// From the address of a pod that is restricted to its chain.
    static func pods(_ direction: PolicyDirection) -> String { "\(direction)-pods" }
    /// The chain of a pod.
    static func pod(_ address: IPAddress, _ direction: PolicyDirection) -> String { "\(direction)-of-\(address)" }

    /// The longest name that the kernel takes is 255 bytes; suffixes follow this one.
    private static let longestName = 230

    /// The chain of a policy.
    static func policy(_ key: ObjectKey, _ direction: PolicyDirection) -> String {
        let name = "\(direction)-\(key.namespace)/\(key.name)"
        if name.utf8.count <= longestName { return name }
        // FNV-1a tells long names apart that begin alike.
        let hash = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return String(name.prefix(longestName - 17)) + "-" + String(hash, radix: 16)
    }
}

/// Where a packet's parts are, for one kind of addresses.
struct PolicyPacket {
    var family: IPAddress.Family

    private var addressBytes: Int { family.bits / 8 }
    /// The end of a packet that a direction's pod is at, or the other one.
    private func address(_ direction: PolicyDirection, isPeer: Bool) -> NftExpression {
        let isSource = (direction == .ingress) == isPeer
        let offset = family == .ipv4 ? (isSource ? 12 : 16) : (isSource ? 8 : 24)
        return .payload(.network, offset: offset, length: addressBytes)
    }
    func pod(_ direction: PolicyDirection) -> NftExpression { address(direction, isPeer: false) }
    func peer(_ direction: PolicyDirection) -> NftExpression { address(direction, isPeer: true) }

    var addressPart: NftSet.Part { family == .ipv4 ? .ipv4 : .ipv6 }

    /// Whether the peer is in a range.
    func peer(_ direction: PolicyDirection, _ range: IPRange, isIn: Bool = true) -> NftRule {
        direction == .ingress ? OverlayRules.source(range, isIn: isIn) : OverlayRules.destination(range, isIn: isIn)
    }

    /// Destination, protocol and destination's port, from the first register on.
    var destinationAndPort: NftRule {
        let next = addressBytes / 4
        return [
            address(.ingress, isPeer: false), .meta(.protocolNumber, into: NftRegister(next)),
            .payload(.transport, offset: 2, length: 2, into: NftRegister(next + 1)),
        ]
    }

    static func isProtocol(_ number: UInt8) -> NftRule {
        [.meta(.protocolNumber), .compare(.first, .equal, [number])]
    }
}

/// Writes what one policy puts into a table, for one direction and one kind of addresses.
struct PolicyRules {
    let facts: PolicyFacts
    let direction: PolicyDirection
    let packet: PolicyPacket
    private(set) var contents = NftContents()

    /// - Parameters:
    ///   - selected: the pods of this host that the policy is for.
    ///   - peers: the pods that each rule selects by its selectors.
    ///   - all: all pods, for named ports of destinations that no selector names.
    init(
        _ facts: PolicyFacts, _ direction: PolicyDirection, _ family: IPAddress.Family, selected: [PolicyPod],
        peers: [[PolicyPod]], all: some Collection<PolicyPod>
    ) {
        self.facts = facts
        self.direction = direction
        packet = PolicyPacket(family: family)
        let name = PolicyMaps.policy(facts.key, direction)
        var chain: [NftRule] = []
        for (index, rule) in (facts.rules[direction] ?? []).enumerated() {
            var verdict = NftVerdict.accept
            if let ports = rule.ports {
                let called = "\(name)/ports-\(index)"
                let targets =
                    direction == .ingress ? selected : rule.reachesAnybody ? Array(all) : peers[index]
                write(ports, of: targets, chain: called, names: "\(name)/names-\(index)")
                verdict = .jump(called)
            }
            guard let wanted = rule.peers else {
                chain.append([.verdict(verdict)])
                continue
            }
            if wanted.contains(where: { if case .pods = $0 { true } else { false } }) {
                let set = "\(name)/peers-\(index)"
                contents.sets[set] = NftSet(set, key: [packet.addressPart])
                contents.elements[set] = Dictionary(
                    addresses(peers[index]).map { (NftKey($0), .none) }, uniquingKeysWith: { one, _ in one })
                chain.append([packet.peer(direction), .lookup(set: set), .verdict(verdict)])
            }
            for case .block(let range, let except) in wanted where range.family == family {
                let holes = except.filter { $0.family == family }.flatMap { packet.peer(direction, $0, isIn: false) }
                chain.append(packet.peer(direction, range) + holes + [.verdict(verdict)])
            }
        }
        contents.chains[name] = chain
    }

    private func addresses(_ pods: [PolicyPod]) -> [IPAddress] {
        pods.flatMap(\.addresses).filter { $0.family == packet.family }
    }

    /// A chain that accepts packets to these ports. A name is a port of the packet's destination, whichever pod it is.
    private mutating func write(_ ports: [PolicyFacts.Port], of targets: [PolicyPod], chain: String, names: String) {
        var rules: [NftRule] = []
        let port = NftExpression.payload(.transport, offset: 2, length: 2)
        func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
        var wanted: Set<PolicyFacts.Port> = []
        for entry in ports {
            switch entry {
            case .all(let number): rules.append(PolicyPacket.isProtocol(number) + [.verdict(.accept)])
            case .numbers(let range, let number):
                let test: NftRule =
                    range.count == 1
                    ? [.compare(.first, .equal, bytes(range.lowerBound))]
                    : [
                        .compare(.first, .atLeast, bytes(range.lowerBound)),
                        .compare(.first, .atMost, bytes(range.upperBound)),
                    ]
                rules.append(PolicyPacket.isProtocol(number) + [port] + test + [.verdict(.accept)])
            case .named: wanted.insert(entry)
            }
        }
        if !wanted.isEmpty {
            contents.sets[names] = NftSet(names, key: [packet.addressPart, .protocolNumber, .port])
            var elements: [NftKey: NftVerdict?] = [:]
            for pod in targets {
                for own in pod.ports where wanted.contains(.named(own.name, protocolNumber: own.protocolNumber)) {
                    for address in addresses([pod]) {
                        let key = NftKey(address, protocolNumber: own.protocolNumber, port: own.number)
                        elements[key] = .some(nil)
                    }
                }
            }
            contents.elements[names] = elements
            rules.append(packet.destinationAndPort + [.lookup(set: names), .verdict(.accept)])
        }
        contents.chains[chain] = rules
    }
}

/// What all policies share in a table: maps, and the chains that the kernel calls.
enum PolicyFrame {
    /// - Parameter overBridge: for a table of the family `bridge`, which sees all kinds of packets.
    static func changes(_ family: IPAddress.Family, overBridge: Bool) -> [NftChange] {
        let packet = PolicyPacket(family: family)
        let maps = PolicyDirection.allCases.map {
            NftChange.addSet(NftSet(PolicyMaps.pods($0), key: [packet.addressPart], isVerdictMap: true))
        }
        return [.addTable] + maps + chains(family, overBridge: overBridge).map { .addChain($0) }
    }

    /// The two directions are judged one after the other: what one chain accepts the next one still sees. They come
    /// behind the translation to endpoints of Services. What this host itself sends or gets passes no chain of ours: a
    /// pod and its node may always talk.
    static func chains(_ family: IPAddress.Family, overBridge: Bool) -> [NftChain] {
        let packet = PolicyPacket(family: family)
        return zip([PolicyDirection.egress, .ingress], Int32(0)...).map { direction, priority in
            var rules: [NftRule] = [isKnown + [.verdict(.accept)]]
            if overBridge { rules.insert(isOther(family) + [.verdict(.accept)], at: 0) }
            if family == .ipv6 {
                rules += [isNeighbourDiscovery + [.verdict(.accept)], toLinkLocal + [.verdict(.drop)]]
            }
            rules.append([packet.pod(direction), .verdictMap(map: PolicyMaps.pods(direction))])
            return NftChain("\(direction)", hook: NftHook(.filter, .forward, priority), rules)
        }
    }

    /// Whether the packet is of a connection that was let through, or an error that belongs to one.
    private static let isKnown: NftRule = [
        .connectionState(), .bitwise(mask: withUnsafeBytes(of: UInt32(2 | 4)) { Array($0) }, flip: [0, 0, 0, 0]),
        .compare(.first, .unequal, [0, 0, 0, 0]),
    ]

    private static func isOther(_ family: IPAddress.Family) -> NftRule {
        [.meta(.etherType), .compare(.first, .unequal, family == .ipv4 ? [0x08, 0x00] : [0x86, 0xdd])]
    }

    /// No policy knows the addresses that pods of one bridge give themselves.
    private static let toLinkLocal = IPRange("fe80::/10").map { OverlayRules.destination($0) } ?? []

    /// Pods of one bridge find each other by it (ICMPv6, types 133 to 137).
    private static let isNeighbourDiscovery: NftRule =
        PolicyPacket.isProtocol(58) + [
            .payload(.transport, offset: 0, length: 1), .compare(.first, .atLeast, [133]),
            .compare(.first, .atMost, [137]),
        ]
}
