public import MartletBase
public import MartletObject

/// What is to be done after some objects have changed.
public struct ServiceChanges: KernelChanges {
    /// One transaction a kind of addresses, where there is something to change.
    public var transactions: [NftTransaction] = []
    /// Connections that lead to endpoints that are no longer behind a Service: to be ended after the transactions.
    public var stale: [StaleConnections] = []
}

/// Tracked connections that may lead to where they should no longer. The kernel sends further packets of a connection
/// to where it sent the first one.
///
/// UDP has no end of a connection: all are meant whose target is none any more. Where there is an end, as with TCP, the
/// endpoint may still answer those that it has. But one that it never answered stays for two minutes, and the kernel
/// takes the next connection that a client makes from the same port for the same one: only these are meant.
public struct StaleConnections: Sendable, Hashable {
    /// Which addresses.
    public var family: IPAddress.Family
    /// TCP is 6, UDP 17.
    public var protocolNumber: UInt8
    /// The port that clients send to.
    public var port: UInt16
    /// The addresses that clients send to.
    public var addresses: Set<IPAddress>
    /// Where such connections may end.
    var targets: Set<ServiceTarget>

    /// Where their clients send to: what is said of one later takes the place of what was said before.
    public struct Flow: Sendable, Hashable {
        var protocolNumber: UInt8
        var port: UInt16
        var addresses: Set<IPAddress>
    }
    /// Where their clients send to.
    public var flow: Flow { Flow(protocolNumber: protocolNumber, port: port, addresses: addresses) }

    /// Whether only connections are meant that were never answered.
    public var mustBeUnanswered: Bool { Self.mustBeUnanswered(protocolNumber) }

    static func mustBeUnanswered(_ protocolNumber: UInt8) -> Bool { protocolNumber != 17 }

    /// Whether a connection is one of them.
    public func includes(_ connection: TrackedConnection) -> Bool {
        let target = ServiceTarget(address: connection.reply.source, port: connection.reply.sourcePort)
        return connection.original.protocolNumber == protocolNumber && connection.original.destinationPort == port
            && !(mustBeUnanswered && connection.isAnswered)
            && addresses.contains(connection.original.destination) && !targets.contains(target)
    }
}

/// What a load balancer outside is told of a Service with `externalTrafficPolicy: Local` (kube-proxy, pkg/proxy/
/// healthcheck).
public struct ServiceHealth: Sendable, Hashable {
    /// The Service.
    public var service: ServiceName
    /// How many of its endpoints are on this host.
    public var localEndpoints: Int
}

/// Everything that Services want of this host's kernel. A value: it is told of Services, EndpointSlices and this
/// host's Node, and answers with the difference that they make, Service by Service.
public struct ServiceTables: KernelTables {
    /// Services, their endpoints, and this host's Node.
    public static let kinds: [ResourceKind] = [.service, .endpointSlice, .node]
    private static let serviceLabel = "kubernetes.io/service-name"

    private let settings: ServiceSettings
    private var zone: String?
    private var ownAddresses: Set<IPAddress> = []
    private var services: [ServiceName: JSON] = [:]
    private var slices: [ServiceName: [String: JSON]] = [:]
    private var serviceOfSlice: [ServiceName: ServiceName] = [:]
    /// What was last given out.
    private var entries: [ServiceName: [IPAddress.Family: ServiceEntry]] = [:]
    private var owners: [Element: ServiceName] = [:]
    /// Services that want an element that another one has.
    private var waiting: Set<ServiceName> = []
    private var changed: Set<ServiceName> = []
    /// How many Services have an endpoint of this host, and which of these the kernel knows.
    private var hairpins: [IPAddress: Int] = [:]
    private var knownHairpins: Set<IPAddress> = []
    private var checks: [ServiceName: (port: UInt16, health: ServiceHealth)] = [:]
    /// Whether nobody knows what was given out before.
    private var isAnew = false

    private struct Element: Sendable, Hashable {
        var family: IPAddress.Family
        var map: String
        var key: NftKey
    }

    /// Tables without Services.
    public init(_ settings: ServiceSettings) { self.settings = settings }

    /// Whether something has changed since the last ``takeChanges()``.
    public var hasChanges: Bool { !changed.isEmpty }

    // MARK: What is told

    /// An object of one of the kinds is new or has changed.
    public mutating func put(_ object: JSON, _ kind: ResourceKind) {
        switch kind {
        case .service: putService(object)
        case .endpointSlice: putSlice(object)
        default: putNode(object)
        }
    }

    /// An object of one of the kinds is gone.
    public mutating func remove(_ object: JSON, _ kind: ResourceKind) {
        switch kind {
        case .service: removeService(object)
        case .endpointSlice: removeSlice(object)
        default: return
        }
    }

    /// A Service is new or has changed.
    public mutating func putService(_ service: JSON) {
        let name = ServiceName(namespace: service.namespace, name: service.name)
        services[name] = service
        changed.insert(name)
    }

    /// A Service is gone.
    public mutating func removeService(_ service: JSON) {
        let name = ServiceName(namespace: service.namespace, name: service.name)
        services[name] = nil
        changed.insert(name)
    }

    /// An EndpointSlice is new or has changed.
    public mutating func putSlice(_ slice: JSON) {
        removeSlice(slice)
        guard let label = slice.labels[Self.serviceLabel] else { return }
        let service = ServiceName(namespace: slice.namespace, name: label)
        serviceOfSlice[ServiceName(namespace: slice.namespace, name: slice.name)] = service
        slices[service, default: [:]][slice.name] = slice
        changed.insert(service)
    }

    /// An EndpointSlice is gone.
    public mutating func removeSlice(_ slice: JSON) {
        let name = ServiceName(namespace: slice.namespace, name: slice.name)
        guard let service = serviceOfSlice.removeValue(forKey: name) else { return }
        slices[service]?[slice.name] = nil
        if slices[service]?.isEmpty == true { slices[service] = nil }
        changed.insert(service)
    }

    /// This host's Node is new or has changed.
    public mutating func putNode(_ node: JSON) {
        guard node.name == settings.nodeName else { return }
        ownAddresses = Set(
            (node["status", "addresses"]?.array ?? []).compactMap { $0["address"]?.string.flatMap { IPAddress($0) } })
        let zone = node.labels["topology.kubernetes.io/zone"]
        if zone == self.zone { return }
        self.zone = zone
        changed.formUnion(services.keys)
    }

    /// The ports at which health is told, and of which Services.
    public var healthChecks: [UInt16: ServiceHealth] {
        Dictionary(checks.values.map { ($0.port, $0.health) }) { $0.service < $1.service ? $0 : $1 }
    }

    // MARK: What is answered

    /// The difference that all changes make since the last time.
    public mutating func takeChanges() -> ServiceChanges {
        var work: [IPAddress.Family: NftDifference] = [:]
        var stale: Set<StaleConnections> = []
        // What one Service gives up another may have waited for.
        var round = changed
        changed = []
        while !round.isEmpty {
            var released = false
            for name in round.sorted() { released = update(name, &work, &stale) || released }
            round = released ? waiting : []
            waiting.subtract(round)
        }
        takeHairpins(&work)
        var changes = ServiceChanges()
        for family in IPAddress.Family.allCases {
            guard let steps = work[family]?.changes, !steps.isEmpty else { continue }
            changes.transactions.append(NftTransaction(NftFamily(family), table: settings.table, steps))
        }
        changes.stale = Array(stale)
        return changes
    }

    /// Everything anew, in place of what tables of that name hold; also where nothing has changed.
    public mutating func takeEverything() -> ServiceChanges {
        entries = [:]
        owners = [:]
        (hairpins, knownHairpins) = ([:], [])
        waiting = []
        changed = Set(services.keys)
        isAnew = true
        var changes = takeChanges()
        isAnew = false
        let steps = Dictionary(changes.transactions.map { ($0.family, $0.changes) }) { one, _ in one }
        changes.transactions = IPAddress.Family.allCases.map { family in
            var transaction = NftTransaction.removal(NftFamily(family), table: settings.table)
            transaction.changes += ServiceFrame.changes(family, settings) + (steps[NftFamily(family)] ?? [])
            return transaction
        }
        return changes
    }

    /// Brings one Service up to date. True when it has given up an element.
    private mutating func update(
        _ name: ServiceName, _ work: inout [IPAddress.Family: NftDifference], _ stale: inout Set<StaleConnections>
    ) -> Bool {
        let before = entries[name] ?? [:]
        var after = services[name].map { wanted($0, name) } ?? [:]
        if services[name] == nil { checks[name] = nil }
        var released = false
        waiting.remove(name)
        for family in IPAddress.Family.allCases {
            let old = before[family] ?? ServiceEntry()
            var new = after[family] ?? ServiceEntry()
            released = claim(&new, instead: old, name, family) || released
            after[family] = new == ServiceEntry() ? nil : new
            if new == old { continue }
            for address in old.hairpins.subtracting(new.hairpins) { count(address, by: -1) }
            for address in new.hairpins.subtracting(old.hairpins) { count(address, by: 1) }
            work[family, default: NftDifference()].add(from: old.contents, to: new.contents)
            noteStale(family, from: old.flows, to: new.flows, &stale)
        }
        entries[name] = after.isEmpty ? nil : after
        return released
    }

    private func noteStale(
        _ family: IPAddress.Family, from old: [ServiceFlow: Set<ServiceTarget>],
        to new: [ServiceFlow: Set<ServiceTarget>], _ stale: inout Set<StaleConnections>
    ) {
        for flow in Set(old.keys).union(new.keys) {
            let (before, after) = (old[flow], new[flow] ?? [])
            // Who asked by UDP before there were endpoints waits for another one, too.
            let isLost =
                StaleConnections.mustBeUnanswered(flow.protocolNumber)
                ? before.map { !$0.isSubset(of: after) } ?? isAnew : new[flow] == nil || before != after
            guard isLost else { continue }
            let addresses = flow.address.map { Set([$0]) } ?? ownAddresses.filter { $0.family == family }
            stale.insert(
                StaleConnections(
                    family: family, protocolNumber: flow.protocolNumber, port: flow.port, addresses: addresses,
                    targets: after))
        }
    }

    private mutating func count(_ address: IPAddress, by step: Int) {
        let sum = hairpins[address, default: 0] + step
        hairpins[address] = sum == 0 ? nil : sum
    }

    private mutating func takeHairpins(_ work: inout [IPAddress.Family: NftDifference]) {
        let wanted = Set(hairpins.keys)
        if wanted == knownHairpins { return }
        for family in IPAddress.Family.allCases {
            func contents(_ addresses: Set<IPAddress>) -> NftContents {
                NftContents(elements: [ServiceMaps.hairpins: Self.elements(addresses, family)])
            }
            work[family, default: NftDifference()].add(from: contents(knownHairpins), to: contents(wanted))
        }
        knownHairpins = wanted
    }

    /// From an address to itself.
    private static func elements(_ hairpins: Set<IPAddress>, _ family: IPAddress.Family) -> [NftKey: NftVerdict?] {
        Dictionary(
            uniqueKeysWithValues: hairpins.filter { $0.family == family }.map {
                (NftKey(bytes: $0.bytes + $0.bytes), NftVerdict?.none)
            })
    }

    /// Takes elements that nobody has, and leaves those out that another Service has: it keeps them.
    private mutating func claim(
        _ new: inout ServiceEntry, instead old: ServiceEntry, _ name: ServiceName, _ family: IPAddress.Family
    ) -> Bool {
        var released = false
        for (map, elements) in old.contents.elements {
            for key in elements.keys where new.contents.elements[map]?[key] == nil {
                owners[Element(family: family, map: map, key: key)] = nil
                released = true
            }
        }
        for (map, elements) in new.contents.elements {
            for key in elements.keys {
                let element = Element(family: family, map: map, key: key)
                if let owner = owners[element], owner != name {
                    new.contents.elements[map]?[key] = nil
                    waiting.insert(name)
                } else {
                    owners[element] = name
                }
            }
        }
        return released
    }

    private mutating func wanted(_ service: JSON, _ name: ServiceName) -> [IPAddress.Family: ServiceEntry] {
        var entries: [IPAddress.Family: ServiceEntry] = [:]
        var local: Set<IPAddress> = []
        for family in IPAddress.Family.allCases {
            for port in ServicePort.all(of: service, family) {
                let endpoints = ServiceEndpoint.all(
                    in: slices[name, default: [:]].values, for: port, nodeName: settings.nodeName)
                local.formUnion(endpoints.filter { $0.isLocal && $0.isReady }.map(\.address))
                let choice = EndpointChoice(endpoints, of: port, nodeName: settings.nodeName, zone: zone)
                entries[family, default: ServiceEntry()].merge(ServiceRules(port, choice, settings).entry)
            }
        }
        let check = service["spec", "healthCheckNodePort"]?.int.flatMap { UInt16(exactly: $0) } ?? 0
        checks[name] = check == 0 ? nil : (check, ServiceHealth(service: name, localEndpoints: local.count))
        return entries
    }

    // MARK: What the kernel should hold

    /// One table a kind of addresses.
    public var wanted: [NftInventory] {
        IPAddress.Family.allCases.map {
            NftInventory(
                NftFamily($0), table: settings.table, ruleCounts: ruleCounts($0), elements: elements($0))
        }
    }

    /// One a kind of addresses.
    public var removals: [NftTransaction] {
        IPAddress.Family.allCases.map { .removal(NftFamily($0), table: settings.table) }
    }

    /// How many rules each chain should have, to compare it with what the kernel holds.
    public func ruleCounts(_ family: IPAddress.Family) -> [String: Int] {
        var counts = [ServiceMaps.reject: 1]
        for chain in ServiceFrame.chains(family, settings) { counts[chain.name] = chain.rules.count }
        for (name, rules) in chains(family) { counts[name] = rules.count }
        return counts
    }

    /// The chains that Services have.
    func chains(_ family: IPAddress.Family) -> [String: [NftRule]] {
        entries.values.compactMap { $0[family]?.contents.chains }.reduce(into: [:]) { all, chains in
            all.merge(chains) { _, new in new }
        }
    }

    /// The elements that each map should hold.
    public func elements(_ family: IPAddress.Family) -> [String: Set<NftElement>] {
        var all = Dictionary(
            uniqueKeysWithValues: [
                ServiceMaps.services, ServiceMaps.silent, ServiceMaps.firewalls, ServiceMaps.nodePorts,
                ServiceMaps.silentNodePorts, ServiceMaps.clusterIPs,
            ].map { ($0, Set<NftElement>()) })
        all[ServiceMaps.hairpins] = Set(Self.elements(knownHairpins, family).map { NftElement($0.key, $0.value) })
        for entry in entries.values.compactMap({ $0[family] }) {
            for (map, elements) in entry.contents.elements {
                for (key, verdict) in elements { all[map, default: []].insert(NftElement(key, verdict)) }
            }
        }
        return all
    }
}
