internal import MartletBase
internal import MartletObject

/// What Gateways and their routes add to the table, and what their status ought to say. All Gateways of ours are
/// reached at one address: listeners of several of one namespace that have the same port and host name are one.
///
/// An object that changes changes what hangs on it alone: a route its own rules, a Gateway those of its own routes, so
/// that a change costs the same however many hosts there are.
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
    private var attachments: [String: RouteAttachment] = [:]
    private var byService: [String: Set<String>] = [:]
    /// The routes that name a Gateway, there or not.
    private var byGateway: [String: GatewayRoutes] = [:]
    private var byNamespace: [String: Set<String>] = [:]
    /// The listeners of each Gateway that is served, as it has them by itself, and as they are beside the others'.
    private var wished: [String: [GatewayListener]] = [:]
    private var listeners: [String: [GatewayListener]] = [:]
    private var claims = ListenerClaims()
    /// The Ingresses that name a certificate for a host, and whether there is one.
    private var ingresses: [String: [ObjectAge: Bool]] = [:]
    private var scopes = ListenerScopes()
    /// How many routes are attached to each listener.
    private var counts: [GatewayListener.ID: Int] = [:]

    private var allWishes: [ObjectKey: GatewayStatusWish] = [:]
    private var newWishes: Set<ObjectKey> = []
    /// The routes to be read anew, those only to be attached anew, and those whose status only is to be looked at.
    private var unread: Set<String> = []
    private var loose: Set<String> = []
    private var restated: Set<String> = []
    /// The Gateways to be read anew, and those whose status is to be looked at.
    private var unreadGateways: Set<String> = []
    private var restatedGateways: Set<String> = []
    private(set) var isDirty = false

    init(ports: GatewayPorts) { self.ports = ports }

    // MARK: Objects

    /// Takes an object in, or out when it is nil.
    mutating func change(_ key: ObjectKey, _ object: JSON?) {
        let name = "\(key.namespace)/\(key.name)"
        switch key.kind {
        case .gatewayClass:
            classes[key.name] = object
            wish(key, object.flatMap { Self.isOurs($0) ? .gatewayClass($0, [Self.accepted($0)]) : nil })
            for (name, gateway) in gateways where gateway["spec", "gatewayClassName"]?.string == key.name {
                unreadGateways.insert(name)
            }
        case .gateway:
            gateways[name] = object
            unreadGateways.insert(name)
        case .httpRoute: changeRoute(name, object)
        case .namespace:
            let before = namespaces[key.name] ?? [:]
            let after = object?.labels ?? [:]
            namespaces[key.name] = object?.labels
            let matters = listeners.values.contains { all in
                all.contains { $0.admits(key.name, labels: before) != $0.admits(key.name, labels: after) }
            }
            guard matters, let routes = byNamespace[key.name] else { return }
            loose.formUnion(routes)
        case .referenceGrant:
            if let object { grants.put(object) } else { grants.remove(namespace: key.namespace, name: key.name) }
            for (name, route) in compiled where route.crossesNamespaces { unread.insert(name) }
            for (name, all) in listeners where all.contains(where: \.crossesNamespaces) { unreadGateways.insert(name) }
        default: return
        }
        isDirty = true
    }

    private mutating func changeRoute(_ name: String, _ object: JSON?) {
        let before = routes[name]
        routes[name] = object
        // Most changes of a route are of its status, and most of these our own.
        if let before, let object, before["spec"] == object["spec"], before.isTerminating == object.isTerminating,
            ObjectAge(of: before) == ObjectAge(of: object)
        {
            restated.insert(name)
            return
        }
        unread.insert(name)
        let hosts = (before: Self.hosts(of: before), after: Self.hosts(of: object))
        for gateway in Self.gateways(of: before) { byGateway[gateway]?.remove(name, of: hosts.before) }
        for gateway in Self.gateways(of: object) { byGateway[gateway, default: .init()].insert(name, of: hosts.after) }
        for gateway in Self.gateways(of: before) where byGateway[gateway]?.isEmpty == true { byGateway[gateway] = nil }
        if let object {
            byNamespace[object.namespace, default: []].insert(name)
        } else if let before {
            byNamespace[before.namespace]?.remove(name)
            if byNamespace[before.namespace]?.isEmpty == true { byNamespace[before.namespace] = nil }
        }
    }

    private static func gateways(of route: JSON?) -> Set<String> {
        guard let route else { return [] }
        return Set((route["spec", "parentRefs"]?.array ?? []).compactMap { RouteAttachment.gateway($0, of: route) })
    }

    private static func hosts(of route: JSON?) -> Set<HostPattern> {
        let names = (route?["spec", "hostnames"]?.array ?? []).compactMap(\.string)
        return names.isEmpty ? [.every] : Set(names.map { HostPattern($0, wildcard: .anyLabels) })
    }

    /// Takes note that a Service has come, gone or changed.
    mutating func changedService(_ name: String) {
        guard let users = byService[name] else { return }
        unread.formUnion(users)
        isDirty = true
    }

    /// Takes note that a Secret has come, gone or changed.
    mutating func changedSecret(_ secret: String) {
        for (name, all) in listeners where all.contains(where: { $0.secretNames.contains(secret) }) {
            unreadGateways.insert(name)
            isDirty = true
        }
    }

    /// Takes note of the hosts that an Ingress names certificates for.
    mutating func changedCertificates(_ before: CompiledIngress?, _ after: CompiledIngress?) {
        let hosts = (before: before?.certificateHosts ?? [], after: after?.certificateHosts ?? [])
        if hosts.before == hosts.after, before?.age == after?.age,
            before?.certificates.keys == after?.certificates.keys
        {
            return
        }
        for host in hosts.before {
            if let age = before?.age { ingresses[host]?[age] = nil }
            if ingresses[host]?.isEmpty == true { ingresses[host] = nil }
        }
        for host in hosts.after {
            if let after { ingresses[host, default: [:]][after.age] = after.certificates[host] != nil }
        }
        let touched = hosts.before.union(hosts.after)
        for (name, all) in listeners where all.contains(where: { touched.contains($0.certificateName) }) {
            restatedGateways.insert(name)
            isDirty = true
        }
    }

    // MARK: The table

    /// Brings the table up to date.
    mutating func update(_ table: inout RouteTable, _ slots: inout ServiceSlots, secrets: [String: JSON]) {
        isDirty = false
        for name in unread { read(name, &slots) }
        let read = unread
        loose.formUnion(read)
        unread = []
        var touched: Set<String> = []
        for name in unreadGateways { touched.formUnion(readGateway(name, secrets)) }
        unreadGateways = []
        for name in touched { settle(name, &table) }
        restatedGateways.formUnion(touched)
        place(&table, read)
        restated.formUnion(loose)
        loose = []
        for name in restated { restate(route: name) }
        restated = []
        for name in restatedGateways { restate(gateway: name) }
        restatedGateways = []
    }

    /// The certificates of listeners that are of use, by host; of those for all hosts under the empty name.
    func forEachCertificate(_ body: (String, HostCertificate) -> Void) {
        for (gateway, all) in listeners {
            let age = age(gateway)
            for listener in all where listener.isSecure && listener.conditions[0].isTrue {
                body(
                    listener.certificateName, HostCertificate(kind: "Gateway", age: age, material: listener.material))
            }
        }
    }

    /// The Secrets that listeners name, as `namespace/name`: what is attached to a listener depends on them.
    var secretNames: Set<String> {
        listeners.values.reduce(into: []) { all, some in for listener in some { all.formUnion(listener.secretNames) } }
    }

    private static func isOurs(_ object: JSON) -> Bool { object["spec", "controllerName"]?.string == controllerName }

    private static func accepted(_ object: JSON) -> GatewayCondition {
        if object["spec", "parametersRef"] != nil {
            return GatewayCondition("Accepted", false, "InvalidParameters", "there are no parameters to refer to")
        }
        return GatewayCondition("Accepted", true, "Accepted")
    }

    private func age(_ gateway: String) -> ObjectAge { ObjectAge(of: gateways[gateway] ?? .null) }

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

    /// Whether a Gateway is ours and good, and stays.
    private func isServed(_ gateway: JSON) -> Bool {
        guard let name = gateway["spec", "gatewayClassName"]?.string, let object = classes[name] else { return false }
        return Self.isOurs(object) && Self.accepted(object).isTrue && !gateway.isTerminating
    }

    /// Reads a Gateway anew. Gives those whose listeners may be others now.
    private mutating func readGateway(_ name: String, _ secrets: [String: JSON]) -> Set<String> {
        var after: [GatewayListener]?
        if let gateway = gateways[name], isServed(gateway) {
            after = GatewayListenerReader(gateway: gateway, secrets: secrets, grants: grants, ports: ports).read()
        }
        wished[name] = after
        return claims.put(name, age: age(name), after)
    }

    /// Puts a Gateway's listeners where they belong now.
    private mutating func settle(_ name: String, _ table: inout RouteTable) {
        let before = listeners[name]
        let after = wished[name]?.map { listener in
            claims.keeper(from: listener).map { listener.refused(for: $0) } ?? listener
        }
        // New places are taken before the old ones are given back: those that stay keep theirs.
        let age = age(name)
        for listener in after ?? [] { scopes.put(listener, age: age, in: &table) }
        for listener in before ?? [] where after?.contains(where: { $0.hasPlace(of: listener) }) != true {
            scopes.remove(listener, in: &table)
        }
        listeners[name] = after
        loosen(name, from: before, to: after)
    }

    /// Finds the routes that a Gateway's change of listeners attaches otherwise: those that share a host with a
    /// listener that is another now. Of the rest each is attached as before, or was refused, and the reason may change.
    private mutating func loosen(_ name: String, from before: [GatewayListener]?, to after: [GatewayListener]?) {
        guard let routes = byGateway[name] else { return }
        if (before == nil) != (after == nil) { return loose.formUnion(routes.all) }
        let changed = Set((before ?? []).map(\.face)).symmetricDifference((after ?? []).map(\.face))
        if changed.isEmpty { return }
        loose.formUnion(routes.refused)
        for host in Set(changed.map(\.host)) { loose.formUnion(routes.sharing(host)) }
    }

    // MARK: Routes

    /// Attaches routes anew, and puts their rules where they belong now.
    /// - Parameter read: the routes whose rules themselves may have changed.
    private mutating func place(_ table: inout RouteTable, _ read: Set<String>) {
        var touched: [RoutePlace: Set<String>] = [:]
        for name in loose {
            let before = attachments.removeValue(forKey: name)
            if let object = routes[name], let route = compiled[name] {
                attachments[name] = RouteAttachment(
                    object, route, to: listeners, scopes, labels: namespaces[object.namespace] ?? [:])
            }
            let after = attachments[name]
            count(before?.listeners ?? [], after?.listeners ?? [])
            for gateway in before?.refusals ?? [] { byGateway[gateway]?.refused.remove(name) }
            for gateway in after?.refusals ?? [] { byGateway[gateway]?.refused.insert(name) }
            if before?.places == after?.places, !read.contains(name) { continue }
            for place in before?.places.keys ?? [:].keys { touched[place, default: []].insert(name) }
            for place in after?.places.keys ?? [:].keys { touched[place, default: []].insert(name) }
        }
        for (place, names) in touched { assemble(place, names, &table) }
    }

    private mutating func count(_ before: Set<GatewayListener.ID>, _ after: Set<GatewayListener.ID>) {
        for id in before.subtracting(after) {
            counts[id, default: 0] -= 1
            if counts[id] == 0 { counts[id] = nil }
            restatedGateways.insert(id.gateway)
        }
        for id in after.subtracting(before) {
            counts[id, default: 0] += 1
            restatedGateways.insert(id.gateway)
        }
    }

    /// Exchanges the rules that these routes have at a place; those of others stay in their order.
    private func assemble(_ place: RoutePlace, _ names: Set<String>, _ table: inout RouteTable) {
        var rules = table.rules[place.scope, place.host]?.rules ?? []
        rules.removeAll { names.contains($0.order.age.name) }
        for name in names {
            guard let exactness = attachments[name]?.places[place] else { continue }
            for var rule in compiled[name]?.rules ?? [] {
                rule.order.host = exactness
                rules.append(rule)
            }
        }
        rules.sort { $0.order < $1.order }
        table.rules[place.scope, place.host] = HostRules(rules)
    }

    // MARK: Status

    /// What all status ought to say.
    var wishes: [GatewayStatusWish] {
        allWishes.sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }.map(\.value)
    }

    /// What has changed of it since this was last asked.
    mutating func takeWishes() -> [GatewayStatusWish] {
        defer { newWishes = [] }
        return newWishes.compactMap { allWishes[$0] }
    }

    private mutating func wish(_ key: ObjectKey, _ wish: GatewayStatusWish?) {
        allWishes[key] = wish
        if wish == nil { newWishes.remove(key) } else { newWishes.insert(key) }
    }

    private mutating func restate(route name: String) {
        guard let object = routes[name], compiled[name] != nil else {
            return wish(Self.key(.httpRoute, name), nil)
        }
        // Also without parents of ours: what we said of one that is no more goes.
        wish(Self.key(.httpRoute, name), .route(object, attachments[name]?.parents ?? []))
    }

    private mutating func restate(gateway name: String) {
        guard let gateway = gateways[name], let listeners = listeners[name] else {
            return wish(Self.key(.gateway, name), nil)
        }
        let told = listeners.map { self.told($0, age: age(name)) }
        wish(Self.key(.gateway, name), Self.status(gateway, told, counts))
    }

    /// A listener with what is to be said of an older Ingress that keeps its certificate from being shown.
    private func told(_ listener: GatewayListener, age: ObjectAge) -> GatewayListener {
        // Of its own namespace one that lacks its certificate keeps nothing.
        let keepers = ingresses[listener.certificateName]?.filter { $0.value || $0.key.namespace != age.namespace }
        guard listener.isServed, listener.isSecure, let keeper = keepers?.keys.min(), keeper < age else {
            return listener
        }
        var listener = listener
        listener.conditions.removeAll { $0.type == GatewayListener.overlappingTLS }
        listener.conditions.append(
            GatewayCondition(
                GatewayListener.overlappingTLS, true, "OverlappingCertificates",
                "the certificate of this host is that of Ingress \(keeper.name), which is older"))
        return listener
    }

    private static func key(_ kind: ResourceKind, _ name: String) -> ObjectKey {
        let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        return ObjectKey(kind, namespace: String(parts[0]), name: String(parts[parts.count - 1]))
    }

    private static func status(
        _ gateway: JSON, _ listeners: [GatewayListener], _ counts: [GatewayListener.ID: Int]
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
                    name: $0.name, attached: counts[$0.id] ?? 0,
                    supportsRoutes: $0.supportsRoutes, conditions: $0.conditions)
            })
    }
}
