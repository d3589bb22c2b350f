public import MartletBase
public import MartletObject

/// The edges whose word about a client is believed (`X-Forwarded-For` and its kin): those of this machine, and those of
/// the masters, which the EndpointSlices of the Service `default/kubernetes` name.
public struct TrustedEdges: Sendable, Hashable {
    /// How long a master is believed after it has left the slices: one that is silent for the others, and goes on
    /// serving, holds the virtual address still.
    public static let memory = Duration.seconds(600)
    /// Of how many masters that have left is known; those that left first are forgotten first.
    static let memoryLimit = 64

    private let own: Set<IPAddress>
    private var slices: [ObjectKey: Set<IPAddress>] = [:]
    private var masters: Set<IPAddress> = []
    private var left: [IPAddress: MonotonicTime] = [:]

    /// Only those of this machine, which has these addresses.
    public init(own: some Sequence<IPAddress>) { self.own = Set(own) }

    /// Whether the edge at an address is believed.
    public func contains(_ address: IPAddress, at now: MonotonicTime) -> Bool {
        if own.contains(address) || masters.contains(address) { return true }
        return left[address].map { now < $0 + Self.memory } ?? false
    }

    /// Takes an EndpointSlice in, in place of the one of its name; those of other Services say nothing of masters.
    public mutating func put(_ slice: JSON, at now: MonotonicTime) {
        let key = ObjectKey(.endpointSlice, namespace: slice.namespace, name: slice.name)
        let isOfMasters =
            slice.namespace == "default" && slice.labels["kubernetes.io/service-name"] == "kubernetes"
        guard isOfMasters || slices[key] != nil else { return }
        let endpoints = isOfMasters ? slice["endpoints"]?.array ?? [] : []
        let addresses = endpoints.flatMap { $0["addresses"]?.array ?? [] }.compactMap(\.string)
        slices[key] = isOfMasters ? Set(addresses.compactMap { IPAddress($0) }) : nil
        look(at: now)
    }

    /// Takes an EndpointSlice out.
    public mutating func remove(_ key: ObjectKey, at now: MonotonicTime) {
        if slices.removeValue(forKey: key) != nil { look(at: now) }
    }

    private mutating func look(at now: MonotonicTime) {
        let before = masters
        masters = slices.values.reduce(into: []) { $0.formUnion($1) }
        left = left.filter { now < $0.value + Self.memory && !masters.contains($0.key) }
        for address in before.subtracting(masters) { left[address] = now }
        while left.count > Self.memoryLimit, let first = left.min(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            left[first.key] = nil
        }
    }
}
