/// The names of the routes that name one Gateway, to be found by the hosts that they name: a listener that changes
/// concerns no others.
struct GatewayRoutes: Sendable {
    private(set) var all: Set<String> = []
    /// Those that the Gateway refuses, as of when they were last attached.
    var refused: Set<String> = []
    private var byHost: [HostPattern: Set<String>] = [:]

    var isEmpty: Bool { all.isEmpty }

    mutating func insert(_ name: String, of hosts: Set<HostPattern>) {
        all.insert(name)
        for host in hosts { byHost[host, default: []].insert(name) }
    }

    mutating func remove(_ name: String, of hosts: Set<HostPattern>) {
        all.remove(name)
        for host in hosts {
            byHost[host]?.remove(name)
            if byHost[host]?.isEmpty == true { byHost[host] = nil }
        }
    }

    /// Those that name a host which is one of these, too.
    func sharing(_ host: HostPattern) -> Set<String> {
        switch host.form {
        case .every: return all
        case .exact:
            // All that can cover it is known by name: no need to look at each.
            var found = (byHost[.every] ?? []).union(byHost[host] ?? [])
            var suffix = host.name[...]
            while let dot = suffix.firstIndex(of: UInt8(ascii: ".")) {
                suffix = suffix[(dot + 1)...]
                found.formUnion(byHost[HostPattern(form: .anyLabels, name: Array(suffix))] ?? [])
            }
            return found
        case .oneLabel, .anyLabels:
            return byHost.reduce(into: []) { found, entry in
                if host.intersection(entry.key) != nil { found.formUnion(entry.value) }
            }
        }
    }
}
