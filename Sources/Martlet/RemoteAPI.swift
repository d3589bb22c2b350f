internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletIO
internal import MartletObject

/// The API as a machine without a gateway has it: over HTTPS, by whichever master lives.
final class RemoteAPI: Sendable {
    /// As the node itself.
    let node: MastersTransport
    /// As the parts of the worker that look at more than its own pods.
    let parts: MastersTransport
    private let learner: Task<Void, Never>

    private init(_ node: MastersTransport, _ parts: MastersTransport, _ learner: Task<Void, Never>) {
        self.node = node
        self.parts = parts
        self.learner = learner
    }

    static func start(
        _ configuration: ClusterConfiguration, _ data: DataDirectory, _ credentials: Credentials, in world: any World
    ) async throws -> RemoteAPI {
        let node = MastersTransport(
            configuration.masters, in: world, tls: try credentials.client(Enrollment.node, trusting: "ca"))
        let parts = MastersTransport(
            configuration.masters, in: world, tls: try credentials.client(Enrollment.parts, trusting: "ca"))
        node.start()
        parts.start()
        let logger = configuration.logger
        let learner = world.spawn {
            await learn(Client(transport: parts, in: world), [node, parts], data.path, logger)
        }
        return RemoteAPI(node, parts, learner)
    }

    /// Follows who the masters are, and remembers it for the next start.
    private static func learn(
        _ client: Client, _ transports: [MastersTransport], _ directory: String, _ logger: Logger
    ) async {
        var slices: [String: JSON] = [:]
        var isComplete = false
        let label = "\(MasterEndpoints.serviceLabel)=\(MasterEndpoints.name)"
        let changes = client.follow(
            .endpointSlice, namespace: MasterEndpoints.namespace, labelSelector: label, logger: logger)
        for await change in changes {
            switch change {
            case .put(let slice): slices[slice.name] = slice
            case .removed(let slice): slices[slice.name] = nil
            case .synced: isComplete = true
            }
            let masters = slices.sorted { $0.key < $1.key }.flatMap { MasterEndpoints.masters(in: $0.value) }
            guard isComplete, !masters.isEmpty else { continue }
            for transport in transports { transport.setEndpoints(masters) }
            guard var file = try? MachineFile(readingFrom: directory), Set(file.masters) != Set(masters) else {
                continue
            }
            // One that is away for a moment is worth a try after a restart, when nobody else is there.
            file.masters = masters + file.masters.filter { !masters.contains($0) }.prefix(4)
            do { try file.write(to: directory) } catch { logger.warning("the masters are not noted down: \(error)") }
        }
    }

    func stop() async {
        learner.cancel()
        await learner.value
        node.stop()
        parts.stop()
    }
}

/// Marks nodes as workers: a node may not give itself this label, because it steers pods.
struct NodeLabels: Sendable {
    static let prefix = "node-role.kubernetes.io/"
    let client: Client
    let logger: Logger

    /// Works until the task is cancelled.
    func run() async {
        for await change in client.follow(.node, logger: logger) {
            guard case .put(let node) = change, !node.labels.keys.contains(where: { $0.hasPrefix(Self.prefix) }) else {
                continue
            }
            do {
                _ = try await client.patch(
                    .node, name: node.name, type: .merge,
                    ["metadata": ["labels": JSON(["\(Self.prefix)worker": ""])]])
            } catch {
                logger.debug("a node's role is not written on it", metadata: ["node": "\(node.name): \(error)"])
            }
        }
    }
}
