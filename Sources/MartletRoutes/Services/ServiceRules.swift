internal import MartletBase

/// Names of what all Services share in a table.
enum ServiceMaps {
    static let services = "service-ips", nodePorts = "service-nodeports"
    static let silent = "no-endpoint-services", silentNodePorts = "no-endpoint-nodeports"
    static let firewalls = "firewall-ips", clusterIPs = "cluster-ips"
    /// Connections of pods to themselves, from their address to their address.
    static let hairpins = "hairpin-connections"
    static let reject = "reject"
}

/// What one Service wants.
struct ServiceEntry: Sendable, Hashable {
    /// What it puts into a table.
    var contents = NftContents()
    /// Where packets of its clients may be translated to, by where they are sent.
    var flows: [ServiceFlow: Set<ServiceTarget>] = [:]
    /// Endpoints of this host, which must not see their own address as the client's. Several Services may have one.
    var hairpins: Set<IPAddress> = []

    mutating func merge(_ other: ServiceEntry) {
        contents.merge(other.contents)
        flows.merge(other.flows) { $0.union($1) }
        hairpins.formUnion(other.hairpins)
    }
}

/// Where clients of a port send their packets.
struct ServiceFlow: Sendable, Hashable {
    var protocolNumber: UInt8
    /// Nil: any address of this host.
    var address: IPAddress?
    var port: UInt16
}

/// Where a connection ends.
struct ServiceTarget: Sendable, Hashable {
    var address: IPAddress
    var port: UInt16
}

/// Writes the rules of one port of a Service, in the manner of kube-proxy's nftables mode, but that few endpoints have
/// no chains and no maps of their own: the kernel searches a table's sets one by one, and follows all jumps from the
/// hooks on whenever one is added.
struct ServiceRules {
    let port: ServicePort
    let choice: EndpointChoice
    let settings: ServiceSettings
    private(set) var entry = ServiceEntry()

    init(_ port: ServicePort, _ choice: EndpointChoice, _ settings: ServiceSettings) {
        self.port = port
        self.choice = choice
        self.settings = settings
        write()
    }

    private var clusterChain: String { "service-\(port.suffix)" }
    private var localChain: String { "local-\(port.suffix)" }
    private var externalChain: String { "external-\(port.suffix)" }
    private func endpointChain(_ endpoint: ServiceEndpoint) -> String {
        "endpoint-\(port.suffix)__\(endpoint.address)/\(endpoint.port)"
    }
    private func affinitySet(_ endpoint: ServiceEndpoint, _ seconds: Int) -> String {
        "affinity-\(port.suffix)__\(endpoint.address)/\(endpoint.port)-\(seconds)"
    }
    /// Endpoints that are chosen among by one rule each; more by a map of chains.
    private static let longestList = 16
    private var pods: [IPRange] { settings.podRanges.filter { $0.family == port.family } }

    private mutating func write() {
        let internals = port.internalIsLocal ? choice.local : choice.cluster
        let externals = port.externalIsLocal ? choice.local : choice.cluster
        for list in [choice.cluster, choice.local] where !isPlain(list) {
            for endpoint in list { write(endpoint) }
        }
        entry.hairpins = Set((choice.cluster + choice.local).filter(\.isLocal).map(\.address))
        if !choice.cluster.isEmpty {
            entry.contents.chains[clusterChain] = pick(choice.cluster, isInternal: !port.internalIsLocal)
        }
        if !choice.local.isEmpty {
            entry.contents.chains[localChain] = pick(choice.local, isInternal: port.internalIsLocal)
        }

        entry.contents.elements[ServiceMaps.clusterIPs, default: [:]][NftKey(port.clusterIP)] = .some(nil)
        let internalChain = port.internalIsLocal ? localChain : clusterChain
        put(port.clusterIP, to: internals.isEmpty ? nil : internalChain, hasEndpoints: !internals.isEmpty)
        guard port.isExternal else { return writeFlows() }
        if choice.hasAny { entry.contents.chains[externalChain] = external(hasEndpoints: !externals.isEmpty) }
        let chain = choice.hasAny ? externalChain : nil
        for address in port.externalIPs + port.loadBalancerIPs {
            put(address, to: chain, hasEndpoints: !externals.isEmpty)
        }
        if let nodePort = port.nodePort {
            let key = NftKey(protocolNumber: port.protocolNumber, port: nodePort)
            if let chain { entry.contents.elements[ServiceMaps.nodePorts, default: [:]][key] = .goto(chain) }
            if externals.isEmpty { entry.contents.elements[ServiceMaps.silentNodePorts, default: [:]][key] = silence }
        }
        writeFirewall()
        writeFlows()
    }

    /// With no endpoint anywhere clients are refused. When there are some, but none here for the policy Local, packets
    /// are dropped: a load balancer is soon to send them elsewhere.
    private var silence: NftVerdict { choice.hasAny ? .drop : .goto(ServiceMaps.reject) }

    private mutating func put(_ address: IPAddress, to chain: String?, hasEndpoints: Bool) {
        let key = NftKey(address, protocolNumber: port.protocolNumber, port: port.port)
        if let chain { entry.contents.elements[ServiceMaps.services, default: [:]][key] = .goto(chain) }
        if !hasEndpoints { entry.contents.elements[ServiceMaps.silent, default: [:]][key] = silence }
    }

    // MARK: Chains

    /// Takes one of the endpoints: the one that the client had before, else any.
    private func pick(_ endpoints: [ServiceEndpoint], isInternal: Bool) -> [NftRule] {
        var rules: [NftRule] = []
        if isInternal && !pods.isEmpty {
            // Who is no pod must get the answer by way of this host.
            let strangers = pods.flatMap { OverlayRules.source($0, isIn: false) }
            rules.append(OverlayRules.destination(IPRange(port.clusterIP)) + strangers + ServiceMark.set)
        }
        if let seconds = port.affinitySeconds {
            for endpoint in endpoints {
                rules.append([
                    source, .lookup(set: affinitySet(endpoint, seconds)), .verdict(.goto(endpointChain(endpoint))),
                ])
            }
        }
        if isPlain(endpoints) {
            for (index, endpoint) in endpoints.enumerated() {
                // The first of two takes half, the first of three a third, ...
                let left = endpoints.count - index
                let isChosen: NftRule =
                    left == 1 ? [] : [.random(modulus: left), .compare(.first, .equal, [0, 0, 0, 0])]
                rules.append(isChosen + translation(to: endpoint))
            }
        } else if endpoints.count == 1 {
            rules.append([.verdict(.goto(endpointChain(endpoints[0])))])
        } else {
            let verdicts = endpoints.map { NftVerdict.goto(endpointChain($0)) }
            rules.append([.random(modulus: verdicts.count), .ownVerdictMap(.first, verdicts)])
        }
        return rules
    }

    private func external(hasEndpoints: Bool) -> [NftRule] {
        guard port.externalIsLocal else { return [ServiceMark.set, [.verdict(.goto(clusterChain))]] }
        var rules: [NftRule] = []
        if !choice.cluster.isEmpty {
            let isOwn: NftRule = [.addressKind(ofSource: true), .compare(.first, .equal, LocalAddress.kind)]
            rules += pods.map { OverlayRules.source($0) + [.verdict(.goto(clusterChain))] }
            rules += [isOwn + ServiceMark.set, isOwn + [.verdict(.goto(clusterChain))]]
        }
        if hasEndpoints { rules.append([.verdict(.goto(localChain))]) }
        return rules
    }

    private mutating func write(_ endpoint: ServiceEndpoint) {
        var rules: [NftRule] = []
        if comesBackByHost(endpoint) { rules += pods.map { OverlayRules.source($0) + ServiceMark.set } }
        if let seconds = port.affinitySeconds {
            let set = affinitySet(endpoint, seconds)
            entry.contents.sets[set] = NftSet(set, key: [port.family == .ipv4 ? .ipv4 : .ipv6], timeoutSeconds: seconds)
            rules.append([source, .updateSet(set)])
        }
        entry.contents.chains[endpointChain(endpoint)] = rules + [translation(to: endpoint)]
    }

    /// Whether one rule for each of them does: nothing is to be kept or marked.
    private func isPlain(_ endpoints: [ServiceEndpoint]) -> Bool {
        endpoints.count <= Self.longestList && port.affinitySeconds == nil
            && !endpoints.contains(where: comesBackByHost)
    }

    /// Whether pods must be marked, because answers of this one would not meet the rules of this host.
    private func comesBackByHost(_ endpoint: ServiceEndpoint) -> Bool {
        !settings.seesBridged && endpoint.isLocal && !pods.isEmpty
    }

    private func translation(to endpoint: ServiceEndpoint) -> NftRule {
        let number = NftRegister(port.family == .ipv4 ? 1 : 4)
        return [
            .meta(.protocolNumber), .compare(.first, .equal, [port.protocolNumber]),
            .constant(endpoint.address.bytes, into: .first),
            .constant([UInt8(endpoint.port >> 8), UInt8(endpoint.port & 255)], into: number),
            .translateDestination(port.family, address: .first, port: number),
        ]
    }

    private var source: NftExpression {
        port.family == .ipv4
            ? .payload(.network, offset: 12, length: 4) : .payload(.network, offset: 8, length: 16)
    }

    /// Only these clients may come in by a load balancer's address.
    private mutating func writeFirewall() {
        guard !port.sourceRanges.isEmpty, !port.loadBalancerIPs.isEmpty else { return }
        let chain = "firewall-\(port.suffix)"
        let allowed = port.sourceRanges.filter { $0.family == port.family }
        entry.contents.chains[chain] =
            allowed.map { OverlayRules.source($0) + [.verdict(.return)] } + [[.verdict(.drop)]]
        for address in port.loadBalancerIPs {
            let key = NftKey(address, protocolNumber: port.protocolNumber, port: port.port)
            entry.contents.elements[ServiceMaps.firewalls, default: [:]][key] = .goto(chain)
        }
    }

    private mutating func writeFlows() {
        let number = port.protocolNumber
        let targets = Set((choice.cluster + choice.local).map { ServiceTarget(address: $0.address, port: $0.port) })
        for address in [port.clusterIP] + port.externalIPs + port.loadBalancerIPs {
            entry.flows[ServiceFlow(protocolNumber: number, address: address, port: port.port)] = targets
        }
        if let nodePort = port.nodePort {
            entry.flows[ServiceFlow(protocolNumber: number, address: nil, port: nodePort)] = targets
        }
    }
}

/// How the kernel calls an address of this host.
enum LocalAddress {
    static let kind: [UInt8] = withUnsafeBytes(of: UInt32(2)) { Array($0) }
}

/// What all Services share in a table: maps, sets and the chains that the kernel calls.
enum ServiceFrame {
    static func changes(_ family: IPAddress.Family, _ settings: ServiceSettings) -> [NftChange] {
        let address: NftSet.Part = family == .ipv4 ? .ipv4 : .ipv6
        let whole: [NftSet.Part] = [address, .protocolNumber, .port]
        let ports: [NftSet.Part] = [.protocolNumber, .port]
        var changes: [NftChange] = [
            .addTable,
            .addSet(NftSet(ServiceMaps.services, key: whole, isVerdictMap: true)),
            .addSet(NftSet(ServiceMaps.silent, key: whole, isVerdictMap: true)),
            .addSet(NftSet(ServiceMaps.firewalls, key: whole, isVerdictMap: true)),
            .addSet(NftSet(ServiceMaps.nodePorts, key: ports, isVerdictMap: true)),
            .addSet(NftSet(ServiceMaps.silentNodePorts, key: ports, isVerdictMap: true)),
            .addSet(NftSet(ServiceMaps.clusterIPs, key: [address])),
            .addSet(NftSet(ServiceMaps.hairpins, key: [address, address])),
            .addChain(NftChain(ServiceMaps.reject, [[.reject(NftFamily(family))]])),
        ]
        changes += chains(family, settings).map { .addChain($0) }
        return changes
    }

    /// Their names, and how many rules each has.
    static func chains(_ family: IPAddress.Family, _ settings: ServiceSettings) -> [NftChain] {
        let translate = [look(family, ServiceMaps.services), lookPort(family, ServiceMaps.nodePorts)]
        let silent = isNew + look(family, ServiceMaps.silent)
        let wall = isNew + look(family, ServiceMaps.firewalls)
        let offset = family == .ipv4 ? 16 : 24
        // Source and destination stand side by side.
        let itself: NftRule = [
            .payload(.network, offset: family == .ipv4 ? 12 : 8, length: family.bits / 4),
            .lookup(set: ServiceMaps.hairpins), .masquerade,
        ]
        var unknown: [NftRule] = [
            isNew + [
                .payload(.network, offset: offset, length: family.bits / 8), .lookup(set: ServiceMaps.clusterIPs),
                .reject(NftFamily(family)),
            ]
        ]
        unknown += settings.serviceRanges.filter { $0.family == family }.map {
            isNew + OverlayRules.destination($0) + [.verdict(.drop)]
        }
        return [
            NftChain("filter-prerouting", hook: NftHook(.filter, .prerouting, -110), [wall]),
            NftChain(
                "filter-input", hook: NftHook(.filter, .input, -110),
                [isNew + lookPort(family, ServiceMaps.silentNodePorts), silent]),
            NftChain("filter-forward", hook: NftHook(.filter, .forward, -110), [silent] + unknown),
            NftChain("filter-output", hook: NftHook(.filter, .output, -110), [silent, wall]),
            NftChain("filter-output-after", hook: NftHook(.filter, .output, -90), unknown),
            NftChain("nat-prerouting", hook: NftHook(.nat, .prerouting, -100), translate),
            NftChain("nat-output", hook: NftHook(.nat, .output, -100), translate),
            NftChain(
                "nat-postrouting", hook: NftHook(.nat, .postrouting, 100),
                [itself, ServiceMark.test(isSet: false) + [.verdict(.return)], ServiceMark.clear, [.masquerade]]),
        ]
    }

    private static let isNew: NftRule = [
        .connectionState(), .bitwise(mask: withUnsafeBytes(of: UInt32(8)) { Array($0) }, flip: [0, 0, 0, 0]),
        .compare(.first, .unequal, [0, 0, 0, 0]),
    ]

    /// By address, protocol and port.
    private static func look(_ family: IPAddress.Family, _ map: String) -> NftRule {
        let next = family == .ipv4 ? 1 : 4
        return [
            .payload(.network, offset: family == .ipv4 ? 16 : 24, length: family.bits / 8),
            .meta(.protocolNumber, into: NftRegister(next)),
            .payload(.transport, offset: 2, length: 2, into: NftRegister(next + 1)), .verdictMap(map: map),
        ]
    }

    /// By protocol and port, at any address of this host but the loopback's.
    private static func lookPort(_ family: IPAddress.Family, _ map: String) -> NftRule {
        let loopback = family == .ipv4 ? IPRange("127.0.0.0/8") : IPRange("::1/128")
        let isLocal: NftRule = [.addressKind(ofSource: false), .compare(.first, .equal, LocalAddress.kind)]
        return isLocal + (loopback.map { OverlayRules.destination($0, isIn: false) } ?? []) + [
            .meta(.protocolNumber), .payload(.transport, offset: 2, length: 2, into: NftRegister(1)),
            .verdictMap(map: map),
        ]
    }
}
