internal import MartletBase
internal import MartletObject
internal import MartletReplica
internal import Synchronization

/// What a process uses of its machine, under the names that Prometheus' clients give it (`process_...`).
public struct ProcessUse: Sendable, Hashable {
    /// Bytes in memory.
    public var residentBytes: Int64
    /// Seconds of CPU since it started, the kernel's on its behalf among them.
    public var cpuSeconds: Double
    /// Open descriptors.
    public var openDescriptors: Int
    /// When it started, in seconds since 1970.
    public var startSeconds: Double

    /// What was measured.
    public init(residentBytes: Int64, cpuSeconds: Double, openDescriptors: Int, startSeconds: Double) {
        self.residentBytes = residentBytes
        self.cpuSeconds = cpuSeconds
        self.openDescriptors = openDescriptors
        self.startSeconds = startSeconds
    }
}

/// Metrics of the process, its store and its watches.
enum ServerMetrics {
    /// Prometheus' text of one metric without labels.
    private static func metric(_ name: String, _ type: String, _ help: String, _ value: String) -> String {
        "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name) \(value)\n"
    }

    static func text(_ use: ProcessUse) -> String {
        metric("process_resident_memory_bytes", "gauge", "Bytes in memory.", "\(use.residentBytes)")
            + metric("process_cpu_seconds_total", "counter", "Seconds of CPU.", "\(use.cpuSeconds)")
            + metric("process_open_fds", "gauge", "Open descriptors.", "\(use.openDescriptors)")
            + metric(
                "process_start_time_seconds", "gauge", "When the process started, since 1970.", "\(use.startSeconds)")
    }

    static func text(_ status: ReplicaStatus) -> String {
        func truth(_ value: Bool) -> String { value ? "1" : "0" }
        return metric("etcd_server_has_leader", "gauge", "Whether a leader is known.", truth(status.leader != nil))
            + metric("etcd_server_is_leader", "gauge", "Whether it leads.", truth(status.leader == status.member))
            + metric("etcd_server_is_learner", "gauge", "Whether this store does not vote.", truth(status.isLearner))
            + metric("etcd_server_proposals_committed_total", "gauge", "Committed entries.", "\(status.commitIndex)")
            + metric("etcd_server_proposals_applied_total", "gauge", "Applied entries.", "\(status.appliedIndex)")
            + metric("etcd_mvcc_db_total_size_in_bytes", "gauge", "Bytes of the checkpoint.", "\(status.databaseBytes)")
            + metric("etcd_debugging_mvcc_current_revision", "gauge", "The store's revision.", "\(status.revision)")
    }
}

/// Counts the watches that are open, by kind.
final class WatcherCount: Sendable {
    private let counts = Mutex<[ResourceKind: Int]>([:])

    /// Stands for a watch for as long as somebody holds it.
    final class Entry: Sendable {
        private let count: WatcherCount
        private let kind: ResourceKind

        fileprivate init(_ count: WatcherCount, _ kind: ResourceKind) {
            self.count = count
            self.kind = kind
            count.add(1, kind)
        }

        deinit { count.add(-1, kind) }
    }

    func entry(_ kind: ResourceKind) -> Entry { Entry(self, kind) }

    private func add(_ number: Int, _ kind: ResourceKind) {
        counts.withLock { counts in
            counts[kind, default: 0] += number
            // Custom kinds come and go.
            if counts[kind] == 0 { counts[kind] = nil }
        }
    }

    /// Prometheus' text.
    var text: String {
        var lines = [
            "# HELP apiserver_registered_watchers Watches that are open now, by kind.",
            "# TYPE apiserver_registered_watchers gauge",
        ]
        lines += counts.withLock { $0 }.map { kind, count in
            "apiserver_registered_watchers{group=\"\(kind.group)\",kind=\"\(kind.kind)\",version=\"\(kind.version)\"} "
                + "\(count)"
        }.sorted()
        return lines.joined(separator: "\n") + "\n"
    }
}
