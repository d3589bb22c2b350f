internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRoutes

/// Tells users at which addresses their Ingresses are served (`status.loadBalancer`). On its own beside the edge's
/// tables, so that a slow API never holds up a route.
struct IngressStatus: Sendable {
    private let addresses: @Sendable () -> [String]?
    private let following: Following
    private let client: Client
    private let world: any World
    private let logger: Logger

    /// - Parameter addresses: those that clients reach; nil while another edge writes.
    init(
        addresses: @escaping @Sendable () -> [String]?, client: Client, in world: any World, logger: Logger
    ) {
        self.addresses = addresses
        following = Following([.ingress, .ingressClass], client: client, world: world, logger: logger)
        self.client = client
        self.world = world
        self.logger = logger
    }

    /// Writes what is missing, after each change, until stopped.
    func run() async {
        while let snapshot = await following.next() {
            guard let addresses = addresses() else { continue }
            let wished: JSON = .array(addresses.map { ["ip": .string($0)] })
            let classes = IngressClasses(from: snapshot)
            let missing = snapshot.list(.ingress).filter {
                classes.serve($0) && $0["status", "loadBalancer", "ingress"] != wished
            }
            var isDone = true
            for ingress in missing { isDone = await write(wished, to: ingress) && isDone }
            guard !isDone else { continue }
            try? await world.sleep(for: .seconds(1))
            await following.lookAgain()
        }
    }

    /// Looks at all again: the addresses are others.
    func lookAgain() async { await following.lookAgain() }

    /// Ends ``run()``.
    func stop() async { await following.stop() }

    private func write(_ wished: JSON, to ingress: JSON) async -> Bool {
        let patch: JSON = ["status": ["loadBalancer": ["ingress": wished]]]
        do {
            _ = try await client.patch(
                .ingress, namespace: ingress.namespace, name: ingress.name, subresource: "status", type: .merge, patch)
            return true
        } catch let error as APIError where error.isNotFound {
            return true
        } catch {
            logger.debug("an ingress status was not written", metadata: ["error": "\(error)"])
            return false
        }
    }
}
