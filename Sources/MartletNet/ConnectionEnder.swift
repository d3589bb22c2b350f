internal import Logging
internal import MartletBase
internal import MartletRoutes

/// Ends tracked connections that lead to where nothing is any more: the next packet of each begins a new one.
actor ConnectionEnder {
    /// How long the answer to a connection's first packet may be on its way, when its endpoint has just been left out.
    static let patience = Duration.milliseconds(300)

    private struct Question: Hashable {
        var family: IPAddress.Family
        var protocolNumber: UInt8

        init(_ kind: StaleConnections) { (family, protocolNumber) = (kind.family, kind.protocolNumber) }
    }

    private let kernel: KernelNetwork
    private let world: any World
    private let logger: Logger
    /// What is looked for when its time has come: at most one for each port of a Service and what leads to it.
    private var waiting: [StaleConnections.Flow: StaleConnections] = [:]
    private var task: Task<Void, Never>?

    init(_ kernel: KernelNetwork, in world: any World, logger: Logger) {
        self.kernel = kernel
        self.world = world
        self.logger = logger
    }

    /// Ends those that may have been answered before it returns, and the others soon after.
    func end(_ stale: [StaleConnections]) async {
        for kind in stale where kind.mustBeUnanswered { waiting[kind.flow] = kind }
        if task == nil, !waiting.isEmpty { task = world.spawn { [weak self] in await self?.endWaiting() } }
        await search(stale.filter { !$0.mustBeUnanswered })
    }

    func stop() async {
        task?.cancel()
        await task?.value
    }

    private func endWaiting() async {
        while !waiting.isEmpty {
            let due = waiting.values.map { $0 }
            waiting = [:]
            guard (try? await world.sleep(for: Self.patience)) != nil else { break }
            await search(due)
        }
        task = nil
    }

    /// Asks the kernel once for each protocol.
    private func search(_ stale: [StaleConnections]) async {
        for (question, kinds) in Dictionary(grouping: stale, by: { Question($0) }) {
            let byPort = Dictionary(grouping: kinds, by: \.port)
            let list = NetlinkRequest.listConnections(
                question.family, protocolNumber: question.protocolNumber,
                destinationPort: byPort.count == 1 ? kinds[0].port : nil, unanswered: kinds[0].mustBeUnanswered)
            do {
                for connection in try await kernel.ask(list).compactMap({ try TrackedConnection($0) })
                where byPort[connection.original.destinationPort]?.contains(where: { $0.includes(connection) }) == true
                { try await forget(connection) }
            } catch {
                logger.warning("old connections of Services are not ended", metadata: ["error": "\(error)"])
            }
        }
    }

    private func forget(_ connection: TrackedConnection) async throws {
        do { try await kernel.perform([.removeConnection(connection.original)]) } catch let error as NetlinkError
            where error.isAbsent
        {
            // It ended by itself.
        }
    }
}
