internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRoutes

/// Tells users what became of their Gateways and routes: conditions, addresses and counts in their status. Every edge
/// writes the same, so that it does not matter which one is first. On its own beside the edge's tables, so that a slow
/// API never holds up a route.
actor GatewayStatus {
    private let address: String?
    private var wishes: [GatewayStatusWish] = []
    private var isWriting = false
    private let client: Client
    private let world: any World
    private let logger: Logger

    /// - Parameter address: where clients reach the Gateways.
    init(address: String?, client: Client, in world: any World, logger: Logger) {
        self.address = address
        self.client = client
        self.world = world
        self.logger = logger
    }

    /// Takes note of what all status ought to say, and returns; a task of its own writes what is missing.
    func tell(_ wishes: [GatewayStatusWish]) {
        self.wishes = wishes
        guard !wishes.isEmpty, !isWriting else { return }
        isWriting = true
        world.spawn { await self.write() }
    }

    private func write() async {
        // Once taken they are done: a write is seen as a change, after which everything is looked at again.
        while !wishes.isEmpty {
            let wish = wishes.removeFirst()
            guard let status = wish.status(now: world.wallTime().rfc3339, address: address) else { continue }
            do {
                _ = try await client.patch(
                    wish.key.kind, namespace: wish.key.namespace, name: wish.key.name, subresource: "status",
                    type: .merge, ["status": status])
            } catch let error as APIError where error.isNotFound {
                continue
            } catch {
                // The next change of any object makes it be looked at again.
                logger.debug("the status of a gateway was not written", metadata: ["error": "\(error)"])
            }
        }
        isWriting = false
    }
}
