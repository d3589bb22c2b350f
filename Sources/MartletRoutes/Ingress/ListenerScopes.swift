/// The places that listeners have in the table. All Gateways of ours are reached at one address: those of several
/// that end TLS alike and have the same host name are one. A place stays a listener's until nobody has it any more, so
/// that a Gateway that comes or goes moves no rules but its own.
struct ListenerScopes: Sendable {
    private struct Key: Hashable {
        var isSecure: Bool
        var host: HostPattern

        init(_ listener: GatewayListener) {
            isSecure = listener.isSecure
            host = listener.host
        }

        /// The scope in ``RouteTable/listenerHosts``.
        var scope: Int { isSecure ? 1 : 0 }
    }
    private struct Holder {
        var age: CompiledIngress.Age
        var port: Int
    }

    private var places: [Key: Int] = [:]
    private var holders: [Key: [GatewayListener.ID: Holder]] = [:]
    private var free: [Int] = []

    /// The place of a listener that is served.
    func place(of listener: GatewayListener) -> Int? { listener.isServed ? places[Key(listener)] : nil }

    /// Gives a listener that is served its place.
    mutating func put(_ listener: GatewayListener, age: CompiledIngress.Age, in table: inout RouteTable) {
        guard listener.isServed else { return }
        let key = Key(listener)
        holders[key, default: [:]][listener.id] = Holder(age: age, port: listener.port)
        if places[key] == nil {
            let place = free.popLast() ?? table.listeners.count
            if place == table.listeners.count {
                table.listeners.append(RouteListener(port: listener.port, isSecure: listener.isSecure))
            }
            places[key] = place
            table.listenerHosts[key.scope, key.host] = place
        }
        describe(key, in: &table)
    }

    /// Takes a listener's place away when it was the last that had it.
    mutating func remove(_ listener: GatewayListener, in table: inout RouteTable) {
        let key = Key(listener)
        guard holders[key]?.removeValue(forKey: listener.id) != nil else { return }
        if holders[key]?.isEmpty == false { return describe(key, in: &table) }
        holders[key] = nil
        table.listenerHosts[key.scope, key.host] = nil
        if let place = places.removeValue(forKey: key) { free.append(place) }
    }

    /// The port is the oldest Gateway's.
    private func describe(_ key: Key, in table: inout RouteTable) {
        guard let place = places[key], let oldest = holders[key]?.values.min(by: { $0.age < $1.age }) else { return }
        table.listeners[place] = RouteListener(port: oldest.port, isSecure: key.isSecure)
    }
}
