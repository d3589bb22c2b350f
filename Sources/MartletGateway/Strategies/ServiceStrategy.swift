internal import MartletBase
internal import MartletObject

extension Strategy {
    /// Services draw a cluster IP and node ports from pools, and give them back with their end.
    static let service = Strategy(
        initialStatus: ["loadBalancer": [:]],
        returnsDeletedObject: true,
        prepareForUpdate: { service, old in keepAllocated(&service, from: old) },
        allocate: { service, old, allocator throws(APIError) in
            try await ServiceAllocation(allocator: allocator, old: old).fill(&service)
        },
        holdings: { service in
            var keys = Set(
                ServiceAllocation.nodePorts(of: service).map { Keys.allocation("servicenodeports", "\($0)") })
            for address in ServiceAllocation.clusterIPs(of: service) {
                keys.insert(Keys.allocation("serviceips", address))
            }
            return keys
        })

    /// What the caller left out of an update stays as it was allocated.
    private static func keepAllocated(_ service: inout JSON, from old: JSON) {
        if ServiceAllocation.needsClusterIP(service), ServiceAllocation.needsClusterIP(old) {
            if (service["spec", "clusterIP"]?.string ?? "").isEmpty {
                service["spec", "clusterIP"] = old["spec", "clusterIP"]
            }
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] where service["spec", field] == nil {
                service["spec", field] = old["spec", field]
            }
            keepOneFamily(&service, from: old)
        }
        let oldPorts = old["spec", "ports"]?.array ?? []
        var ports = service["spec", "ports"]?.array ?? []
        for index in ports.indices {
            let before = oldPorts.first {
                $0["port"] == ports[index]["port"] && $0["protocol"] == ports[index]["protocol"]
            }
            let given = ports[index]["nodePort"]?.int ?? 0
            if ServiceAllocation.needsNodePorts(service) {
                if given == 0, let kept = before?["nodePort"] { ports[index]["nodePort"] = kept }
            } else if given == before?["nodePort"]?.int {
                ports[index]["nodePort"] = nil
            }
        }
        if !ports.isEmpty { service["spec", "ports"] = .array(ports) }
        dropMeaningless(&service, from: old)
    }

    /// Who changes the type and leaves alone what only the old type needed means it to go.
    private static func dropMeaningless(_ service: inout JSON, from old: JSON) {
        func drop(_ field: String, unless isNeeded: (JSON) -> Bool) {
            guard isNeeded(old), !isNeeded(service), service["spec", field] == old["spec", field] else { return }
            service["spec", field] = nil
        }
        func isBalanced(_ service: JSON) -> Bool { service["spec", "type"] == "LoadBalancer" }
        drop("healthCheckNodePort") { isBalanced($0) && $0["spec", "externalTrafficPolicy"] == "Local" }
        drop("externalTrafficPolicy") {
            ServiceAllocation.needsNodePorts($0)
                || (ServiceAllocation.needsClusterIP($0) && !($0["spec", "externalIPs"]?.array ?? []).isEmpty)
        }
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] { drop(field, unless: isBalanced) }
    }

    /// Who asks for one kind of addresses where there were two, and leaves the lists as they were, means the first.
    private static func keepOneFamily(_ service: inout JSON, from old: JSON) {
        guard service["spec", "ipFamilyPolicy"] == "SingleStack", old["spec", "ipFamilyPolicy"] != "SingleStack" else {
            return
        }
        for field in ["clusterIPs", "ipFamilies"] where service["spec", field] == old["spec", field] {
            if let list = service["spec", field]?.array { service["spec", field] = .array(Array(list.prefix(1))) }
        }
    }
}

/// Fills in a Service's cluster IPs, their families, and node ports (Kubernetes' pkg/registry/core/service/storage).
struct ServiceAllocation: Sendable {
    let allocator: Allocator
    let old: JSON?

    static func type(of service: JSON) -> String { service["spec", "type"]?.string ?? "ClusterIP" }
    static func needsClusterIP(_ service: JSON) -> Bool { type(of: service) != "ExternalName" }
    static func needsNodePorts(_ service: JSON) -> Bool { ["NodePort", "LoadBalancer"].contains(type(of: service)) }

    /// The addresses that a Service holds, in one spelling; none for headless ones and external names.
    static func clusterIPs(of service: JSON) -> [String] {
        guard needsClusterIP(service) else { return [] }
        let all = service["spec", "clusterIPs"]?.array?.compactMap(\.string) ?? []
        let texts = all.isEmpty ? [service["spec", "clusterIP"]?.string ?? ""] : all
        return texts.filter { !$0.isEmpty && $0 != "None" }.map(spelled)
    }

    private static func spelled(_ address: String) -> String {
        IPAddress(address).map { "\($0)" } ?? address
    }

    static func nodePorts(of service: JSON) -> [Int] {
        (service["spec", "ports"]?.array ?? []).compactMap { $0["nodePort"]?.int }.filter { $0 > 0 }
    }

    func fill(_ service: inout JSON) async throws(APIError) {
        guard Self.needsClusterIP(service) else { return }
        try await fillAddress(&service)
        try await fillNodePorts(&service)
    }

    private func fillAddress(_ service: inout JSON) async throws(APIError) {
        var given = service["spec", "clusterIPs"]?.array?.compactMap(\.string) ?? []
        let first = service["spec", "clusterIP"]?.string ?? ""
        if given.isEmpty && !first.isEmpty { given = [first] }
        guard first.isEmpty || first == given.first else {
            throw invalid(
                service, "spec.clusterIPs",
                "Invalid value: [\"\(given.joined(separator: "\", \""))\"]: "
                    + "first value must match `clusterIP`")
        }
        let families = try families(of: service, given: given)
        if given.first == "None" {
            given = ["None"]
        } else {
            let held = Set(old.map(Self.clusterIPs) ?? [])
            for address in given where !held.contains(Self.spelled(address)) {
                try await claim(Self.spelled(address), for: service)
            }
            for family in families.dropFirst(given.count) {
                guard let network = allocator.network(family) else { continue }
                given.append(try await allocator.freeAddress(in: network))
            }
        }
        service["spec", "clusterIP"] = given.first.map { .string($0) }
        service["spec", "clusterIPs"] = .array(given.map { .string($0) })
        service["spec", "ipFamilies"] = .array(families.map { .string(Self.name(of: $0)) })
        if service["spec", "ipFamilyPolicy"] == nil {
            service["spec", "ipFamilyPolicy"] = families.count == 2 ? "RequireDualStack" : "SingleStack"
        }
    }

    private static func name(of family: IPAddress.Family) -> String { family == .ipv4 ? "IPv4" : "IPv6" }

    /// The kinds of addresses that a Service is to have: what its addresses and `ipFamilies` say, then what the policy
    /// wants and the cluster has.
    private func families(of service: JSON, given: [String]) throws(APIError) -> [IPAddress.Family] {
        let configured = allocator.networks.map(\.range.family)
        let names = service["spec", "ipFamilies"]?.array?.compactMap(\.string) ?? []
        var families = names.compactMap { name in IPAddress.Family.allCases.first { Self.name(of: $0) == name } }
        for (index, family) in families.enumerated() where !configured.contains(family) {
            throw invalid(
                service, "spec.ipFamilies[\(index)]",
                "Invalid value: \"\(Self.name(of: family))\": not configured on this cluster")
        }
        let ofAddresses = given.compactMap { IPAddress($0)?.family }
        for (index, family) in ofAddresses.enumerated() {
            if index == families.count { families.append(family) }
            guard index < families.count, families[index] == family else {
                throw invalid(
                    service, "spec.clusterIPs[\(index)]",
                    "Invalid value: [\"\(given[index])\"]: expected an \(Self.name(of: families[index])) value as "
                        + "indicated by `spec.ipFamilies[\(index)]`")
            }
        }
        guard Set(families).count == families.count else {
            throw invalid(service, "spec.ipFamilies[1]", "Duplicate value: \"\(Self.name(of: families[0]))\"")
        }
        if families.isEmpty { families = Array(configured.prefix(1)) }
        let hasSelector = service["spec", "selector"]?.members.isEmpty == false
        // Whoever lists the addresses of a headless Service by hand may list both kinds.
        let isOpen = given.first == "None" && !hasSelector && service["spec", "ipFamilyPolicy"] == nil
        let policy = service["spec", "ipFamilyPolicy"]?.string ?? (isOpen ? "PreferDualStack" : "SingleStack")
        if policy == "RequireDualStack" && configured.count < 2 {
            throw invalid(
                service, "spec.ipFamilyPolicy",
                "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services")
        }
        if policy == "SingleStack" {
            if families.count > 1 {
                throw invalid(
                    service, "spec.ipFamilyPolicy",
                    "Invalid value: \"SingleStack\": must be `RequireDualStack` or `PreferDualStack` when multiple "
                        + "`ipFamilies` are specified")
            }
            return families
        }
        return families + configured.filter { !families.contains($0) }
    }

    private func claim(_ address: String, for service: JSON) async throws(APIError) {
        let why: String
        if IPAddress(address).map({ address in allocator.networks.contains { $0.contains(address) } }) != true {
            why = "the provided IP (\(address)) is not in the service network \(allocator.serviceCIDR)"
        } else if await allocator.isTaken("serviceips", address) {
            why = "provided IP is already allocated"
        } else {
            return
        }
        throw invalid(
            service, "spec.clusterIPs", "Invalid value: [\"\(address)\"]: failed to allocate IP \(address): \(why)")
    }

    private func invalid(_ service: JSON, _ field: String, _ message: String) -> APIError {
        .invalid(.service, name: service.name, [FieldError(.invalid, field: field, message: message)])
    }

    private func fillNodePorts(_ service: inout JSON) async throws(APIError) {
        guard Self.needsNodePorts(service), var ports = service["spec", "ports"]?.array else { return }
        let held = Set(old.map(Self.nodePorts) ?? [])
        var mine = Set(Self.nodePorts(of: service))
        for (index, port) in mine.sorted().enumerated() where !held.contains(port) {
            guard Allocator.nodePorts.contains(port) else {
                throw refused(
                    port, index, service,
                    "provided port is not in the valid range. The range of valid ports "
                        + "is \(Allocator.nodePorts.lowerBound)-\(Allocator.nodePorts.upperBound)")
            }
            if await allocator.isTaken("servicenodeports", "\(port)") {
                throw refused(port, index, service, "provided port is already allocated")
            }
        }
        if service["spec", "allocateLoadBalancerNodePorts"]?.bool == false { return }
        for index in ports.indices where (ports[index]["nodePort"]?.int ?? 0) == 0 {
            let port = try await allocator.freePort(besides: mine)
            mine.insert(port)
            ports[index]["nodePort"] = .int(Int64(port))
        }
        service["spec", "ports"] = .array(ports)
    }

    private func refused(_ port: Int, _ index: Int, _ service: JSON, _ why: String) -> APIError {
        let ports = service["spec", "ports"]?.array ?? []
        let place = ports.firstIndex { $0["nodePort"]?.int == port } ?? index
        return invalid(service, "spec.ports[\(place)].nodePort", "Invalid value: \(port): \(why)")
    }
}
