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
            if let address = ServiceAllocation.clusterIP(of: service) {
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
            if service["spec", "clusterIPs"] == nil { service["spec", "clusterIPs"] = old["spec", "clusterIPs"] }
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
    }
}

/// Fills in a Service's cluster IP and node ports.
struct ServiceAllocation: Sendable {
    let allocator: Allocator
    let old: JSON?

    static func type(of service: JSON) -> String { service["spec", "type"]?.string ?? "ClusterIP" }
    static func needsClusterIP(_ service: JSON) -> Bool { type(of: service) != "ExternalName" }
    static func needsNodePorts(_ service: JSON) -> Bool { ["NodePort", "LoadBalancer"].contains(type(of: service)) }

    /// The address that a Service holds; nil for headless ones and external names.
    static func clusterIP(of service: JSON) -> String? {
        guard needsClusterIP(service), let address = service["spec", "clusterIP"]?.string else { return nil }
        return address.isEmpty || address == "None" ? nil : address
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
        let given = service["spec", "clusterIP"]?.string ?? service["spec", "clusterIPs"]?[0]?.string ?? ""
        let held = old.flatMap(Self.clusterIP)
        let address: String
        if given == "None" || (!given.isEmpty && given == held) {
            address = given
        } else if given.isEmpty {
            address = try await allocator.freeAddress()
        } else {
            try await claim(given, for: service)
            address = given
        }
        service["spec", "clusterIP"] = .string(address)
        service["spec", "clusterIPs"] = [.string(address)]
        if service["spec", "ipFamilies"] == nil { service["spec", "ipFamilies"] = ["IPv4"] }
        if service["spec", "ipFamilyPolicy"] == nil { service["spec", "ipFamilyPolicy"] = "SingleStack" }
    }

    private func claim(_ address: String, for service: JSON) async throws(APIError) {
        let why: String
        if !allocator.contains(address) {
            why = "the provided IP (\(address)) is not in the service network \(allocator.serviceCIDR)"
        } else if await allocator.isTaken("serviceips", address) {
            why = "provided IP is already allocated"
        } else {
            return
        }
        throw .invalid(
            .service, name: service.name,
            [
                FieldError(
                    .invalid, field: "spec.clusterIPs",
                    message: "Invalid value: [\"\(address)\"]: failed to allocate IP \(address): \(why)")
            ])
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
        return .invalid(
            .service, name: service.name,
            [
                FieldError(
                    .invalid, field: "spec.ports[\(place)].nodePort", message: "Invalid value: \(port): \(why)")
            ])
    }
}
