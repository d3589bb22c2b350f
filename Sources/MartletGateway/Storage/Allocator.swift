internal import MartletBase
internal import MartletObject

/// Finds free cluster IPs and node ports. What it finds is taken only by the transaction that writes the object,
/// which has the pool's key among its conditions: two writers never get the same one.
struct Allocator: Sendable {
    /// Kubernetes' default range of node ports.
    static let nodePorts = 30000...32767

    let storage: Storage
    let world: any World
    /// As configured: `10.96.0.0/16`.
    let serviceCIDR: String
    private let network: Network?

    init(storage: Storage, world: any World, serviceCIDR: String) {
        self.storage = storage
        self.world = world
        self.serviceCIDR = serviceCIDR
        network = Network(serviceCIDR)
    }

    /// The address that the Service `default/kubernetes` has.
    var firstAddress: String? { network.map { $0.text(1) } }

    func contains(_ address: String) -> Bool {
        guard let network, let value = Network.address(address) else { return false }
        return network.hosts.contains(Int(value) - Int(network.base))
    }

    func isTaken(_ pool: String, _ value: String) async -> Bool {
        await storage.get(Keys.allocation(pool, value)) != nil
    }

    /// An address that nobody has now. The lower part of the range is left to Services that name their address, as
    /// upstream does.
    func freeAddress() async throws(APIError) -> String {
        guard let network else {
            throw .internalError("failed to allocate a serviceIP: \(serviceCIDR) is not an IPv4 range")
        }
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

/// An IPv4 range, `A.B.C.D/LENGTH`.
struct Network: Sendable, Hashable {
    /// The first address, which is the network's own.
    var base: UInt32
    /// The offsets of the addresses that may be given out: neither the network's own nor the last.
    var hosts: ClosedRange<Int>

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = Self.address(String(parts[0])), let length = Int(parts[1]),
            (8...30).contains(length)
        else { return nil }
        let size = 1 << (32 - length)
        base = address & ~UInt32(size - 1)
        hosts = 1...(size - 2)
    }

    /// The address at an offset.
    func text(_ offset: Int) -> String {
        let value = base &+ UInt32(truncatingIfNeeded: offset)
        return [24, 16, 8, 0].map { String(value >> $0 & 255) }.joined(separator: ".")
    }

    /// Reads four decimal octets without leading zeros.
    static func address(_ text: String) -> UInt32? {
        let octets = text.split(separator: ".", omittingEmptySubsequences: false)
        guard octets.count == 4 else { return nil }
        var value: UInt32 = 0
        for octet in octets {
            guard let number = UInt8(octet), String(number) == octet else { return nil }
            value = value << 8 | UInt32(number)
        }
        return value
    }
}
