internal import MartletBase
public import MartletObject

/// Times as the API writes them.
enum Timestamp {
    static func text(_ milliseconds: Int64) -> JSON {
        .string(WallTime(nanoseconds: milliseconds.multipliedClamped(by: 1_000_000)).rfc3339)
    }
    static func milliseconds(_ json: JSON?) -> Int64 {
        json?.string.flatMap { WallTime(rfc3339: $0) }.map { $0.nanoseconds / 1_000_000 } ?? 0
    }
}

extension ObservedContainer {
    /// `state.terminated` (core/v1 ContainerStateTerminated).
    func terminated(by runtime: String) -> JSON {
        var state: JSON = [
            "exitCode": .int(Int64(exitCode)),
            "reason": .string(reason.isEmpty ? (exitCode == 0 ? "Completed" : "Error") : reason),
        ]
        if !message.isEmpty { state["message"] = .string(message) }
        if startedAt > 0 { state["startedAt"] = Timestamp.text(startedAt) }
        if finishedAt > 0 { state["finishedAt"] = Timestamp.text(finishedAt) }
        state["containerID"] = .string("\(runtime)://\(id)")
        return state
    }
}

extension PodMachine {
    /// What the status of a pod says whose `activeDeadlineSeconds` were over.
    static let missedDeadlineReason = "DeadlineExceeded"
    static let missedDeadlineMessage = "Pod was active on the node longer than the specified deadline"

    /// The status as it was last asked to be written (or read from the API).
    public var currentStatus: JSON { status }

    /// Works the status out anew, and asks for it to be written when it has changed.
    mutating func refreshStatus() {
        guard !hasVanished else { return }
        let fresh = makeStatus()
        guard fresh != status else { return }
        status = fresh
        effects.append(.setStatus(fresh))
    }

    private func makeStatus() -> JSON {
        let inits = spec.initContainers.map { containerStatus($0, isInit: true) }
        let regulars = spec.containers.map { containerStatus($0, isInit: false) }
        let phase = makePhase()
        // Members of the old status that are not ours (nominatedNodeName, resize, ...) stay where they are.
        var result = status.object == nil ? [:] : status
        if let generation = spec.generation { result["observedGeneration"] = .int(generation) }
        result["phase"] = .string(phase)
        if missedDeadline {
            result["reason"] = .string(Self.missedDeadlineReason)
            result["message"] = .string(Self.missedDeadlineMessage)
        }
        result["conditions"] = conditions(phase: phase)
        result["hostIP"] = hostIPs.first.map { .string($0) }
        result["hostIPs"] = hostIPs.isEmpty ? nil : .array(hostIPs.map { ["ip": .string($0)] })
        let addresses = podAddresses
        if !addresses.isEmpty {
            result["podIP"] = addresses.first.map { .string($0) }
            result["podIPs"] = .array(addresses.map { ["ip": .string($0)] })
        } else if !isStopping && outcome == nil {
            result["podIP"] = nil
            result["podIPs"] = nil
        }
        if result["startTime"]?.string == nil { result["startTime"] = Timestamp.text(now) }
        if !inits.isEmpty { result["initContainerStatuses"] = .array(inits) }
        result["containerStatuses"] = .array(regulars)
        let ephemerals = spec.ephemeralContainers.map { ephemeralStatus($0) }
        if !ephemerals.isEmpty { result["ephemeralContainerStatuses"] = .array(ephemerals) }
        result["qosClass"] = .string(spec.qosClass)
        return result
    }

    private var podAddresses: [String] {
        if spec.hostNetwork { return sandbox == nil ? [] : hostIPs }
        return sandbox.map { $0.isReady ? $0.addresses : [] } ?? []
    }

    /// Why a container has not started, as its status says it; nil when it has, or is not there.
    public func waitingReason(of container: String) -> String? {
        let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
        let entry = lists.lazy.compactMap { status[$0]?.array?.first { $0["name"]?.string == container } }.first
        return entry?["state", "waiting", "reason"]?.string
    }

    // MARK: - Phase

    /// kubelet's getPhase.
    private func makePhase() -> String {
        if let outcome { return outcome }
        let latests = spec.containers.map { memories[$0.name]?.latest }
        if isStopping, runningContainers.isEmpty, latests.contains(where: { $0 != nil }) {
            let failed = latests.contains { $0.map { $0.exitCode != 0 } ?? true }
            return failed ? "Failed" : "Succeeded"
        }
        let neverRan = latests.contains { $0 == nil || $0?.state == .created }
        return neverRan ? "Pending" : "Running"
    }

    /// Whether all init containers have done their work (sidecars: have started).
    private var isInitialized: Bool {
        if spec.containers.contains(where: { memories[$0.name]?.latest?.sandbox.isEmpty == false }) { return true }
        return spec.initContainers.allSatisfy { isDone($0) }
    }

    private func isDone(_ container: ContainerSpec) -> Bool {
        guard let latest = memories[container.name]?.latest else { return false }
        return container.isSidecar ? isStarted(container) : latest.state == .exited && latest.exitCode == 0
    }

    // MARK: - Conditions

    private func conditions(phase: String) -> JSON {
        let names: ([ContainerSpec]) -> String = { "[" + $0.map(\.name).joined(separator: " ") + "]" }
        let watched = spec.containers + spec.initContainers.filter(\.isSidecar)
        let unready = watched.filter { !isReady($0) }
        let uninitialized = spec.initContainers.filter { !isDone($0) }
        let hasEnded = phase == "Succeeded" || phase == "Failed"
        let readiness: (Bool, String, String) =
            if hasEnded {
                (false, phase == "Failed" ? "PodFailed" : "PodCompleted", "")
            } else if unready.isEmpty {
                (true, "", "")
            } else {
                (false, "ContainersNotReady", "containers with unready status: \(names(unready))")
            }
        let initialized: (Bool, String, String) =
            if isInitialized || phase == "Succeeded" {
                (true, phase == "Succeeded" ? "PodCompleted" : "", "")
            } else {
                (false, "ContainersNotInitialized", "containers with incomplete status: \(names(uninitialized))")
            }
        let networked = sandbox?.isReady == true && (spec.hostNetwork || sandbox?.addresses.isEmpty == false)
        let wanted: [(String, (Bool, String, String))] = [
            (
                "PodReadyToStartContainers",
                (networked && !(sandbox.map { stoppedSandboxes.contains($0.id) } ?? true), "", "")
            ),
            ("Initialized", initialized),
            ("Ready", readiness),
            ("ContainersReady", readiness),
            ("PodScheduled", (true, "", "")),
        ]
        let old = status["conditions"]?.array ?? []
        let own = Set(wanted.map(\.0) + [Self.resizePending, Self.resizeInProgress])
        let foreign = old.filter { !own.contains($0["type"]?.string ?? "") }
        let resizes = hasEnded ? [] : resizeConditions.map { ($0.type, (true, $0.reason, $0.message)) }
        return .array((wanted + resizes).map { condition($0.0, $0.1, old: old) } + foreign)
    }

    private func condition(_ type: String, _ wanted: (Bool, String, String), old: [JSON]) -> JSON {
        let before = old.first { $0["type"]?.string == type }
        let status = wanted.0 ? "True" : "False"
        let isSame = before?["status"]?.string == status
        var condition: JSON = ["type": .string(type)]
        if let generation = spec.generation { condition["observedGeneration"] = .int(generation) }
        condition["status"] = .string(status)
        condition["lastProbeTime"] = .null
        condition["lastTransitionTime"] = (isSame ? before?["lastTransitionTime"] : nil) ?? Timestamp.text(now)
        if !wanted.1.isEmpty { condition["reason"] = .string(wanted.1) }
        if !wanted.2.isEmpty { condition["message"] = .string(wanted.2) }
        return condition
    }

    // MARK: - Containers

    /// Nobody asks whether an ephemeral container is ready or has started.
    private func ephemeralStatus(_ container: ContainerSpec) -> JSON {
        var entry = containerStatus(container, isInit: false)
        entry["ready"] = false
        entry["started"] = nil
        entry["resources"] = nil
        return entry
    }

    private func containerStatus(_ container: ContainerSpec, isInit: Bool) -> JSON {
        let memory = memories[container.name]
        let latest = memory?.latest
        var lastState = memory?.previous ?? [:]
        let state: JSON
        if let latest, latest.state == .running {
            state = ["running": ["startedAt": Timestamp.text(latest.startedAt)]]
        } else if let waiting = memory?.waiting, !isStopping, outcome == nil {
            var body: JSON = ["reason": .string(waiting.reason)]
            if !waiting.message.isEmpty { body["message"] = .string(waiting.message) }
            state = ["waiting": body]
            if let latest, latest.state == .exited { lastState = ["terminated": latest.terminated(by: runtime)] }
        } else if let latest, latest.state == .exited {
            state = ["terminated": latest.terminated(by: runtime)]
        } else {
            let reason = spec.initContainers.isEmpty ? "ContainerCreating" : "PodInitializing"
            state = ["waiting": ["reason": .string(reason)]]
        }
        let started = isStarted(container)
        let isReady = isInit && !container.isSidecar ? isDone(container) : isReady(container)
        let resources = resourceStatus(of: container)
        var entry: JSON = [
            "name": .string(container.name),
            "state": state,
            "lastState": lastState,
            "ready": .bool(isReady),
            "restartCount": .int(Int64(latest?.attempt ?? 0)),
            "image": .string(container.image),
            "imageID": .string(latest?.imageID ?? ""),
            "containerID": .string(latest.map { "\(runtime)://\($0.id)" } ?? ""),
            "started": .bool(started),
            "resources": resources.actual,
        ]
        if resources.allocated != [:] { entry["allocatedResources"] = resources.allocated }
        return entry
    }
}
