public import Logging
public import MartletBase
public import MartletRoutes

/// Keeps the link-local address of this host's DNS: its device, and the rules that keep it from connection tracking.
public actor LinkLocalAddress {
    /// How often the kernel is looked at: others may have changed it.
    static let lookEvery = Duration.seconds(15)

    private let wanted: LinkLocalDNS
    private let kernel: KernelNetwork
    private let logger: Logger
    private var kind = LinkLocalDNS.kinds[0]
    private var task: Task<Void, Never>?

    /// Makes device, address and rules, and looks after them.
    /// - Throws: ``NetlinkError`` when the kernel does not take them.
    public static func start(
        _ wanted: LinkLocalDNS, kernel: KernelNetwork, in world: any World, logger: Logger
    ) async throws -> LinkLocalAddress {
        let address = LinkLocalAddress(wanted, kernel, logger)
        try await address.bring(rules: true)
        await address.begin(in: world)
        return address
    }

    private init(_ wanted: LinkLocalDNS, _ kernel: KernelNetwork, _ logger: Logger) {
        self.wanted = wanted
        self.kernel = kernel
        self.logger = logger
    }

    private func begin(in world: any World) {
        task = world.spawn { [weak self] in
            while (try? await world.sleep(for: Self.lookEvery)) != nil { await self?.look() }
        }
    }

    /// Ends looking. What was made stays, or goes.
    public func stop(removing: Bool) async {
        task?.cancel()
        await task?.value
        guard removing else { return }
        do {
            try await kernel.commit(.removal(.ipv4, table: wanted.table))
            if let link = try await link() { try await kernel.perform([.removeLink(link.index)]) }
        } catch {
            logger.warning("the DNS' device \(wanted.device) is not removed", metadata: ["error": "\(error)"])
        }
    }

    private func look() async {
        do {
            let tables = try await kernel.ask(.listTables(.ipv4)).compactMap { try NftListing.table($0) }
            try await bring(rules: !tables.contains(wanted.table))
        } catch {
            logger.warning("the DNS' address \(wanted.address) is not kept", metadata: ["error": "\(error)"])
        }
    }

    private func bring(rules: Bool) async throws {
        if rules { try await kernel.commit(wanted.rules) }
        while true {
            let link = try await link()
            let addresses = try await kernel.ask(.listAddresses).compactMap { try LinkAddress($0) }
            guard let step = wanted.step(link, addresses, kind: kind) else { return }
            do { try await kernel.perform([step]) } catch let error as NetlinkError
                where error.isUnsupported && link == nil && kind != LinkLocalDNS.kinds.last
            {
                kind = LinkLocalDNS.kinds.last ?? kind
            }
        }
    }

    private func link() async throws -> NetworkLink? {
        do { return try await kernel.ask(.getLink(wanted.device)).compactMap { try NetworkLink($0) }.first } catch let
            error as NetlinkError where error.isAbsent
        { return nil }
    }
}
