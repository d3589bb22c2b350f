internal import MartletBase

/// The cells of a pod: what its containers' states add up to.
enum PodCells {
    @Sendable static func cells(_ pod: JSON, _ now: WallTime) -> [JSON] {
        let summary = Summary(of: pod)
        var restarts = String(summary.restarts)
        if summary.restarts > 0, let last = summary.lastRestart {
            restarts += " (\(Table.humanDuration(now - last)) ago)"
        }
        let address = pod["status", "podIPs"]?[0]?["ip"]?.string ?? pod["status", "podIP"]?.string ?? ""
        return [
            .string(pod.name), .string("\(summary.ready)/\(summary.total)"), .string(summary.reason), .string(restarts),
            .string(Table.age(pod["metadata", "creationTimestamp"], now: now)), shown(address),
            shown(pod["spec", "nodeName"]?.string), shown(pod["status", "nominatedNodeName"]?.string),
            shown(readinessGates(pod)),
        ]
    }

    private static func shown(_ text: String?) -> JSON {
        if let text, !text.isEmpty { .string(text) } else { "<none>" }
    }

    private static func condition(_ pod: JSON, _ type: String) -> JSON? {
        (pod["status", "conditions"]?.array ?? []).first { $0["type"]?.string == type }
    }

    private static func readinessGates(_ pod: JSON) -> String? {
        let gates = (pod["spec", "readinessGates"]?.array ?? []).compactMap { $0["conditionType"]?.string }
        if gates.isEmpty { return nil }
        return "\(gates.count { condition(pod, $0)?["status"] == "True" })/\(gates.count)"
    }

    /// Readiness, state and restarts of a pod.
    struct Summary {
        var reason = ""
        var ready = 0
        var total = 0
        var restarts = 0
        var lastRestart: WallTime?

        init(of pod: JSON) {
            let status = pod["status"] ?? [:]
            reason = status["phase"]?.string ?? ""
            if let given = status["reason"]?.string, !given.isEmpty { reason = given }
            if condition(pod, "PodScheduled")?["reason"] == "SchedulingGated" { reason = "SchedulingGated" }
            let initContainers = pod["spec", "initContainers"]?.array ?? []
            let sidecars = Set(
                initContainers.filter { $0["restartPolicy"] == "Always" }.compactMap { $0["name"]?.string })
            total = (pod["spec", "containers"]?.array ?? []).count + sidecars.count
            let isInitializing = addInit(status, sidecars: sidecars, count: initContainers.count)
            if !isInitializing || condition(pod, "Initialized")?["status"] == "True" {
                addContainers(status, sidecars: sidecars, isReady: condition(pod, "Ready")?["status"] == "True")
            }
            guard pod.isTerminating else { return }
            if status["reason"] == "NodeLost" {
                reason = "Unknown"
            } else if status["phase"] != "Succeeded", status["phase"] != "Failed" {
                reason = "Terminating"
            }
        }

        private mutating func addRestarts(of container: JSON) {
            restarts += container["restartCount"]?.int ?? 0
            guard let text = container["lastState", "terminated", "finishedAt"]?.string,
                let time = WallTime(rfc3339: text)
            else { return }
            lastRestart = max(lastRestart ?? time, time)
        }

        /// Looks for the first init container that is not done; returns whether there is one.
        private mutating func addInit(_ status: JSON, sidecars: Set<String>, count: Int) -> Bool {
            for (index, container) in (status["initContainerStatuses"]?.array ?? []).enumerated() {
                addRestarts(of: container)
                let terminated = container["state", "terminated"]
                if terminated?["exitCode"] == 0 { continue }
                if sidecars.contains(container["name"]?.string ?? ""), container["started"]?.bool == true {
                    if container["ready"]?.bool == true { ready += 1 }
                    continue
                }
                let waiting = container["state", "waiting", "reason"]?.string ?? ""
                if let terminated {
                    reason = "Init:" + ending(terminated)
                } else if !waiting.isEmpty, waiting != "PodInitializing" {
                    reason = "Init:" + waiting
                } else {
                    reason = "Init:\(index)/\(count)"
                }
                return true
            }
            return false
        }

        private func ending(_ terminated: JSON) -> String {
            if let reason = terminated["reason"]?.string, !reason.isEmpty { return reason }
            if let signal = terminated["signal"]?.int, signal != 0 { return "Signal:\(signal)" }
            return "ExitCode:\(terminated["exitCode"]?.int ?? 0)"
        }

        private mutating func addContainers(_ status: JSON, sidecars: Set<String>, isReady: Bool) {
            restarts = 0
            lastRestart = nil
            for container in status["initContainerStatuses"]?.array ?? []
            where sidecars.contains(container["name"]?.string ?? "") {
                addRestarts(of: container)
            }
            var hasRunning = false
            for container in (status["containerStatuses"]?.array ?? []).reversed() {
                addRestarts(of: container)
                let waiting = container["state", "waiting", "reason"]?.string ?? ""
                if !waiting.isEmpty {
                    reason = waiting
                } else if let terminated = container["state", "terminated"] {
                    reason = ending(terminated)
                } else if container["ready"]?.bool == true, container["state", "running"] != nil {
                    hasRunning = true
                    ready += 1
                }
            }
            if reason == "Completed", hasRunning { reason = isReady ? "Running" : "NotReady" }
        }
    }
}
