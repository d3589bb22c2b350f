public import Martlet
internal import MartletIO
@_exported public import MartletSimulation

/// Throw-away clusters for tests: in a temporary folder, on loopback and free ports, with a simulated container
/// runtime, without root. Everything is gone when the body returns or throws.
///
/// ```swift
/// try await TestCluster.run { cluster in
///     _ = try await cluster.client.create(.configMap, ["metadata": ["name": "a", "namespace": "default"]])
/// }
/// ```
public enum TestCluster {
    /// Starts a cluster, runs `body`, and removes the cluster.
    /// - Parameters:
    ///   - missingImages: images that the simulated registry does not have: pods of them get ErrImagePull.
    ///   - configure: changes the configuration before the start.
    /// - Throws: what the start or `body` throws.
    public static func run<Result: Sendable>(
        missingImages: [String] = [], configure: (inout ClusterConfiguration) -> Void = { _ in },
        _ body: (Cluster) async throws -> Result
    ) async throws -> Result {
        let directory = try TemporaryFolder()
        var configuration = ClusterConfiguration.local(dataDirectory: directory.path + "/data")
        configuration.runtime = .custom { world in
            let runtime = SimulatedRuntime(in: world)
            world.spawn {
                for image in missingImages {
                    await runtime.failPull(of: image, with: .refused("\(image): not found"), times: .max)
                }
            }
            return runtime
        }
        configure(&configuration)
        let cluster = try await Cluster.start(configuration)
        do {
            let result = try await body(cluster)
            await cluster.stop(removesPods: true)
            return result
        } catch {
            await cluster.stop(removesPods: true)
            throw error
        }
    }
}

extension Cluster {
    /// Waits until an object is as `condition` wants it, watching and not polling.
    /// - Returns: the object in that state.
    /// - Throws: ``WaitError`` after `limit`.
    public nonisolated func wait(
        for kind: ResourceKind, namespace: String? = nil, name: String, limit: Duration = .seconds(120),
        until condition: @escaping @Sendable (JSON) -> Bool
    ) async throws -> JSON {
        let (client, world) = (self.client, self.world)
        return try await withThrowingTaskGroup(of: JSON?.self) { group in
            group.addTask(executorPreference: world.executor) {
                let changes = client.follow(
                    kind, namespace: namespace, fieldSelector: "metadata.name=\(name)", logger: Logger.silent)
                for await change in changes {
                    if case .put(let object) = change, condition(object) { return object }
                }
                return nil
            }
            group.addTask(executorPreference: world.executor) {
                try await world.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            guard let object = try await group.next() ?? nil else { throw WaitError(what: "\(kind.singular)/\(name)") }
            return object
        }
    }
}

/// An object did not come into the state that was waited for.
public struct WaitError: Error, Sendable, Hashable, CustomStringConvertible {
    /// `pod/web`
    public var what: String
    /// One line for people.
    public var description: String { "gave up waiting for \(what)" }
}

extension Logger {
    /// Hears everything and says nothing.
    static var silent: Logger { Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() } }
}

/// A folder that is removed with its last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = "/tmp/martlet-test-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        try Files.makeDirectory(path, mode: 0o700)
    }

    deinit { try? Files.remove(path) }
}
