internal import MartletObject

/// A host of a listener, or of the Ingresses: where in the table rules lie.
struct RoutePlace: Sendable, Hashable {
    var scope: Int
    var host: HostPattern
}

/// How one HTTPRoute is attached to Gateways of ours.
struct RouteAttachment: Sendable {
    /// Where its rules lie, and how exactly it names the host there (``HostPattern/exactness``).
    var places: [RoutePlace: Int] = [:]
    /// The listeners that it counts for.
    var listeners: Set<GatewayListener.ID> = []
    /// The Gateways of ours that refuse it, by one of its parents at least.
    var refusals: Set<String> = []
    /// What is said of each parent of ours.
    var parents: [(reference: JSON, conditions: [GatewayCondition])] = []

    /// Attaches a route to the listeners that its parents name, allow it, and share a host name with it.
    /// - Parameters:
    ///   - listeners: of all Gateways of ours, by `namespace/name`.
    ///   - labels: those of the route's namespace.
    init(
        _ object: JSON, _ route: CompiledHTTPRoute, to listeners: [String: [GatewayListener]], _ scopes: ListenerScopes,
        labels: [String: String]
    ) {
        for reference in object["spec", "parentRefs"]?.array ?? [] {
            guard let name = Self.gateway(reference, of: object), let all = listeners[name] else { continue }
            let (joined, accepted) = Self.join(object, route, reference, all, labels)
            parents.append((reference, Self.conditions(route, accepted)))
            if !accepted.isTrue { refusals.insert(name) }
            for listener in joined {
                if accepted.isTrue { self.listeners.insert(listener.id) }
                guard let scope = scopes.place(of: listener) else { continue }
                for hostname in route.hostnames.isEmpty ? [nil] : route.hostnames.map(Optional.some) {
                    guard let host = listener.shared(with: hostname) else { continue }
                    let exactness = HostPattern(hostname, wildcard: .anyLabels).exactness
                    let place = RoutePlace(scope: scope + 1, host: host)
                    places[place] = max(exactness, places[place] ?? 0)
                }
            }
        }
    }

    /// The Gateway that a parent reference names, as `namespace/name`; nil when it names something else.
    static func gateway(_ reference: JSON, of object: JSON) -> String? {
        guard reference["group"]?.string ?? GatewayState.group == GatewayState.group,
            reference["kind"]?.string ?? "Gateway" == "Gateway", let name = reference["name"]?.string
        else { return nil }
        return "\(reference["namespace"]?.string ?? object.namespace)/\(name)"
    }

    /// The listeners where a route's rules lie by one of its parents, and whether it is accepted there.
    private static func join(
        _ object: JSON, _ route: CompiledHTTPRoute, _ reference: JSON, _ all: [GatewayListener],
        _ labels: [String: String]
    ) -> ([GatewayListener], GatewayCondition) {
        func refused(_ reason: String, _ message: String) -> ([GatewayListener], GatewayCondition) {
            ([], GatewayCondition("Accepted", false, reason, message))
        }
        let section = reference["sectionName"]?.string
        let port = reference["port"]?.int
        let named = all.filter { (section == nil || $0.name == section) && (port == nil || $0.port == port) }
        if named.isEmpty { return refused("NoMatchingParent", "the Gateway has no such listener") }
        let open = named.filter { $0.supportsRoutes && $0.admits(object.namespace, labels: labels) }
        if open.isEmpty { return refused("NotAllowedByListeners", "no listener allows this route") }
        let shared = open.filter { listener in
            route.hostnames.isEmpty || route.hostnames.contains { listener.shared(with: $0) != nil }
        }
        if shared.isEmpty {
            return refused("NoMatchingListenerHostname", "no listener shares a host name with this route")
        }
        if route.ruleCount > 0 && route.brokenRules == route.ruleCount {
            // Its rules refuse what they cover: no other route takes it in their place.
            let reason = route.faults.joined(separator: "; ")
            return (shared, GatewayCondition("Accepted", false, "UnsupportedValue", reason))
        }
        return (shared, GatewayCondition("Accepted", true, "Accepted"))
    }

    private static func conditions(_ route: CompiledHTTPRoute, _ accepted: GatewayCondition) -> [GatewayCondition] {
        var conditions = [accepted, route.resolved]
        if accepted.isTrue && !route.faults.isEmpty {
            conditions.append(
                GatewayCondition("PartiallyInvalid", true, "UnsupportedValue", route.faults.joined(separator: "; ")))
        }
        return conditions
    }
}
