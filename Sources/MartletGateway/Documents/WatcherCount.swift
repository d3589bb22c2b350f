internal import MartletBase
internal import MartletObject
internal import Synchronization

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

    func write(to text: inout PrometheusText) {
        text.family("apiserver_registered_watchers", "gauge", "Watches that are open now, by kind.")
        let rows = counts.withLock { $0 }.map { kind, count in
            ("group=\"\(kind.group)\",kind=\"\(kind.kind)\",version=\"\(kind.version)\"", "\(count)")
        }
        for (labels, count) in rows.sorted(by: { $0.0 < $1.0 }) {
            text.line("apiserver_registered_watchers", labels, count)
        }
    }
}
