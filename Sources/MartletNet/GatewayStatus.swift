internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRoutes

/// Tells users what became of their Gateways and routes: conditions, addresses and counts in their status. On its own
/// beside the edge's tables, so that a slow API never holds up a route.
actor GatewayStatus {
    /// How long what could not be written waits for the next try, at first and at most: twice as long each time.
    private static let pauses = (first: Duration.seconds(1), most: Duration.seconds(60))

    /// Where clients reach the Gateways.
    private var addresses: [String] = []
    /// What is to be written, the last of each object.
    private var wishes: [ObjectKey: GatewayStatusWish] = [:]
    private var isWriter = false
    private var isWriting = false
    private var pause = pauses.first
    private let client: Client
    private let world: any World
    private let logger: Logger

    init(client: Client, in world: any World, logger: Logger) {
        self.client = client
        self.world = world
        self.logger = logger
    }

    /// Takes note of what some status ought to say, and returns; a task of its own writes what is missing.
    /// - Parameter addresses: where clients reach the Gateways; nil while another edge writes.
    func tell(_ wishes: [GatewayStatusWish], addresses: [String]?) {
        isWriter = addresses != nil
        self.wishes = isWriter ? self.wishes : [:]
        guard let addresses else { return }
        self.addresses = addresses
        for wish in wishes { self.wishes[wish.key] = wish }
        guard !self.wishes.isEmpty, !isWriting else { return }
        isWriting = true
        // Held no longer than there is something to write, or it would try for ever when its edge has gone.
        world.spawn { [weak self] in while let self, await self.writeOnce() {} }
    }

    /// Writes what there is; false when nothing is left. What fails is tried again, unless it is told anew.
    private func writeOnce() async -> Bool {
        var failed: [GatewayStatusWish] = []
        while let (key, wish) = wishes.first {
            wishes[key] = nil
            if await !write(wish) { failed.append(wish) }
        }
        if failed.isEmpty {
            pause = Self.pauses.first
        } else {
            try? await world.sleep(for: pause)
            pause = min(pause * 2, Self.pauses.most)
        }
        if isWriter { for wish in failed where wishes[wish.key] == nil { wishes[wish.key] = wish } }
        isWriting = !wishes.isEmpty && !Task.isCancelled
        return isWriting
    }

    private func write(_ wish: GatewayStatusWish) async -> Bool {
        guard let status = wish.status(now: world.wallTime().rfc3339, addresses: addresses) else { return true }
        do {
            _ = try await client.patch(
                wish.key.kind, namespace: wish.key.namespace, name: wish.key.name, subresource: "status",
                type: .merge, ["status": status])
        } catch let error as APIError where error.isNotFound {
            return true
        } catch {
            logger.debug("the status of a gateway was not written", metadata: ["error": "\(error)"])
            return false
        }
        return true
    }
}
