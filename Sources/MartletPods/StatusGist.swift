public import MartletObject

/// What those act on who read a pod's status: two statuses of one gist differ only in words and times.
public struct StatusGist: Sendable, Hashable {
    private struct Container: Hashable {
        var name: String
        var id: String
        var state: String
        var isReady: Bool
        var restarts: Int
    }

    private var phase: String
    private var address: String
    private var ready: String?
    private var containers: [Container]

    /// The gist of a status.
    public init(_ status: JSON) {
        phase = status["phase"]?.string ?? "Pending"
        address = status["podIP"]?.string ?? ""
        ready = status["conditions"]?.array?.first { $0["type"] == "Ready" }?["status"]?.string
        let lists = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
        containers = lists.flatMap { status[$0]?.array ?? [] }.map { container in
            Container(
                name: container["name"]?.string ?? "", id: container["containerID"]?.string ?? "",
                state: container["state"]?.members.first?.key ?? "waiting",
                isReady: container["ready"]?.bool ?? false, restarts: container["restartCount"]?.int ?? 0)
        }
    }

    /// Whether a pod that is so has to be told of once more, when the API tells that. The masters say of a pod that it
    /// is not ready when its agent was silent for too long, and an API that came back from a snapshot tells how it was
    /// then. A verdict that a pod has ended stands: it is not its agent's alone.
    public func isContradicted(by told: StatusGist) -> Bool {
        self != told && (hasEnded || !told.hasEnded)
    }

    private var hasEnded: Bool { phase == "Succeeded" || phase == "Failed" }
}
