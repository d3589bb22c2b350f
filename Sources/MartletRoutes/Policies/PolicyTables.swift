internal import MartletBase
public import MartletObject

/// What enforcing policies is to know of its host.
public struct PolicySettings: Sendable, Hashable {
    /// This host's Node.
    public var nodeName: String
    /// What names of nftables tables begin with.
    public var table: String
    /// Whether packets between pods of one bridge pass this host's rules for IP (br_netfilter); else they are judged
    /// by tables of the family `bridge`.
    public var seesBridged = true

    /// Settings from their parts.
    public init(nodeName: String, table: String) {
        self.nodeName = nodeName
        self.table = table
    }
}

/// What policies want of the kernel after some objects have changed.
public struct PolicyChanges: KernelChanges {
    /// One transaction a table, where there is something to change.
    public var transactions: [NftTransaction] = []
}

/// Everything that NetworkPolicies want of this host's kernel. A value: it is told of policies, pods and namespaces,
/// and answers with the difference that they make.
///
/// Each pod of this host that a policy is for has a chain a direction, which leads through the chains of its policies
/// and drops what none of them accepted. A policy's chain names sets of addresses: a pod that comes or goes elsewhere
/// is one element of a set.
public struct PolicyTables: KernelTables {
    /// Policies, and what their selectors are about.
    public static let kinds: [ResourceKind] = [.networkPolicy, .pod, .namespace]

    private let settings: PolicySettings
    private var namespaces: [String: [String: String]] = [:]
    private var pods: [ObjectKey: PolicyPod] = [:]
    private var podsByNamespace: [String: Set<ObjectKey>] = [:]
    /// Pods of this host by their addresses.
    private var owners: [IPAddress: Set<ObjectKey>] = [:]
    private var policies: [ObjectKey: PolicyFacts] = [:]
    private var changedPolicies: Set<ObjectKey> = []
    private var changedAddresses: Set<IPAddress> = []
    /// What was last given out.
    private var ofPolicies: [ObjectKey: [IPAddress.Family: NftContents]] = [:]
    private var ofPods: [IPAddress: NftContents] = [:]

    /// Tables without policies.
    public init(_ settings: PolicySettings) { self.settings = settings }

    /// Whether something has changed since the last ``takeChanges()``.
    public var hasChanges: Bool { !changedPolicies.isEmpty || !changedAddresses.isEmpty }

    // MARK: What is told

    /// A policy, pod or namespace is new or has changed.
    public mutating func put(_ object: JSON, _ kind: ResourceKind) {
        switch kind {
        case .networkPolicy: change(PolicyFacts(object), at: Self.key(object, kind))
        case .pod: change(PolicyPod(object, nodeName: settings.nodeName), at: Self.key(object, kind))
        default: change(namespace: object.name, object.labels)
        }
    }

    /// A policy, pod or namespace is gone.
    public mutating func remove(_ object: JSON, _ kind: ResourceKind) {
        switch kind {
        case .networkPolicy: change(nil as PolicyFacts?, at: Self.key(object, kind))
        case .pod: change(nil as PolicyPod?, at: Self.key(object, kind))
        default: change(namespace: object.name, nil)
        }
    }

    private static func key(_ object: JSON, _ kind: ResourceKind) -> ObjectKey {
        ObjectKey(kind, namespace: object.namespace, name: object.name)
    }

    private mutating func change(_ policy: PolicyFacts?, at key: ObjectKey) {
        if policies[key] == policy { return }
        policies[key] = policy
        changedPolicies.insert(key)
        changedAddresses.formUnion(ownPods(in: key.namespace).flatMap(\.addresses))
    }

    private mutating func change(_ pod: PolicyPod?, at key: ObjectKey) {
        let old = pods[key]
        // Most news of a pod are none for a policy.
        if old == pod { return }
        pods[key] = pod
        if pod == nil {
            podsByNamespace[key.namespace]?.remove(key)
            if podsByNamespace[key.namespace]?.isEmpty == true { podsByNamespace[key.namespace] = nil }
        } else {
            podsByNamespace[key.namespace, default: []].insert(key)
        }
        if let old, old.isOurs {
            for address in old.addresses {
                owners[address]?.remove(key)
                if owners[address]?.isEmpty == true { owners[address] = nil }
            }
            changedAddresses.formUnion(old.addresses)
        }
        if let pod, pod.isOurs {
            for address in pod.addresses { owners[address, default: []].insert(key) }
            changedAddresses.formUnion(pod.addresses)
        }
        let both = [old, pod].compactMap { $0 }
        for (name, policy) in policies where !changedPolicies.contains(name) {
            if both.contains(where: { concerns(policy, $0) }) { changedPolicies.insert(name) }
        }
    }

    private mutating func change(namespace: String, _ labels: [String: String]?) {
        if namespaces[namespace] == labels { return }
        namespaces[namespace] = labels
        for (name, policy) in policies where policy.readsNamespaces { changedPolicies.insert(name) }
    }

    /// Whether what a policy puts into the tables depends on a pod.
    private func concerns(_ policy: PolicyFacts, _ pod: PolicyPod) -> Bool {
        if pod.isOurs && policy.selects(pod) { return true }
        return policy.rules.contains { direction, rules in
            rules.contains { rule in
                if direction == .egress && rule.hasNamedPorts && rule.reachesAnybody { return true }
                return rule.reaches(pod, from: policy.key.namespace, namespaces)
            }
        }
    }

    private func pods(in namespace: String) -> [PolicyPod] {
        (podsByNamespace[namespace] ?? []).compactMap { pods[$0] }
    }

    private func ownPods(in namespace: String) -> [PolicyPod] { pods(in: namespace).filter(\.isOurs) }

    // MARK: What is answered

    /// The difference that all changes make since the last time.
    public mutating func takeChanges() -> PolicyChanges {
        var work: [IPAddress.Family: NftDifference] = [:]
        for key in changedPolicies.sorted(by: { ($0.namespace, $0.name) < ($1.namespace, $1.name) }) {
            let (before, after) = (ofPolicies[key] ?? [:], policies[key].map(wanted) ?? [:])
            for family in IPAddress.Family.allCases where before[family] != after[family] {
                work[family, default: NftDifference()].add(
                    from: before[family] ?? NftContents(), to: after[family] ?? NftContents())
            }
            ofPolicies[key] = after.isEmpty ? nil : after
        }
        for address in changedAddresses.sorted() {
            let (before, after) = (ofPods[address] ?? NftContents(), wanted(address))
            if before != after { work[address.family, default: NftDifference()].add(from: before, to: after) }
            ofPods[address] = after.isEmpty ? nil : after
        }
        (changedPolicies, changedAddresses) = ([], [])
        var changes = PolicyChanges()
        for place in places {
            guard let steps = work[place.addresses]?.changes, !steps.isEmpty else { continue }
            changes.transactions.append(NftTransaction(place.family, table: place.table, steps))
        }
        return changes
    }

    /// Everything anew, in place of what tables of that name hold; also where nothing has changed.
    public mutating func takeEverything() -> PolicyChanges {
        (ofPolicies, ofPods) = ([:], [:])
        (changedPolicies, changedAddresses) = (Set(policies.keys), Set(owners.keys))
        let changes = takeChanges()
        var all = PolicyChanges(transactions: removals)
        for place in places {
            guard let at = all.transactions.firstIndex(where: { $0.isFor(place) }) else { continue }
            all.transactions[at].changes += PolicyFrame.changes(place.addresses, overBridge: place.family == .bridge)
            all.transactions[at].changes += changes.transactions.first { $0.isFor(place) }?.changes ?? []
        }
        return all
    }

    /// Nothing for a policy that is for no pod of this host.
    private func wanted(_ policy: PolicyFacts) -> [IPAddress.Family: NftContents] {
        let selected = ownPods(in: policy.key.namespace).filter { policy.selects($0) }
        if selected.isEmpty { return [:] }
        var contents: [IPAddress.Family: NftContents] = [:]
        for (direction, rules) in policy.rules {
            let peers = rules.map { ends(of: $0, from: policy.key.namespace) }
            for family in IPAddress.Family.allCases {
                let rules = PolicyRules(
                    policy, direction, family, selected: selected, peers: peers, all: pods.values)
                contents[family, default: NftContents()].merge(rules.contents)
            }
        }
        return contents
    }

    private func ends(of rule: PolicyFacts.Rule, from namespace: String) -> [PolicyPod] {
        guard let peers = rule.peers else { return [] }
        let isAnywhere = peers.contains { if case .pods(_, .some) = $0 { true } else { false } }
        let candidates = isAnywhere ? podsByNamespace.keys.flatMap { pods(in: $0) } : pods(in: namespace)
        return candidates.filter { rule.reaches($0, from: namespace, namespaces) }
    }

    /// The chains of the pod that has an address.
    private func wanted(_ address: IPAddress) -> NftContents {
        var contents = NftContents()
        guard let pod = (owners[address] ?? []).compactMap({ pods[$0] }).max(by: { $0.standing < $1.standing }) else {
            return contents
        }
        let selecting = policies.values.filter { $0.selects(pod) }.sorted { $0.key.name < $1.key.name }
        let packet = PolicyPacket(family: address.family)
        for direction in PolicyDirection.allCases {
            let own = selecting.filter { $0.rules[direction] != nil }
            if own.isEmpty { continue }
            let chain = PolicyMaps.pod(address, direction)
            // No policy keeps a pod from itself, by way of a Service.
            let itself = packet.peer(direction, IPRange(address)) + [.verdict(.accept)]
            let jumps: [NftRule] = own.map { [.verdict(.jump(PolicyMaps.policy($0.key, direction)))] }
            contents.chains[chain] = [itself] + jumps + [[.verdict(.drop)]]
            contents.elements[PolicyMaps.pods(direction)] = [NftKey(address): .goto(chain)]
        }
        return contents
    }

    // MARK: What the kernel should hold

    /// A table, and the addresses that it is about.
    fileprivate struct Place {
        var family: NftFamily
        var table: String
        var addresses: IPAddress.Family
    }

    private func places(overBridge: Bool) -> [Place] {
        IPAddress.Family.allCases.map { addresses in
            overBridge
                ? Place(
                    family: .bridge, table: settings.table + (addresses == .ipv4 ? "4" : "6"), addresses: addresses)
                : Place(family: NftFamily(addresses), table: settings.table, addresses: addresses)
        }
    }

    private var places: [Place] {
        places(overBridge: false) + (settings.seesBridged ? [] : places(overBridge: true))
    }

    /// Makes the frame of a table of the family `bridge` and takes it away again: refused by a kernel that cannot
    /// track connections over a bridge (nf_conntrack_bridge).
    public static func bridgeProbe(table: String) -> NftTransaction {
        NftTransaction(.bridge, table: table, PolicyFrame.changes(.ipv6, overBridge: true) + [.removeTable])
    }

    /// Also of tables that are not needed now: they may be from before.
    public var removals: [NftTransaction] {
        (places(overBridge: false) + places(overBridge: true)).map { .removal($0.family, table: $0.table) }
    }

    /// One table a kind of addresses; two where packets over the bridge have their own.
    public var wanted: [NftInventory] {
        places.map { place in
            var counts: [String: Int] = [:]
            var elements = Dictionary(
                uniqueKeysWithValues: PolicyDirection.allCases.map { (PolicyMaps.pods($0), Set<NftElement>()) })
            for chain in PolicyFrame.chains(place.addresses, overBridge: place.family == .bridge) {
                counts[chain.name] = chain.rules.count
            }
            let ofPods = ofPods.filter { $0.key.family == place.addresses }.values
            for contents in Array(ofPods) + ofPolicies.values.compactMap({ $0[place.addresses] }) {
                for (name, rules) in contents.chains { counts[name] = rules.count }
                for name in contents.sets.keys { elements[name] = elements[name] ?? [] }
                for (map, own) in contents.elements {
                    elements[map, default: []].formUnion(own.map { NftElement($0.key, $0.value) })
                }
            }
            return NftInventory(place.family, table: place.table, ruleCounts: counts, elements: elements)
        }
    }
}

extension NftTransaction {
    fileprivate func isFor(_ place: PolicyTables.Place) -> Bool { family == place.family && table == place.table }
}
