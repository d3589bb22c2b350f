internal import MartletBase
internal import Synchronization

/// Counts how the checks of health came out, under Kubernetes' names (`/metrics/slis`).
final class CheckCount: Sendable {
    private struct Row: Sendable {
        var isWell = true
        var succeeded: UInt64 = 0
        var failed: UInt64 = 0
    }
    /// By the labels of a check: one row for each of ``Gateway/checks``.
    private let rows = Mutex<[String: Row]>([:])

    /// Some checks of `/healthz`, `/livez` or `/readyz` were made.
    func count(_ checks: [String], failed: Set<String>, of kind: String) {
        rows.withLock { rows in
            for check in checks {
                var row = rows["name=\"\(check)\",type=\"\(kind)\""] ?? Row()
                row.isWell = !failed.contains(check)
                if row.isWell { row.succeeded += 1 } else { row.failed += 1 }
                rows["name=\"\(check)\",type=\"\(kind)\""] = row
            }
        }
    }

    /// Prometheus' text format.
    var text: String {
        let rows = rows.withLock { $0 }.sorted { $0.key < $1.key }
        var text = PrometheusText(prefix: "kubernetes_")
        text.family("healthcheck", "gauge", "How a check of health came out last: 1 is well.")
        for (labels, row) in rows { text.line("healthcheck", labels, row.isWell ? "1" : "0") }
        text.family("healthchecks_total", "counter", "How checks of health came out.")
        for (labels, row) in rows {
            for (status, number) in [("error", row.failed), ("success", row.succeeded)] where number > 0 {
                text.line("healthchecks_total", "\(labels),status=\"\(status)\"", "\(number)")
            }
        }
        return text.text
    }
}
