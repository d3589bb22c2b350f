internal import MartletBase
internal import MartletObject

/// Finds free cluster IPs and node ports. What it finds is taken only by the transaction that writes the object,
/// which has the pool's key among its conditions: two writers never get the same one.
struct Allocator: Sendable {
    /// Kubernetes' default range of node ports.
    static let nodePorts = 30000...32767

    let storage: Storage
    let world: any World
    /// As configured: `10.96.0.0/16`, or one range of each kind of addresses with a comma between them.
    let serviceCIDR: String
    /// The first is that of Services that ask for no kind of addresses.
    let networks: [ServiceNetwork]

    init(storage: Storage, world: any World, serviceCIDR: String) {
        self.storage = storage
        self.world = world
        self.serviceCIDR = serviceCIDR
        networks = ServiceNetwork.list(serviceCIDR) ?? []
    }

    /// The address that the Service `default/kubernetes` has.
    var firstAddress: String? { networks.first.map { $0.text(1) } }

    func network(_ family: IPAddress.Family) -> ServiceNetwork? { networks.first { $0.range.family == family } }

    func isTaken(_ pool: String, _ value: String) async -> Bool {
        await storage.get(Keys.allocation(pool, value)) != nil
    }

    /// An address that nobody has now. The lower part of the range is left to Services that name their address, as
    /// upstream does.
    func freeAddress(in network: ServiceNetwork) async throws(APIError) -> String {
        let all = network.hosts
        let reserved = min(max(16, all.count / 16), 256)
        let upper = all.count > 2 * reserved ? all.lowerBound + reserved...all.upperBound : all
        for candidates in [upper, all] {
            let found = await free(candidates) { await isTaken("serviceips", network.text($0)) }
            if let found { return network.text(found) }
        }
        throw .internalError("failed to allocate a serviceIP: range is full")
    }

    /// A node port that nobody has now.
    func freePort(besides mine: Set<Int>) async throws(APIError) -> Int {
        let found = await free(Self.nodePorts) { port in
            if mine.contains(port) { return true }
            return await isTaken("servicenodeports", "\(port)")
        }
        guard let found else { throw .internalError("failed to allocate a nodePort: range is full") }
        return found
    }

    private func free(_ candidates: ClosedRange<Int>, isTaken: (Int) async -> Bool) async -> Int? {
        for _ in 0..<Limits.allocationTries {
            let candidate = candidates.lowerBound + Int(world.random() % UInt64(candidates.count))
            if await !isTaken(candidate) { return candidate }
        }
        for candidate in candidates where await !isTaken(candidate) { return candidate }
        return nil
    }
}

/// A range that Services get their addresses from.
struct ServiceNetwork: Sendable, Hashable {
    /// Addresses of one range that are given out: of a larger one the first.
    private static let longestRange = 20

    /// The whole range.
    var range: IPRange
    /// The offsets of the addresses that may be given out: neither the network's own nor the last.
    var hosts: ClosedRange<Int>

    /// Reads /8 to /30, or /64 to /126; nil for anything else.
    init?(_ text: some StringProtocol) {
        guard let range = IPRange(text), (range.family == .ipv4 ? 8...30 : 64...126).contains(range.length) else {
            return nil
        }
        self.range = range
        let bits = range.family.bits - range.length
        hosts = 1...((1 << (range.family == .ipv4 ? bits : min(bits, Self.longestRange))) - 2)
    }

    /// Reads one range, or one of each kind of addresses with a comma between them; nil for anything else.
    static func list(_ text: String) -> [ServiceNetwork]? {
        let networks = text.split(separator: ",", omittingEmptySubsequences: false).map { ServiceNetwork($0) }
        let known = networks.compactMap { $0 }
        return known.count == networks.count && Set(known.map(\.range.family)).count == known.count ? known : nil
    }

    /// The address at an offset.
    func text(_ offset: Int) -> String { "\(range.address(UInt64(max(0, offset))))" }

    /// Whether an address may be given to a Service.
    func contains(_ address: IPAddress) -> Bool {
        guard range.contains(address), address != range.base else { return false }
        return range.family == .ipv6 || "\(address)" != text(hosts.upperBound + 1)
    }
}
