internal import MartletObject

/// Which part of the cluster the endpoints of a Service are meant for: by `spec.trafficDistribution`, or by the older
/// annotation that shares them among zones (upstream's trafficdist and topologycache).
enum EndpointHints {
    static let zoneLabel = "topology.kubernetes.io/zone"

    /// Whether a Service's endpoints are shared among zones by their CPUs.
    static func areShared(_ service: JSON) -> Bool {
        let annotations = service["metadata", "annotations"]
        let said =
            annotations?["service.kubernetes.io/topology-aware-hints"]
            ?? annotations?["service.kubernetes.io/topology-mode"]
        return ["Auto", "auto"].contains(said?.string ?? "")
    }

    /// Writes the hints that a Service wants into its slices.
    /// - Returns: an event about it, when that has turned.
    static func settle(
        _ plan: inout SlicePlan, of service: JSON, addressType: String, in snapshot: Snapshot
    ) -> Intent? {
        let hadHints = plan.hasHints
        if areShared(service) {
            let fault = share(&plan, among: snapshot.list(.node))
            if fault != nil { plan.setHints { _ in nil } }
            if hadHints == (fault == nil) { return nil }
            return event(fault, service, addressType)
        }
        switch service["spec", "trafficDistribution"]?.string {
        case "PreferClose", "PreferSameZone": plan.setHints { near($0, byNode: false) }
        case "PreferSameNode": plan.setHints { near($0, byNode: true) }
        default: plan.setHints { _ in nil }
        }
        return nil
    }

    private static func event(_ fault: String?, _ service: JSON, _ addressType: String) -> Intent {
        .event(
            about: ObjectKey(.service, namespace: service.namespace, name: service.name), uid: service.uid,
            type: fault == nil ? "Normal" : "Warning",
            reason: fault == nil ? "TopologyAwareHintsEnabled" : "TopologyAwareHintsDisabled",
            message: "\(fault ?? "Topology Aware Hints has been enabled"), addressType: \(addressType)")
    }

    static func isReady(_ endpoint: JSON) -> Bool { endpoint["conditions", "ready"]?.bool == true }

    /// An endpoint is for its own zone, or its own node.
    private static func near(_ endpoint: JSON, byNode: Bool) -> JSON? {
        guard isReady(endpoint) else { return nil }
        var hints: JSON = [:]
        if let zone = endpoint["zone"] { hints["forZones"] = [["name": zone]] }
        if byNode, let node = endpoint["nodeName"] { hints["forNodes"] = [["name": node]] }
        return hints.members.isEmpty ? nil : hints
    }

    // MARK: Shares

    /// Gives every zone endpoints by its share of the CPUs: its own, and those that other zones have too many of.
    /// - Returns: why that cannot be done.
    private static func share(_ plan: inout SlicePlan, among nodes: [JSON]) -> String? {
        let ready = plan.all.reduce(0) { $0 + $1.endpoints.filter(isReady).count }
        let shares: ZoneShares
        switch ZoneShares.of(ready, among: nodes) {
        case .success(let found): shares = found
        case .failure(let fault): return fault.message
        }
        var given: [String: Int] = [:]
        plan.change { slice in
            guard let counts = shares.zones(of: slice, beside: given) else { return true }
            given.merge(counts, uniquingKeysWith: +)
            return false
        }
        for endpoint in (plan.created + plan.updated).flatMap(\.endpoints) where isReady(endpoint) {
            guard let zone = endpoint["zone"]?.string, !zone.isEmpty else {
                return "One or more endpoints do not have a zone specified"
            }
            given[zone, default: 0] += 1
        }
        var (giving, receiving) = shares.moves(from: given)
        plan.setHintsOfChanged { endpoint in
            guard isReady(endpoint), let own = endpoint["zone"]?.string else { return nil }
            var zone = own
            if let left = giving[own], let taker = receiving.keys.min() {
                giving[own] = left == 1 ? nil : left - 1
                receiving[taker] = receiving[taker] == 1 ? nil : (receiving[taker] ?? 1) - 1
                zone = taker
            }
            return ["forZones": [["name": .string(zone)]]]
        }
        return given.isEmpty ? "No hints allocated for zones" : nil
    }
}

/// How many endpoints each zone should have.
struct ZoneShares {
    /// Why there are no shares.
    struct Fault: Error {
        var message: String
        init(_ message: String) { self.message = message }
    }
    struct Share {
        var minimum: Int
        var maximum = 0
        var desired: Double
    }
    /// How much more than its part an endpoint may have to bear.
    private static let overload = 0.2

    private(set) var byZone: [String: Share] = [:]

    static func of(_ endpoints: Int, among nodes: [JSON]) -> Result<ZoneShares, Fault> {
        guard let parts = Self.parts(of: nodes) else {
            let why = "allocatable CPU or zone not specified on one or more nodes"
            return .failure(Fault("Insufficient Node information: \(why)"))
        }
        let counts = "(\(endpoints) endpoints, \(parts.count) zones)"
        if parts.count > endpoints {
            return .failure(Fault("Insufficient number of endpoints \(counts)"))
        }
        var shares = ZoneShares()
        for (zone, part) in parts {
            let desired = part * Double(endpoints)
            let minimum = Int((desired / (1 + overload)).rounded(.up))
            shares.byZone[zone] = Share(minimum: minimum, desired: max(desired, Double(minimum)))
        }
        let left = endpoints - shares.byZone.values.reduce(0) { $0 + $1.minimum }
        if left < 0 {
            return .failure(Fault("Minimum allocation required exceeds overload threshold \(counts)"))
        }
        shares.byZone = shares.byZone.mapValues {
            Share(minimum: $0.minimum, maximum: $0.minimum + left, desired: $0.desired)
        }
        return .success(shares)
    }

    /// Each zone's part of the CPUs of ready nodes that are no masters; nil when a node does not tell, or there is one
    /// zone only.
    private static func parts(of nodes: [JSON]) -> [String: Double]? {
        var cpus: [String: Double] = [:]
        for node in nodes where isCounted(node) {
            guard let zone = node.labels[EndpointHints.zoneLabel], !zone.isEmpty,
                let cpu = node["status", "allocatable", "cpu"].flatMap({ Quantity($0) })?.milli, cpu > 0
            else { return nil }
            cpus[zone, default: 0] += Double(cpu)
        }
        guard cpus.count > 1 else { return nil }
        let all = cpus.values.reduce(0, +)
        return cpus.mapValues { $0 / all }
    }

    private static func isCounted(_ node: JSON) -> Bool {
        let masters = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"]
        return PodFacts.isReady(node) && !masters.contains { node.labels[$0] != nil }
    }

    /// How many endpoints a slice gives to each zone; nil when it gives one to nobody, or too many.
    func zones(of slice: JSON, beside given: [String: Int]) -> [String: Int]? {
        var counts: [String: Int] = [:]
        for endpoint in slice.endpoints where EndpointHints.isReady(endpoint) {
            let zones = (endpoint["hints", "forZones"]?.array ?? []).compactMap { $0["name"]?.string }
            if zones.isEmpty { return nil }
            for zone in zones { counts[zone, default: 0] += 1 }
        }
        let fits = counts.allSatisfy { zone, count in
            byZone[zone].map { count + (given[zone] ?? 0) <= $0.maximum } ?? false
        }
        return fits ? counts : nil
    }

    /// How many endpoints each zone gives to others, and how many it takes.
    func moves(from given: [String: Int]) -> (giving: [String: Int], receiving: [String: Int]) {
        var surplus: [String: Double] = [:]
        for (zone, share) in byZone { surplus[zone] = Double(given[zone] ?? 0) - share.desired }
        var giving: [String: Int] = [:]
        var receiving: [String: Int] = [:]
        // The names decide among equals: the same nodes make the same hints.
        while let giver = surplus.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }),
            let taker = surplus.min(by: { ($0.value, $0.key) < ($1.value, $1.key) }),
            giver.value >= 0.5, -taker.value >= 0.5, max(giver.value, -taker.value) >= 1
        {
            giving[giver.key, default: 0] += 1
            receiving[taker.key, default: 0] += 1
            surplus[giver.key] = giver.value - 1
            surplus[taker.key] = taker.value + 1
        }
        return (giving, receiving)
    }
}
