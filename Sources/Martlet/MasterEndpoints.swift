internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRaft
internal import MartletReplica
internal import MartletStore

/// Which masters answer the API now, as the leader sees it.
struct MasterWatch: Sendable {
    /// A master that has been silent for so long is no longer named.
    static let silence: Duration = .milliseconds(750)

    private var heard: [UInt64: MonotonicTime] = [:]

    /// The API's endpoints of the members that are there, in the order of their ids.
    mutating func alive(_ members: [MemberInfo], _ status: ReplicaStatus, at now: MonotonicTime) -> [Endpoint] {
        var alive: [Endpoint] = []
        var next: [UInt64: MonotonicTime] = [:]
        for member in members {
            // A leader that has just begun gives everybody their time.
            let isHeard = member.id == status.member || status.peers[member.id]?.isActive == true
            let last = isHeard ? now : heard[member.id] ?? now
            next[member.id] = last
            guard now - last < Self.silence else { continue }
            alive += member.clientURLs.compactMap(Self.endpoint)
        }
        heard = next
        return alive
    }

    /// `https://10.0.0.1:6443`, `https://[fd00::1]:6443`
    static func endpoint(of url: String) -> Endpoint? {
        guard url.hasPrefix("https://"), let colon = url.lastIndex(of: ":"),
            let port = UInt16(url[url.index(after: colon)...])
        else { return nil }
        let host = url[..<colon].dropFirst("https://".count).filter { $0 != "[" && $0 != "]" }
        return host.isEmpty ? nil : .ip(String(host), port: port)
    }
}

/// What the Service `default/kubernetes` leads to: its Endpoints, and an EndpointSlice for each port (there is one
/// port where masters are machines of their own).
enum MasterEndpoints {
    static let name = "kubernetes"
    static let namespace = "default"
    static let serviceLabel = "kubernetes.io/service-name"

    /// The slices for masters at these endpoints, the first of them called `kubernetes`.
    static func slices(_ masters: [Endpoint]) -> [JSON] {
        groups(masters).enumerated().map { index, group in
            [
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": [
                    "name": .string(index == 0 ? name : "\(name)-\(group.port)"), "namespace": .string(namespace),
                    "labels": JSON([serviceLabel: name]),
                ],
                "addressType": .string(group.addresses.contains { $0.contains(":") } ? "IPv6" : "IPv4"),
                "endpoints": .array(
                    group.addresses.map { ["addresses": [.string($0)], "conditions": ["ready": true]] }),
                "ports": [["name": "https", "port": .int(Int64(group.port)), "protocol": "TCP"]],
            ]
        }
    }

    /// The Endpoints for masters at these endpoints.
    static func endpoints(_ masters: [Endpoint]) -> JSON {
        let subsets = groups(masters).map { group -> JSON in
            [
                "addresses": .array(group.addresses.map { ["ip": .string($0)] }),
                "ports": [["name": "https", "port": .int(Int64(group.port)), "protocol": "TCP"]],
            ]
        }
        return [
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": [
                "name": .string(name), "namespace": .string(namespace),
                "labels": ["endpointslice.kubernetes.io/skip-mirror": "true"],
            ], "subsets": .array(subsets),
        ]
    }

    /// The masters that a slice names.
    static func masters(in slice: JSON) -> [Endpoint] {
        guard slice.labels[serviceLabel] == name, let number = slice["ports"]?[0]?["port"]?.int,
            let port = UInt16(exactly: number)
        else { return [] }
        let ready = (slice["endpoints"]?.array ?? []).filter { $0["conditions", "ready"]?.bool != false }
        return ready.flatMap { $0["addresses"]?.array ?? [] }.compactMap(\.string).map { .ip($0, port: port) }
    }

    private static func groups(_ masters: [Endpoint]) -> [(port: UInt16, addresses: [String])] {
        var groups: [UInt16: [String]] = [:]
        for case .ip(let address, let port) in masters { groups[port, default: []].append(address) }
        return groups.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
            .map { ($0.key, $0.value.sorted()) }
    }
}

/// Keeps the Service `default/kubernetes` leading to the masters that are there. Runs beside the controllers.
struct MasterAnnouncer: Sendable {
    static let pause: Duration = .milliseconds(250)
    /// Every so many looks it is made sure that nobody has changed what was written.
    static let checkEvery = 40

    let replica: Replica
    /// Where this master's own API is; for a store without peers, which knows no addresses.
    let own: Endpoint?
    let client: Client
    let world: any World
    let logger: Logger

    /// Works until the task is cancelled.
    func run() async {
        var watch = MasterWatch()
        var written: [Endpoint] = []
        var looks = 0
        repeat {
            var alive = watch.alive(await replica.members, await replica.status, at: world.now())
            if alive.isEmpty, let own { alive = [own] }
            if !alive.isEmpty, alive != written || looks % Self.checkEvery == 0 {
                do {
                    try await write(alive)
                    written = alive
                } catch {
                    logger.debug("the masters' endpoints are not written", metadata: ["error": "\(error)"])
                    written = []
                }
            }
            looks += 1
        } while (try? await world.sleep(for: Self.pause)) != nil
    }

    private func write(_ masters: [Endpoint]) async throws {
        try await put(.endpoints, MasterEndpoints.endpoints(masters), comparing: ["subsets"])
        let slices = MasterEndpoints.slices(masters)
        for slice in slices { try await put(.endpointSlice, slice, comparing: ["endpoints", "ports"]) }
        let label = "\(MasterEndpoints.serviceLabel)=\(MasterEndpoints.name)"
        let there = try await client.list(
            .endpointSlice, namespace: MasterEndpoints.namespace, labelSelector: label
        ).items
        for slice in there where !slices.contains(where: { $0.name == slice.name }) {
            try await client.delete(.endpointSlice, namespace: slice.namespace, name: slice.name)
        }
    }

    private func put(_ kind: ResourceKind, _ wanted: JSON, comparing fields: [String]) async throws {
        do {
            var object = try await client.get(kind, namespace: wanted.namespace, name: wanted.name)
            if fields.allSatisfy({ object[$0] == wanted[$0] }) { return }
            for field in fields { object[field] = wanted[field] }
            _ = try await client.update(kind, object)
        } catch let error as APIError where error.isNotFound {
            _ = try await client.create(kind, wanted)
        }
    }
}
