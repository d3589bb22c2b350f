public import MartletObject

/// The cluster's names and their records, kept from Services, EndpointSlices, Namespaces and pods: a value. Each change
/// of an object changes the names of its Service and no others.
///
/// It follows Kubernetes' DNS specification 1.1.0 and, where that is silent, CoreDNS.
public struct DNSZone: Sendable {
    /// Which names like `10-0-0-1.NAMESPACE.pod.ZONE` there are (CoreDNS' `pods`).
    public enum PodNames: String, Sendable, CaseIterable {
        /// None.
        case disabled
        /// Any address in a namespace that is there.
        case insecure
        /// Addresses of pods that are there; pods must be put in.
        case verified
    }

    /// The zone's own name.
    public let origin: DNSName
    /// How long answers may be kept, in seconds.
    public let ttl: UInt32
    /// Which names of pods there are.
    public let podNames: PodNames
    /// Whether every object is known. Until then the zone answers with SERVFAIL: "no such name" might be false.
    public var isComplete = false {
        didSet { if isComplete && !oldValue { for key in services.keys { rebuild(key) } } }
    }

    private var services: [ObjectKey: DNSServiceFacts] = [:]
    private var slices: [ObjectKey: [ObjectKey: DNSSliceFacts]] = [:]
    private var serviceOfSlice: [ObjectKey: ObjectKey] = [:]
    private var pods: [ObjectKey: [DNSName]] = [:]
    private var podCount: [DNSName: Int] = [:]
    private var namespaces: Set<String> = []

    private var names: [DNSName: DNSNode] = [:]
    private var ownNames: [ObjectKey: [DNSName]] = [:]
    /// How many names are under each name that has such.
    private var branches: [DNSName: Int] = [:]
    private var pointers: [DNSName: (targets: [ObjectKey: [DNSName]], node: DNSNode)] = [:]
    private var ownPointers: [ObjectKey: [DNSName]] = [:]

    private let serviceBranch: DNSName
    private let podBranch: DNSName
    private let noName: DNSReply
    private let noData: DNSReply

    /// A zone without Services.
    /// - Parameters:
    ///   - domain: the cluster's domain, such as `cluster.local`.
    ///   - address: where its server answers; shown as the zone's name server.
    /// - Returns: nil when the domain is no name, or leaves no room for others.
    public init?(domain: String, address: String, ttl: UInt32 = 5, podNames: PodNames = .insecure) {
        guard let origin = DNSName(domain), origin.wire.count < 128, let services = origin.under("svc"),
            let pods = origin.under("pod"), let server = origin.under("dns")?.under("ns"),
            let master = origin.under("hostmaster"), let version = origin.under("dns-version")
        else { return nil }
        self.origin = origin
        self.ttl = ttl
        self.podNames = podNames
        serviceBranch = services
        podBranch = pods
        var start = server.wire + master.wire
        for number in [1, 7200, 1800, 86400, ttl] {
            DNSBytes.append(UInt16(truncatingIfNeeded: number >> 16), to: &start)
            DNSBytes.append(UInt16(truncatingIfNeeded: number), to: &start)
        }
        var negative = DNSReply()
        negative.isAuthoritative = true
        negative.add(DNSType.soa, ttl: ttl, name: origin, data: start)
        negative.authorities = 1
        noData = negative
        negative.code = .noName
        noName = negative
        var apex = DNSNode()
        apex.add(DNSType.soa, ttl: ttl, [start])
        apex.add(DNSType.ns, ttl: ttl, [server.wire])
        put(apex, at: origin)
        var text = DNSNode()
        text.add(DNSType.txt, ttl: ttl, [[5] + Array("1.1.0".utf8)])
        put(text, at: version)
        if let address = DNSAddress(address) {
            var node = DNSNode()
            node.add(address.type, ttl: ttl, [address.bytes])
            put(node, at: server)
        }
        count(services, by: 1)
        count(pods, by: 1)
    }

    /// The kinds that the zone is made of.
    public var kinds: [ResourceKind] {
        [.service, .endpointSlice, .namespace] + (podNames == .verified ? [.pod] : [])
    }

    // MARK: Objects

    /// An object is there, or has changed.
    public mutating func put(_ object: JSON, kind: ResourceKind) {
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        switch kind {
        case .service:
            let facts = DNSServiceFacts(object)
            if services.updateValue(facts, forKey: key) != facts { rebuild(key) }
        case .endpointSlice: putSlice(key, DNSSliceFacts(object))
        case .namespace: if namespaces.insert(object.name).inserted { countNamespace(object.name, by: 1) }
        case .pod: putPod(key, object)
        default: return
        }
    }

    /// An object is gone.
    public mutating func remove(_ key: ObjectKey) {
        switch key.kind {
        case .service:
            services[key] = nil
            rebuild(key)
        case .endpointSlice: putSlice(key, nil)
        case .namespace: if namespaces.remove(key.name) != nil { countNamespace(key.name, by: -1) }
        case .pod: putPod(key, nil)
        default: return
        }
    }

    private mutating func putSlice(_ key: ObjectKey, _ facts: DNSSliceFacts?) {
        let before = serviceOfSlice[key]
        let after = facts.map { ObjectKey(.service, namespace: key.namespace, name: $0.service) }
        if let before, before == after, slices[before]?[key] == facts { return }
        serviceOfSlice[key] = after
        if let before {
            slices[before]?[key] = nil
            if slices[before]?.isEmpty == true { slices[before] = nil }
            if before != after { rebuild(before) }
        }
        guard let after else { return }
        slices[after, default: [:]][key] = facts
        rebuild(after)
    }

    private mutating func putPod(_ key: ObjectKey, _ pod: JSON?) {
        for name in pods.removeValue(forKey: key) ?? [] {
            podCount[name, default: 0] -= 1
            if podCount[name] == 0 { podCount[name] = nil }
        }
        guard let pod, let space = podBranch.under(key.namespace) else { return }
        var texts = pod["status", "podIPs"]?.array?.compactMap { $0["ip"]?.string } ?? []
        if texts.isEmpty, let text = pod["status", "podIP"]?.string { texts = [text] }
        let own = texts.compactMap { space.under(DNSAddress.label($0)) }
        pods[key] = own
        for name in own { podCount[name, default: 0] += 1 }
    }

    private mutating func countNamespace(_ name: String, by step: Int) {
        for branch in [serviceBranch, podBranch] { if let own = branch.under(name) { count(own, by: step) } }
    }

    /// Makes the names of a Service anew.
    private mutating func rebuild(_ key: ObjectKey) {
        guard isComplete else { return }
        for name in ownNames.removeValue(forKey: key) ?? [] {
            names[name] = nil
            countAncestors(of: name, by: -1)
        }
        for name in ownPointers.removeValue(forKey: key) ?? [] { point(name, from: key, to: nil) }
        guard let service = services[key], let base = serviceBranch.under(key.namespace)?.under(key.name) else {
            return
        }
        let own = (slices[key] ?? [:]).sorted { $0.key.name < $1.key.name }.map(\.value)
        let made = DNSServiceNames(base: base, service, own, ttl: ttl)
        for (name, node) in made.names { put(node, at: name) }
        if !made.names.isEmpty { ownNames[key] = Array(made.names.keys) }
        let targets = Dictionary(grouping: made.pointers, by: \.name)
        for (name, pairs) in targets { point(name, from: key, to: pairs.map(\.target)) }
        if !targets.isEmpty { ownPointers[key] = Array(targets.keys) }
    }

    private mutating func put(_ node: DNSNode, at name: DNSName) {
        if names.updateValue(node, forKey: name) == nil { countAncestors(of: name, by: 1) }
    }

    private mutating func countAncestors(of name: DNSName, by step: Int) {
        if name != origin, let parent = name.parent { count(parent, by: step) }
    }

    private mutating func count(_ name: DNSName, by step: Int) {
        var next: DNSName? = name
        while let at = next, at.isWithin(origin), at != origin {
            let sum = branches[at, default: 0] + step
            branches[at] = sum == 0 ? nil : sum
            next = at.parent
        }
    }

    private mutating func point(_ name: DNSName, from key: ObjectKey, to targets: [DNSName]?) {
        var all = pointers[name]?.targets ?? [:]
        all[key] = targets
        var node = DNSNode()
        let sorted = all.sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }
        node.add(DNSType.ptr, ttl: ttl, sorted.flatMap(\.value).map(\.wire))
        pointers[name] = all.isEmpty ? nil : (all, node)
    }

    // MARK: Questions

    /// What the zone says to a question.
    public enum Answer: Sendable {
        /// This.
        case reply(DNSReply)
        /// The name is another one for `target`, whose records are to follow.
        case alias(DNSReply, target: DNSName)
        /// It is not the zone's to answer.
        case foreign
    }

    private static let reverseBranches = ["in-addr.arpa", "ip6.arpa"].compactMap { DNSName($0) }

    /// Answers a question of the Internet's class.
    public func answer(_ name: DNSName, type: UInt16) -> Answer {
        guard let place = name.labelsOver(origin) else {
            guard Self.reverseBranches.contains(where: name.isWithin) else { return .foreign }
            if !isComplete { return .reply(.failure(.serverFailure)) }
            guard let node = pointers[name]?.node else { return .foreign }
            return .reply(node.reply(type) ?? noData)
        }
        if !isComplete { return .reply(.failure(.serverFailure)) }
        if let node = names[name] {
            if let reply = node.reply(type) { return .reply(reply) }
            if let target = node.alias, let reply = node.reply(DNSType.cname) { return .alias(reply, target: target) }
            return .reply(noData)
        }
        if branches[name] != nil { return .reply(noData) }
        if podNames != .disabled, place.count == 3, name.label(at: place.last).elementsEqual("pod".utf8) {
            return .reply(podReply(name, type) ?? noName)
        }
        return .reply(noName)
    }

    private func podReply(_ name: DNSName, _ type: UInt16) -> DNSReply? {
        guard let space = name.parent, branches[space] != nil, let address = DNSAddress(label: name.label(at: 0)) else {
            return nil
        }
        if podNames == .verified && podCount[name] == nil { return nil }
        guard type == address.type || type == DNSType.any else { return noData }
        var node = DNSNode()
        node.add(address.type, ttl: ttl, [address.bytes])
        return node.reply(address.type)
    }
}
