/// The names of one Service with their records, by Kubernetes' DNS specification 1.1.0.
struct DNSServiceNames {
    /// What is known of one name while it is collected.
    private struct Draft {
        var addresses: [DNSAddress] = []
        var services: [Target] = []
        var alias: DNSName?
    }
    struct Target: Hashable {
        var port: UInt16
        var name: DNSName
    }

    /// The records of each name.
    private(set) var names: [DNSName: DNSNode] = [:]
    /// The names of addresses.
    private(set) var pointers: [(name: DNSName, target: DNSName)] = []
    private var drafts: [DNSName: Draft] = [:]
    /// What has been said already: slices may tell the same twice.
    private var said: Set<Fact> = []
    private enum Fact: Hashable {
        case address(DNSName, DNSAddress)
        case service(DNSName, Target)
        case pointer(DNSName, DNSName)
    }
    private let base: DNSName
    private let ttl: UInt32

    init(base: DNSName, _ service: DNSServiceFacts, _ slices: [DNSSliceFacts], ttl: UInt32) {
        self.base = base
        self.ttl = ttl
        if let alias = service.externalName { drafts[base] = Draft(alias: alias) }
        for address in service.addresses {
            add(address, to: base)
            if let name = address.reverse { pointers.append((name, base)) }
        }
        if !service.addresses.isEmpty {
            for port in service.ports { add(port, target: base) }
        }
        for slice in slices { add(slice, service) }
        for (name, draft) in drafts { names[name] = node(draft) }
    }

    /// Hosts of every Service have a name; only a headless one is its hosts.
    private mutating func add(_ slice: DNSSliceFacts, _ service: DNSServiceFacts) {
        if service.externalName != nil { return }
        for endpoint in slice.endpoints where endpoint.isReady || service.publishesNotReady {
            guard let host = base.under(endpoint.label) else { continue }
            add(endpoint.address, to: host)
            if service.isHeadless || endpoint.isNamed, let name = endpoint.address.reverse {
                if said.insert(.pointer(name, host)).inserted { pointers.append((name, host)) }
            }
            guard service.isHeadless else { continue }
            add(endpoint.address, to: base)
            for port in slice.ports { add(port, target: host) }
        }
    }

    private mutating func add(_ address: DNSAddress, to name: DNSName) {
        if said.insert(.address(name, address)).inserted { drafts[name, default: Draft()].addresses.append(address) }
    }

    /// A port under its own name and, as CoreDNS has it, under the Service's.
    private mutating func add(_ port: DNSServiceFacts.Port, target name: DNSName) {
        let target = Target(port: port.number, name: name)
        add(target, to: base)
        guard !port.name.isEmpty, let own = base.under("_" + port.proto)?.under("_" + port.name) else { return }
        add(target, to: own)
    }

    private mutating func add(_ target: Target, to name: DNSName) {
        if said.insert(.service(name, target)).inserted { drafts[name, default: Draft()].services.append(target) }
    }

    private func node(_ draft: Draft) -> DNSNode {
        var node = DNSNode()
        if let alias = draft.alias {
            node.alias = alias
            node.add(DNSType.cname, ttl: ttl, [alias.wire])
            return node
        }
        for type in [DNSType.a, DNSType.aaaa] {
            node.add(type, ttl: ttl, draft.addresses.filter { $0.type == type }.map(\.bytes))
        }
        guard !draft.services.isEmpty else { return node }
        let weight = UInt16(max(1, 100 / draft.services.count))
        node.add(DNSType.srv, ttl: ttl, draft.services.map { Self.data($0, weight) })
        // Whoever asks for ports asks for the addresses next.
        var told: Set<DNSName> = []
        for target in draft.services where told.insert(target.name).inserted {
            for address in drafts[target.name]?.addresses ?? [] {
                node.addBeside(DNSType.srv, address.type, name: target.name, ttl: ttl, address.bytes)
            }
        }
        return node
    }

    private static func data(_ target: Target, _ weight: UInt16) -> [UInt8] {
        var data: [UInt8] = []
        for value in [0, weight, target.port] { DNSBytes.append(value, to: &data) }
        return data + target.name.wire
    }
}

/// What one name of the zone has: an answer for each type, ready.
struct DNSNode: Sendable {
    private(set) var replies: [(type: UInt16, reply: DNSReply)] = []
    /// What this name is another name for.
    var alias: DNSName?

    func reply(_ type: UInt16) -> DNSReply? {
        for entry in replies where entry.type == type { return entry.reply }
        // Of "whatever there is", one kind is enough (RFC 8482).
        return type == DNSType.any ? replies.first?.reply : nil
    }

    /// Adds the records of one type, as many as one answer takes.
    mutating func add(_ type: UInt16, ttl: UInt32, _ data: [[UInt8]]) {
        if data.isEmpty { return }
        var reply = DNSReply()
        reply.isAuthoritative = true
        for bytes in data where reply.records.count < DNSLimits.records { reply.add(type, ttl: ttl, data: bytes) }
        reply.answers = reply.ends.count
        reply.rotates = reply.answers > 1
        replies.append((type, reply))
    }

    /// Adds a record that goes with the answer of a type.
    mutating func addBeside(_ type: UInt16, _ record: UInt16, name: DNSName, ttl: UInt32, _ data: [UInt8]) {
        guard let index = replies.firstIndex(where: { $0.type == type }),
            replies[index].reply.records.count < DNSLimits.records
        else { return }
        replies[index].reply.add(record, ttl: ttl, name: name, data: data)
    }
}
