internal import MartletBase
public import MartletObject

/// Makes the routing table of everything that Ingresses and Gateways say, and keeps it: an object that changes changes
/// what hangs on it alone, so that a change costs the same however many hosts there are.
public struct RouteBuilder: Sendable {
    /// The kinds it reads.
    public static let kinds: [ResourceKind] = [
        .ingress, .ingressClass, .service, .endpointSlice, .secret, .gatewayClass, .gateway, .httpRoute,
        .referenceGrant, .namespace,
    ]

    /// The routes, as of the last ``update()``.
    public private(set) var table = RouteTable()

    private var classes = IngressClasses()
    private var ingresses: [String: JSON] = [:]
    private var secrets: [String: JSON] = [:]
    private var slots = ServiceSlots()
    private var compiled: [String: CompiledIngress] = [:]
    /// Which Ingresses have something to say of a host.
    private var byHost: [HostPattern: Set<String>] = [:]
    private var byService: [String: Set<String>] = [:]
    private var bySecret: [String: Set<String>] = [:]
    private var fallbacks: Set<String> = []
    /// Whether other Secrets may be named than when this was last asked.
    private var namesOthers = true
    /// The Ingresses to be read anew.
    private var dirty: Set<String> = []
    private var gateways: GatewayState

    /// A builder that knows no object.
    /// - Parameter ports: where edges listen; listeners of Gateways must name one of these.
    public init(ports: GatewayPorts = .standard) { gateways = GatewayState(ports: ports) }

    /// A table of all that a snapshot holds.
    public init(from snapshot: Snapshot) {
        self.init()
        for kind in Self.kinds { for object in snapshot.list(kind) { put(object, kind: kind) } }
        update()
    }

    // MARK: Objects

    /// Takes an object in, in place of the one of its name.
    public mutating func put(_ object: JSON, kind: ResourceKind) {
        let name = "\(object.namespace)/\(object.name)"
        switch kind {
        case .ingress:
            ingresses[name] = object
            dirty.insert(name)
        case .ingressClass:
            let before = classes
            classes.put(object)
            if classes != before { dirty.formUnion(ingresses.keys) }
        case .service:
            slots.putService(object)
            dirty.formUnion(byService[name] ?? [])
            gateways.changedService(name)
        case .endpointSlice: slots.putSlice(object)
        case .secret:
            secrets[name] = object
            dirty.formUnion(bySecret[name] ?? [])
            gateways.changedSecret(name)
        default: gateways.change(ObjectKey(kind, namespace: object.namespace, name: object.name), object)
        }
    }

    /// Takes an object out.
    public mutating func remove(_ key: ObjectKey) {
        let name = "\(key.namespace)/\(key.name)"
        switch key.kind {
        case .ingress:
            ingresses[name] = nil
            dirty.insert(name)
        case .ingressClass:
            let before = classes
            classes.remove(key.name)
            if classes != before { dirty.formUnion(ingresses.keys) }
        case .service:
            slots.removeService(name)
            dirty.formUnion(byService[name] ?? [])
            gateways.changedService(name)
        case .endpointSlice: slots.removeSlice(key)
        case .secret:
            secrets[name] = nil
            dirty.formUnion(bySecret[name] ?? [])
            gateways.changedSecret(name)
        default: gateways.change(key, nil)
        }
    }

    /// Takes the objects in that have changed, as a snapshot holds them, and brings ``table`` up to date.
    public mutating func take(_ changed: Set<ObjectKey>, from snapshot: Snapshot) {
        for key in changed {
            if let object = snapshot.get(key) { put(object, kind: key.kind) } else { remove(key) }
        }
        update()
    }

    // MARK: Results

    /// Brings ``table`` up to date with the objects.
    public mutating func update() {
        var hosts: Set<HostPattern> = []
        if !dirty.isEmpty || gateways.isDirty { namesOthers = true }
        for name in dirty { hosts.formUnion(read(name)) }
        if !dirty.isEmpty { table.fallback = oldest(fallbacks)?.fallback }
        dirty = []
        for host in hosts { assemble(host) }
        if gateways.isDirty { gateways.update(&table, &slots, secrets: secrets) }
        table.backends = slots.backends
    }

    /// What the status of Gateways, their classes and routes ought to say, as of the last ``update()``.
    public var statusWishes: [GatewayStatusWish] { gateways.wishes }

    /// Those of ``statusWishes`` whose object, or what is to be said of it, has changed since this was last asked.
    public mutating func takeStatusWishes() -> [GatewayStatusWish] { gateways.takeWishes() }

    /// The Ingresses that are served here, by namespace and name.
    public var served: [ObjectKey] {
        compiled.keys.sorted().compactMap { ingresses[$0] }.map {
            ObjectKey(.ingress, namespace: $0.namespace, name: $0.name)
        }
    }

    /// What could not be used, a sentence each, for events and logs; by the objects' names.
    public var problems: [RouteProblem] {
        let owners = owners
        return compiled.values.filter { !$0.problems.isEmpty || !$0.certificates.isEmpty }
            .map { (name: $0.age.name, problems: $0.problems + contested($0, owners)) }
            .filter { !$0.problems.isEmpty }.sorted { $0.name < $1.name }.flatMap(\.problems)
    }

    /// The certificates of an Ingress that are not shown, because an older object has another one for the host.
    private func contested(_ ingress: CompiledIngress, _ owners: [String: HostCertificate]) -> [RouteProblem] {
        guard let object = ingresses[ingress.age.name] else { return [] }
        return ingress.certificates.compactMap { host, material -> String? in
            guard let owner = owners[host], owner.age != ingress.age, owner.material != material,
                !owner.leavesRoom(for: ingress.age)
            else { return nil }
            return "the certificate of \(host) is that of \(owner.kind) \(owner.age.name), which is older"
        }.sorted().map { RouteProblem(ingress: object, message: $0) }
    }

    /// Certificates by host (`*.suffix` for wildcards), lower case. The oldest Ingress or Gateway that names a host
    /// keeps it, for its namespace alone while its own certificate is missing.
    public var certificates: [String: TLSMaterial] {
        let owners = owners
        var shown = owners.filter { $0.value.material != nil }
        if shown.count < owners.count {
            forEachCertificate { host, one in
                guard one.material != nil, owners[host]?.leavesRoom(for: one.age) == true else { return }
                if let known = shown[host], known.age <= one.age { return }
                shown[host] = one
            }
        }
        return shown.compactMapValues(\.material)
    }

    /// Whose each host is, of those that somebody names a certificate for.
    private var owners: [String: HostCertificate] {
        var oldest: [String: HostCertificate] = [:]
        forEachCertificate { host, one in
            if let known = oldest[host], known.age <= one.age { return }
            oldest[host] = one
        }
        return oldest
    }

    private func forEachCertificate(_ body: (String, HostCertificate) -> Void) {
        gateways.forEachCertificate(body)
        for ingress in compiled.values {
            for host in ingress.certificateHosts {
                body(host, HostCertificate(kind: "Ingress", age: ingress.age, material: ingress.certificates[host]))
            }
        }
    }

    /// The longest pauses that any route allows a request (`send`) and its answer (`read`), where one says so: an edge,
    /// which passes all of them on, must not be less patient.
    public var longestPauses: RouteTimeouts {
        var longest = RouteTimeouts()
        for ingress in compiled.values {
            longest.send = [longest.send, ingress.timeouts.send].compactMap(\.self).max()
            longest.read = [longest.read, ingress.timeouts.read].compactMap(\.self).max()
        }
        return longest
    }

    /// The Secrets that are named by what is served here, when they may be others than when this was last asked: for
    /// those who may read no others.
    /// - Parameter certificates: whether those count, too, that hold the certificate of an Ingress and no more.
    public mutating func takeSecrets(certificates: Bool) -> Set<ObjectKey>? {
        guard namesOthers else { return nil }
        namesOthers = false
        var names = gateways.secretNames
        if certificates {
            names.formUnion(bySecret.keys)
        } else {
            for ingress in compiled.values { names.formUnion(ingress.accessSecretNames) }
        }
        return Set(names.compactMap(Self.secret))
    }

    /// Nil for what cannot be the name of a Secret.
    private static func secret(_ text: String) -> ObjectKey? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, Names.labelFault(parts[0]) == nil, Names.subdomainFault(parts[1]) == nil else {
            return nil
        }
        return ObjectKey(.secret, namespace: parts[0], name: parts[1])
    }

    // MARK: Ingresses

    /// Reads an Ingress anew; gives the hosts whose rules change.
    private mutating func read(_ name: String) -> Set<HostPattern> {
        let before = compiled.removeValue(forKey: name)
        var after: CompiledIngress?
        // New slots are taken before the old ones are given back: those that stay keep their places.
        if let ingress = ingresses[name], classes.serve(ingress), !ingress.isTerminating {
            after = IngressReader.read(ingress, secrets: secrets, &slots)
        }
        for slot in before?.slots ?? [] { slots.release(slot) }
        Self.move(name, from: before?.hosts ?? [], to: after?.hosts ?? [], in: &byHost)
        Self.move(name, from: before?.services ?? [], to: after?.services ?? [], in: &byService)
        Self.move(name, from: before?.secretNames ?? [], to: after?.secretNames ?? [], in: &bySecret)
        gateways.changedCertificates(before, after)
        if after?.fallback != nil { fallbacks.insert(name) } else { fallbacks.remove(name) }
        compiled[name] = after
        return (before?.hosts ?? []).union(after?.hosts ?? [])
    }

    private static func move<Key>(
        _ name: String, from before: Set<Key>, to after: Set<Key>, in users: inout [Key: Set<String>]
    ) {
        for key in before.subtracting(after) {
            users[key]?.remove(name)
            if users[key]?.isEmpty == true { users[key] = nil }
        }
        for key in after.subtracting(before) { users[key, default: []].insert(name) }
    }

    private func oldest(_ names: Set<String>) -> CompiledIngress? {
        names.compactMap { compiled[$0] }.min { $0.age < $1.age }
    }

    /// Puts a host's rules in order: those of all Ingresses, with the canaries of others.
    private mutating func assemble(_ host: HostPattern) {
        let parts = (byHost[host] ?? []).compactMap { compiled[$0] }.sorted { $0.age < $1.age }
        var rules = parts.flatMap { $0.rules[host] ?? [] }.sorted { $0.order < $1.order }
        if let first = rules.first, first.order.rank < RouteOrder.otherwise {
            rules.removeAll { $0.order.rank == RouteOrder.otherwise }
        }
        for canary in parts.flatMap({ $0.canaries[host] ?? [] }) {
            guard let place = rules.firstIndex(where: { $0.path == canary.path }) else { continue }
            let route = rules[place].route
            var policy = route.policy
            policy.canaries.append(canary.canary)
            rules[place].route = WebRoute(origin: route.origin, backends: route.backends, policy: policy)
        }
        table.rules[RouteTable.ingresses, host] = HostRules(rules)
    }
}

/// The certificate that an object names for a host.
struct HostCertificate: Sendable {
    var kind: String
    /// Of the object.
    var age: ObjectAge
    /// Nil while it is missing.
    var material: TLSMaterial?

    /// Whether another object's certificate may be shown in place of this one, which is the host's oldest: while it is
    /// missing, another namespace must not have the host.
    func leavesRoom(for other: ObjectAge) -> Bool { material == nil && age.namespace == other.namespace }
}
