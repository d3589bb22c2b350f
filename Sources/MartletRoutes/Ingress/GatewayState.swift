internal import MartletBase
internal import MartletObject

/// What Gateways and their routes add to the table, and what their status ought to say. All Gateways of ours are
/// reached at one address: listeners of several that have the same port and host name are one.
struct GatewayState: Sendable {
    static let group = "gateway.networking.k8s.io"
    /// The controller that a GatewayClass must name to be served here.
    static let controllerName = "martlet.io/gateway"

    private var classes: [String: JSON] = [:]
    private var gateways: [String: JSON] = [:]
    private var routes: [String: JSON] = [:]
    private var namespaces: [String: [String: String]] = [:]
    private var grants = ReferenceGrants()
    private let ports: GatewayPorts

    private var compiled: [String: CompiledHTTPRoute] = [:]
    private var byService: [String: Set<String>] = [:]
    private var listeners: [String: [GatewayListener]] = [:]
    /// Where in the table there are rules of ours.
    private var placed: Set<Place> = []
    private(set) var wishes: [GatewayStatusWish] = []
    /// The routes to be read anew.
    private var dirty: Set<String> = []
    private(set) var isDirty = false

    private struct Place: Hashable {
        var scope: Int
        var host: HostPattern
    }

    init(ports: GatewayPorts) { self.ports = ports }

    // MARK: Objects

    /// Takes an object in, or out when it is nil.
    mutating func change(_ key: ObjectKey, _ object: JSON?) {
        let name = "\(key.namespace)/\(key.name)"
        switch key.kind {
        case .gatewayClass: classes[key.name] = object
        case .gateway: gateways[name] = object
        case .httpRoute:
            routes[name] = object
            dirty.insert(name)
        case .namespace:
            if namespaces[key.name] == object?.labels { return }
            namespaces[key.name] = object?.labels
            // Nothing of ours hangs on namespaces when there are no Gateways.
            if gateways.isEmpty { return }
        case .referenceGrant:
            if let object { grants.put(object) } else { grants.remove(namespace: key.namespace, name: key.name) }
            for (name, route) in compiled where route.crossesNamespaces { dirty.insert(name) }
        default: return
        }
        isDirty = true
    }

    /// Takes note that a Service has come, gone or changed.
    mutating func changedService(_ name: String) {
        guard let users = byService[name] else { return }
        dirty.formUnion(users)
        isDirty = true
    }

    /// Takes note that a Secret has come, gone or changed.
    mutating func changedSecret() { if !gateways.isEmpty { isDirty = true } }

    // MARK: The table

    /// Brings the table up to date.
    mutating func update(_ table: inout RouteTable, _ slots: inout ServiceSlots, secrets: [String: JSON]) {
        isDirty = false
        for name in dirty { read(name, &slots) }
        dirty = []
        let ours = classes.filter { $0.value["spec", "controllerName"]?.string == Self.controllerName }
        wishes = ours.sorted { $0.key < $1.key }.map { .gatewayClass($0.value, [Self.accepted($0.value)]) }
        listeners = [:]
        let served = gateways.filter { entry in
            guard let name = entry.value["spec", "gatewayClassName"]?.string, let object = ours[name] else {
                return false
            }
            return Self.accepted(object).isTrue && !entry.value.isTerminating
        }
        for (name, gateway) in served {
            listeners[name] = GatewayListenerReader(
                gateway: gateway, secrets: secrets, grants: grants, ports: ports
            ).read()
        }
        let scopes = placeListeners(&table)
        let attached = placeRoutes(&table, scopes)
        for (name, gateway) in served.sorted(by: { $0.key < $1.key }) {
            wishes.append(Self.status(gateway, listeners[name] ?? [], attached))
        }
    }

    /// Certificates by host, of listeners that are served; the oldest Gateway that names a host keeps it.
    var certificates: [String: TLSMaterial] {
        var result: [String: TLSMaterial] = [:]
        for listener in ordered where listener.isServed {
            guard let hostname = listener.hostname, let material = listener.material else { continue }
            let name = RequestHost(hostname).name
            if result[name] == nil { result[name] = material }
        }
        return result
    }

    private static func accepted(_ object: JSON) -> GatewayCondition {
        if object["spec", "parametersRef"] != nil {
            return GatewayCondition("Accepted", false, "InvalidParameters", "there are no parameters to refer to")
        }
        return GatewayCondition("Accepted", true, "Accepted")
    }

    /// All listeners, those of the oldest Gateway first.
    private var ordered: [GatewayListener] {
        listeners.keys.sorted {
            IngressReader.age(of: gateways[$0] ?? .null) < IngressReader.age(of: gateways[$1] ?? .null)
        }.flatMap { listeners[$0] ?? [] }
    }

    private mutating func read(_ name: String, _ slots: inout ServiceSlots) {
        let before = compiled.removeValue(forKey: name)
        var after: CompiledHTTPRoute?
        if let route = routes[name], !route.isTerminating {
            after = HTTPRouteReader.read(route, grants: grants, &slots)
        }
        for slot in before?.slots ?? [] { slots.release(slot) }
        for service in before?.services ?? [] { byService[service]?.remove(name) }
        for service in after?.services ?? [] { byService[service, default: []].insert(name) }
        for service in before?.services ?? [] where byService[service]?.isEmpty == true { byService[service] = nil }
        compiled[name] = after
    }

    /// Gives each kind of listener a scope; tells which listener has which.
    private func placeListeners(_ table: inout RouteTable) -> [String: Int] {
        table.listeners = []
        table.listenerHosts = HostIndex()
        var scopes: [String: Int] = [:]
        for listener in ordered where listener.isServed {
            let scope = listener.isSecure ? 1 : 0
            let place = table.listenerHosts[scope, listener.host] ?? table.listeners.count
            if place == table.listeners.count {
                table.listeners.append(RouteListener(port: listener.port, isSecure: listener.isSecure))
                table.listenerHosts[scope, listener.host] = place
            }
            scopes[listener.gateway + "/" + listener.name] = place
        }
        return scopes
    }

    // MARK: Routes

    /// Puts the routes' rules where they are attached; counts the routes of each listener.
    private mutating func placeRoutes(_ table: inout RouteTable, _ scopes: [String: Int]) -> [String: Int] {
        var attached: [String: Int] = [:]
        var rules: [Place: [RouteRule]] = [:]
        for (name, route) in compiled.sorted(by: { $0.key < $1.key }) {
            guard let object = routes[name] else { continue }
            var parents: [(reference: JSON, conditions: [GatewayCondition])] = []
            var places: Set<Place> = []
            var counted: Set<String> = []
            for reference in object["spec", "parentRefs"]?.array ?? [] {
                guard let (listeners, accepted) = attach(object, route, reference) else { continue }
                parents.append((reference, Self.conditions(route, accepted)))
                for listener in listeners {
                    let id = listener.gateway + "/" + listener.name
                    counted.insert(id)
                    guard let scope = scopes[id] else { continue }
                    for hostname in route.hostnames.isEmpty ? [nil] : route.hostnames.map(Optional.some) {
                        if let host = listener.shared(with: hostname) {
                            places.insert(Place(scope: scope + 1, host: host))
                        }
                    }
                }
            }
            for id in counted { attached[id, default: 0] += 1 }
            for place in places { rules[place, default: []] += route.rules }
            // Also without parents of ours: what we said of one that is no more goes.
            wishes.append(.route(object, parents))
        }
        for place in placed where rules[place] == nil { table.rules[place.scope, place.host] = nil }
        for (place, list) in rules {
            table.rules[place.scope, place.host] = list.count > 1 ? list.sorted { $0.order < $1.order } : list
        }
        placed = Set(rules.keys)
        return attached
    }

    /// The listeners that a route is attached to by one of its parents, and whether it is accepted there; nil when the
    /// parent is none of ours.
    private func attach(
        _ object: JSON, _ route: CompiledHTTPRoute, _ reference: JSON
    ) -> ([GatewayListener], GatewayCondition)? {
        guard reference["group"]?.string ?? Self.group == Self.group,
            reference["kind"]?.string ?? "Gateway" == "Gateway", let name = reference["name"]?.string,
            let all = listeners["\(reference["namespace"]?.string ?? object.namespace)/\(name)"]
        else { return nil }
        func refused(_ reason: String, _ message: String) -> ([GatewayListener], GatewayCondition) {
            ([], GatewayCondition("Accepted", false, reason, message))
        }
        let section = reference["sectionName"]?.string
        let port = reference["port"]?.int
        let named = all.filter { (section == nil || $0.name == section) && (port == nil || $0.port == port) }
        if named.isEmpty { return refused("NoMatchingParent", "the Gateway has no such listener") }
        let open = named.filter {
            $0.supportsRoutes && $0.admits(object.namespace, labels: namespaces[object.namespace] ?? [:])
        }
        if open.isEmpty { return refused("NotAllowedByListeners", "no listener allows this route") }
        let shared = open.filter { listener in
            route.hostnames.isEmpty || route.hostnames.contains { listener.shared(with: $0) != nil }
        }
        if shared.isEmpty {
            return refused("NoMatchingListenerHostname", "no listener shares a host name with this route")
        }
        if route.faults.count >= max(1, route.ruleCount) && !route.faults.isEmpty {
            return refused("UnsupportedValue", route.faults.joined(separator: "; "))
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

    // MARK: Status

    private static func status(
        _ gateway: JSON, _ listeners: [GatewayListener], _ attached: [String: Int]
    ) -> GatewayStatusWish {
        let isSound = listeners.map { $0.conditions[0].isTrue && $0.conditions[1].isTrue }
        var accepted = GatewayCondition("Accepted", true, "Accepted")
        if isSound.contains(false) {
            accepted = GatewayCondition(
                "Accepted", isSound.contains(true), "ListenersNotValid", "some listeners are not valid")
        }
        var programmed =
            listeners.contains(where: \.isServed)
            ? GatewayCondition("Programmed", true, "Programmed")
            : GatewayCondition("Programmed", false, "Invalid", "no listener is valid")
        if gateway["spec", "addresses"]?.array?.contains(where: { $0["type"]?.string ?? "IPAddress" != "IPAddress" })
            == true
        {
            accepted = GatewayCondition(
                "Accepted", false, "UnsupportedAddress", "only addresses of the type IPAddress are supported")
            programmed = GatewayCondition("Programmed", false, "Invalid", "an address has an unsupported type")
        }
        return .gateway(
            gateway, [accepted, programmed],
            listeners.map {
                .init(
                    name: $0.name, attached: attached["\($0.gateway)/\($0.name)"] ?? 0,
                    supportsRoutes: $0.supportsRoutes, conditions: $0.conditions)
            })
    }
}
