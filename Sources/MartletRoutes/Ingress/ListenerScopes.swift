/// The places that listeners have in the table. All Gateways of ours are reached at one address: those of one namespace
/// that end TLS alike and have the same host name are one. A place stays a listener's until nobody has it any more, so
/// that a Gateway that comes or goes moves no rules but its own.
struct ListenerScopes: Sendable {
    private typealias Key = GatewayListener.Claim

    private struct Holder {
        var age: ObjectAge
        var port: Int
    }

    private var places: [Key: Int] = [:]
    private var holders: [Key: [GatewayListener.ID: Holder]] = [:]
    private var free: [Int] = []

    /// The place of a listener that is served.
    func place(of listener: GatewayListener) -> Int? { listener.isServed ? places[listener.claim] : nil }

    /// Gives a listener that is served its place.
    mutating func put(_ listener: GatewayListener, age: ObjectAge, in table: inout RouteTable) {
        guard listener.isServed else { return }
        let key = listener.claim
        holders[key, default: [:]][listener.id] = Holder(age: age, port: listener.port)
        if places[key] == nil {
            let place = free.popLast() ?? table.listeners.count
            if place == table.listeners.count {
                table.listeners.append(
                    RouteListener(port: listener.port, isSecure: key.isSecure, host: key.host, age: age))
            }
            places[key] = place
            table.listenerHosts[key.isSecure ? 1 : 0, key.host] = place
        }
        describe(key, in: &table)
    }

    /// Takes a listener's place away when it was the last that had it.
    mutating func remove(_ listener: GatewayListener, in table: inout RouteTable) {
        let key = listener.claim
        guard holders[key]?.removeValue(forKey: listener.id) != nil else { return }
        if holders[key]?.isEmpty == false { return describe(key, in: &table) }
        holders[key] = nil
        table.listenerHosts[key.isSecure ? 1 : 0, key.host] = nil
        if let place = places.removeValue(forKey: key) { free.append(place) }
    }

    /// Port and age are the oldest Gateway's.
    private func describe(_ key: Key, in table: inout RouteTable) {
        guard let place = places[key], let oldest = holders[key]?.values.min(by: { $0.age < $1.age }) else { return }
        table.listeners[place] = RouteListener(
            port: oldest.port, isSecure: key.isSecure, host: key.host, age: oldest.age)
    }
}

/// Which Gateways claim which host names. As all are reached at one address, a name is the namespace's whose Gateway is
/// the oldest that claims it: a Gateway of another namespace would take requests that are not its own.
struct ListenerClaims: Sendable {
    private var claims: [GatewayListener.Claim: Set<ObjectAge>] = [:]
    private var byGateway: [String: (age: ObjectAge, claims: Set<GatewayListener.Claim>)] = [:]

    /// Takes what a Gateway claims now in place of what it did. Gives the Gateways to whom that matters; it is one.
    mutating func put(
        _ name: String, age: ObjectAge, _ listeners: [GatewayListener]?
    ) -> Set<String> {
        let before = byGateway.removeValue(forKey: name)
        // What is of no use claims nothing; what only lacks its certificate does.
        let after = Set((listeners ?? []).filter(\.conditions[0].isTrue).map(\.claim))
        var touched: Set<String> = [name]
        for claim in before?.claims ?? [] {
            touched.formUnion((claims[claim] ?? []).map(\.name))
            if let age = before?.age { claims[claim]?.remove(age) }
            if claims[claim]?.isEmpty == true { claims[claim] = nil }
        }
        for claim in after {
            claims[claim, default: []].insert(age)
            touched.formUnion((claims[claim] ?? []).map(\.name))
        }
        if !after.isEmpty { byGateway[name] = (age, after) }
        return touched
    }

    /// The older Gateway of another namespace that has a listener's name; nil when it may have it itself.
    func keeper(from listener: GatewayListener) -> String? {
        guard listener.conditions[0].isTrue, let oldest = claims[listener.claim]?.min(),
            !oldest.name.hasPrefix(listener.namespace + "/")
        else { return nil }
        return oldest.name
    }
}
