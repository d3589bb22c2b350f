internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletIO
internal import MartletObject
internal import MartletPKI

/// The API as a machine without a gateway has it: over HTTPS, by whichever master lives.
final class RemoteAPI: Sendable {
    /// As the node itself.
    let node: MastersTransport
    /// As the parts of the worker that look at more than its own pods.
    let parts: MastersTransport
    private let tasks: [Task<Void, Never>]

    /// How often it is looked whether certificates want renewal.
    static let renewalPause: Duration = .seconds(3600)

    private init(_ node: MastersTransport, _ parts: MastersTransport, _ tasks: [Task<Void, Never>]) {
        self.node = node
        self.parts = parts
        self.tasks = tasks
    }

    static func start(
        _ configuration: ClusterConfiguration, _ data: DataDirectory, _ pki: ClusterPKI, in world: any World
    ) async throws -> RemoteAPI {
        func tls(_ name: String) throws -> TLSClient {
            try TLSClient(authoritiesPEM: pki.certificate("ca"), identity: TLSIdentity(pki.keyPair(name)))
        }
        let node = MastersTransport(configuration.masters, in: world, tls: try tls(Enrollment.node))
        let parts = MastersTransport(configuration.masters, in: world, tls: try tls(Enrollment.parts))
        node.start()
        parts.start()
        let logger = configuration.logger
        let enrollment = Enrollment(
            pki: pki, nodeName: configuration.nodeName, nodeAddress: configuration.nodeAddress, world: world)
        let renewal = world.spawn {
            while (try? await world.sleep(for: renewalPause)) != nil {
                do {
                    let client = Client(transport: node, in: world)
                    guard try await enrollment.complete(newcomer: nil, member: { _ in client }) else { continue }
                    node.setTLS(try tls(Enrollment.node))
                    parts.setTLS(try tls(Enrollment.parts))
                    logger.notice("the certificates of this machine were renewed")
                } catch {
                    logger.warning("the certificates of this machine are not renewed yet: \(error)")
                }
            }
        }
        let learner = world.spawn {
            await learn(Client(transport: parts, in: world), [node, parts], data.path, logger)
        }
        return RemoteAPI(node, parts, [renewal, learner])
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
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
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
