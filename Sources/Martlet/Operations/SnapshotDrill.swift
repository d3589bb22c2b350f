internal import HTTPTypes
public import MartletClient
internal import MartletIO
internal import MartletObject
public import MartletReplica

/// A fire drill: a snapshot becomes a throw-away cluster on loopback, whose API is asked for every object.
public struct SnapshotDrill: Sendable {
    /// What one object is in two clusters.
    public enum Finding: Sendable, Hashable, CustomStringConvertible {
        /// The cluster has it as it was before the snapshot, and the snapshot has not.
        case missing(String)
        /// Both have it at one revision, and not with the same contents.
        case different(String)
        /// The snapshot's cluster could not list a kind.
        case unreadable(String, why: String)

        /// One line for people.
        public var description: String {
            switch self {
            case .missing(let name): "\(name) is missing in the snapshot"
            case .different(let name): "\(name) is not the same in the snapshot"
            case .unreadable(let kind, let why): "\(kind) cannot be listed: \(why)"
            }
        }
    }

    /// What came of a drill.
    public struct Report: Sendable {
        /// What the file holds.
        public var snapshot: SnapshotStatus
        /// How many objects the throw-away cluster serves, by their kind's plural name.
        public var objects: [String: Int] = [:]
        /// What of them the running cluster has; nil when it was not asked.
        public var comparison: Comparison?
        /// What is wrong; empty when the snapshot is good.
        public var findings: [Finding] = []
    }

    /// How many objects of a snapshot the running cluster has.
    public struct Comparison: Sendable, Hashable {
        /// In the same form.
        public var equal = 0
        /// Not any more: it has changed or deleted them since.
        public var changedSince = 0
        /// Written by the throw-away cluster itself as it began, so that the file tells nothing of them.
        public var begun = 0
    }

    /// The parts of an object that identify it and say when it was written.
    struct Image: Hashable {
        var revision: Int64
        var bytes: [UInt8]
    }

    /// Compares one kind's objects: of the cluster that was made of a snapshot of `revision`, and of the running one.
    /// An object of the running cluster that was last written before the snapshot must be in it, and be the same.
    static func compare(
        restored: [String: Image], running: [String: Image], at revision: Int64, into comparison: inout Comparison
    ) -> [Finding] {
        var findings: [Finding] = []
        for (name, image) in running.sorted(by: { $0.key < $1.key }) where image.revision <= revision {
            guard let copy = restored[name] else {
                findings.append(.missing(name))
                continue
            }
            // What the throw-away cluster has written itself, as it began, is no part of the snapshot.
            guard copy.revision <= revision else { continue }
            if copy == image { comparison.equal += 1 } else { findings.append(.different(name)) }
        }
        comparison.begun += restored.values.filter { $0.revision > revision }.count
        // What is newer in the running cluster, or not there, has changed since.
        comparison.changedSince +=
            restored.filter { name, image in
                image.revision <= revision && (running[name].map { $0.revision > revision } ?? true)
            }.count
        return findings
    }

    /// Restores a snapshot into a throw-away cluster and looks at every object.
    /// - Parameters:
    ///   - file: the snapshot.
    ///   - running: the cluster that it is of, when it can be asked.
    ///   - parent: where the throw-away cluster lives for a while.
    ///   - say: is told of each step, in a line.
    /// - Throws: ``ClusterError``, `ReplicaError`, or what the running cluster says.
    public static func run(
        _ file: String, comparedWith running: Client?, in parent: String = "/tmp", say: @Sendable (String) -> Void
    ) async throws -> Report {
        let snapshot = try await SnapshotFile.status(of: file)
        say("the file is whole: revision \(snapshot.revision), \(snapshot.keys) keys, \(snapshot.bytes) bytes")
        let folder = try Files.makeTemporaryDirectory(in: parent, prefix: "martlet-drill")
        defer { try? Files.remove(folder) }
        var configuration = ClusterConfiguration.local(dataDirectory: folder + "/data")
        // No control plane: nothing may change what is compared.
        configuration.roles = [.gateway]
        let data = try DataDirectory(preparing: configuration.dataDirectory)
        let options = RestoreOptions(
            name: configuration.nodeName, members: [(configuration.nodeName, ["http://127.0.0.1:2380"])],
            token: "drill")
        let restored = try await SnapshotFile.restore(file, into: data.store, options)
        guard restored.keys == snapshot.keys, restored.revision == snapshot.revision else {
            throw ClusterError.unusable(
                "\(file) has \(snapshot.keys) keys at revision \(snapshot.revision), and \(restored.keys) at "
                    + "\(restored.revision) when it is restored: do not rely on it")
        }
        say("restored into \(folder)")
        let cluster = try await Cluster.start(configuration)
        var report = Report(snapshot: snapshot)
        if running != nil { report.comparison = Comparison() }
        do {
            say("a throw-away cluster serves it on \(cluster.apiEndpoint)")
            for kind in try await kinds(of: cluster.client) {
                try await look(at: kind, cluster.client, running, snapshot.revision, &report)
            }
        } catch {
            await cluster.stop()
            throw error
        }
        await cluster.stop()
        return report
    }

    /// Every kind that is stored, custom ones among them, in its preferred version.
    private static func kinds(of client: Client) async throws -> [ResourceKind] {
        var kinds: [ResourceKind] = []
        var groups = [("", "v1")]
        for group in try await client.ask(.get, "/apis")["groups"]?.array ?? [] {
            guard let name = group["name"]?.string, let version = group["preferredVersion", "version"]?.string else {
                continue
            }
            groups.append((name, version))
        }
        for (group, version) in groups {
            kinds += try await client.kinds(group: group, version: version).filter { $0.verbs.contains("list") }
        }
        return kinds
    }

    private static func look(
        at kind: ResourceKind, _ restored: Client, _ running: Client?, _ revision: Int64, _ report: inout Report
    ) async throws {
        let name = kind.group.isEmpty ? kind.plural : "\(kind.plural).\(kind.group)"
        let copies: [String: Image]
        do { copies = try await images(of: kind, name, restored) } catch {
            return report.findings.append(.unreadable(name, why: "\(error)"))
        }
        if !copies.isEmpty { report.objects[name] = copies.count }
        guard let running, var comparison = report.comparison else { return }
        report.findings += compare(
            restored: copies, running: try await images(of: kind, name, running), at: revision, into: &comparison)
        report.comparison = comparison
    }

    private static func images(of kind: ResourceKind, _ kindName: String, _ client: Client) async throws
        -> [String: Image]
    {
        var images: [String: Image] = [:]
        for object in try await client.list(kind).items {
            let name = object.namespace.isEmpty ? object.name : "\(object.namespace)/\(object.name)"
            let revision = object["metadata", "resourceVersion"]?.string.flatMap { Int64($0) } ?? 0
            images["\(kindName) \(name)"] = Image(revision: revision, bytes: object.encoded())
        }
        return images
    }
}
