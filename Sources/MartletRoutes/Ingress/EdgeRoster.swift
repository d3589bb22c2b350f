public import MartletBase
public import MartletObject

/// The edges of a cluster, as each of them sees the others: each keeps a Lease that says where clients reach it. One
/// of those that live writes the status of Ingresses and Gateways for all of them, with the addresses of all, tells
/// what of an Ingress cannot be carried out, and removes the Leases of those that ended without a word.
public struct EdgeRoster: Sendable {
    /// Where the Leases are.
    public static let namespace = "kube-system"
    /// How often a Lease is renewed, in seconds.
    public static let renewalSeconds: Int64 = 10
    /// How long an edge is taken to live after that, in seconds.
    public static let lifeSeconds: Int64 = 40

    /// How long an edge's Lease stays when it does not live any more, in seconds.
    public static let memorySeconds: Int64 = 3600

    private static let prefix = "martlet-edge-"
    private static let addressAnnotation = "martlet.io/edge-address"

    private struct Edge {
        var addresses: [String]
        var renewed: String
        var livesUntil: MonotonicTime
    }
    /// By the names of their Leases.
    private var edges: [String: Edge] = [:]

    /// A roster of none.
    public init() {}

    /// The name of the Lease of a machine's edge.
    public static func leaseName(of machine: String) -> String { prefix + machine }

    /// The Lease of a machine's edge.
    public static func lease(of machine: String, addresses: [String], now: WallTime) -> JSON {
        [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": [
                "name": .string(leaseName(of: machine)), "namespace": .string(namespace),
                "annotations": [addressAnnotation: .string(addresses.joined(separator: ","))],
            ],
            "spec": [
                "holderIdentity": .string(machine), "leaseDurationSeconds": .int(lifeSeconds),
                "renewTime": .string(now.rfc3339Micro),
            ],
        ]
    }

    /// Takes a Lease in. What counts is when it was seen to change, by the clock of who looks; the time in it is
    /// believed only of one that was there before, so that an edge that has long gone does not come back.
    public mutating func put(_ lease: JSON, at now: MonotonicTime, _ wallTime: WallTime) {
        guard lease.name.hasPrefix(Self.prefix), lease.namespace == Self.namespace,
            let renewed = lease["spec", "renewTime"]?.string,
            let addresses = lease.annotations[Self.addressAnnotation]?.split(separator: ","), !addresses.isEmpty,
            !addresses.contains(where: { IPAddress($0) == nil })
        else { return remove(lease.name) }
        if edges[lease.name]?.renewed == renewed {
            edges[lease.name]?.addresses = addresses.map(String.init)
            return
        }
        var age: Int64 = 0
        if edges[lease.name] == nil, let written = WallTime(rfc3339: renewed) {
            age = min(max(0, wallTime.seconds - written.seconds), Self.lifeSeconds)
        }
        edges[lease.name] = Edge(
            addresses: addresses.map(String.init), renewed: renewed,
            livesUntil: now + .seconds(Self.lifeSeconds - age))
    }

    /// Takes a Lease out.
    public mutating func remove(_ name: String) { edges[name] = nil }

    /// The addresses of all edges that live, for the one of them that writes them; nil for the others.
    public func published(by machine: String, at now: MonotonicTime) -> [String]? {
        let living = edges.filter { $0.value.livesUntil > now }
        guard living.keys.min() == Self.leaseName(of: machine) else { return nil }
        return Set(living.values.flatMap(\.addresses)).sorted()
    }

    /// The names of the Leases of edges that have long gone, by the clock of who looks: it has seen none of them change
    /// for that long.
    public func forgotten(at now: MonotonicTime) -> [String] {
        edges.filter { $0.value.livesUntil + .seconds(Self.memorySeconds) <= now }.keys.sorted()
    }
}
