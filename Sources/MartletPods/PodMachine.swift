internal import MartletObject

/// One pod's life on its node: what is wanted, what is there, and what to do next. It is level-triggered: every input
/// changes what is known, and then the next step follows from all that is known, as in kubelet's syncPod. Time is in
/// milliseconds since the epoch.
public struct PodMachine: Sendable {
    /// The pod as the API has it.
    public internal(set) var spec: PodSpec
    /// Whether nothing of the pod is left on the node.
    public internal(set) var isGone = false
    /// What the runtime held at the last listing that counts.
    public internal(set) var observation: PodObservation?

    /// How long a pod that serves is let run on after its deletion, in milliseconds: by then Services and ingresses
    /// have left it out, and its end costs nobody a request. It is part of the grace.
    public static let farewell: Int64 = 500

    let hostIPs: [String]
    /// When a pod that is deleted is told so; nil before.
    private var leavesAt: Int64?
    /// Whether the API has no such pod any more.
    public internal(set) var hasVanished = false
    /// Set once the pod has ended for good: `Succeeded` or `Failed`.
    public internal(set) var outcome: String?
    /// Whether it ended because its `activeDeadlineSeconds` were over.
    var missedDeadline = false
    var inFlight: Set<PodAction> = []
    var freshFrom = 0
    var memories: [String: ContainerMemory] = [:]
    /// What the ids of containers begin with.
    let runtime: String
    var volumesMounted = false
    var volumeRetry = Retry()
    var sandboxRetry = Retry()
    var stopRetry = Retry()
    var stoppedSandboxes: Set<String> = []
    var resizing: Resizing
    var status: JSON
    var now: Int64 = 0
    var effects: [PodEffect] = []
    private var wake: Int64?
    private var lastWake: Int64?

    /// The machine of a pod that its node has not yet looked at; `hostIPs` are the node's addresses, `runtime` is the
    /// name of what runs its containers, which the ids of these begin with.
    public init(_ spec: PodSpec, hostIPs: [String], runtime: String = "containerd") {
        self.spec = spec
        self.runtime = runtime
        self.hostIPs = hostIPs
        status = spec.status
        resizing = Resizing(spec)
        let phase = spec.status["phase"]?.string
        if phase == "Succeeded" || phase == "Failed" { outcome = phase }
        for container in spec.allContainers {
            memories[container.name] = ContainerMemory(container.name, status: spec.status)
        }
    }

    /// Takes one input in, and says what to do.
    public mutating func step(_ input: PodInput, now: Int64) -> [PodEffect] {
        self.now = now
        effects = []
        wake = nil
        take(input)
        guard observation != nil, !isGone else { return effects }
        decide()
        if !isGone { advanceProbes() }
        refreshStatus()
        if isGone { effects.append(.gone) }
        if let wake, wake != lastWake || effectsAskAgain(input) { effects.append(.wakeAt(wake)) }
        lastWake = wake
        return effects
    }

    /// A tick uses the timer up, so that the same time must be asked for again.
    private func effectsAskAgain(_ input: PodInput) -> Bool { if case .tick = input { true } else { false } }

    // MARK: - Taking inputs in

    private mutating func take(_ input: PodInput) {
        switch input {
        case .desired(let spec):
            self.spec = spec
            for container in spec.allContainers where memories[container.name] == nil {
                memories[container.name] = ContainerMemory(container.name, status: .null)
            }
        case .vanished: hasVanished = true
        case .observed(let observation):
            guard observation.round >= freshFrom else { return }
            self.observation = observation
            for name in memories.keys.sorted() {
                memories[name]?.observe(
                    observation.containers.filter { $0.name == name }, by: runtime, now: now)
            }
        case .ended(let action, let result, let freshFrom):
            inFlight.remove(action)
            self.freshFrom = max(self.freshFrom, freshFrom)
            take(result, of: action)
        case .probed(let run, let success, let message): take(run, success: success, message: message)
        case .tick: return
        }
    }

    private mutating func take(_ result: ActionResult, of action: PodAction) {
        switch (action, result) {
        case (.mountVolumes, .done):
            volumesMounted = true
            volumeRetry.succeeded()
        case (.mountVolumes, .failed(let failure)):
            volumeRetry.failed(now: now)
            warn("FailedMount", failure.message)
        case (.runSandbox, .done): sandboxRetry.succeeded()
        case (.runSandbox, .failed(let failure)):
            sandboxRetry.failed(now: now)
            warn("FailedCreatePodSandBox", "Failed to create pod sandbox: \(failure.message)")
        case (.inspectImage(let name, _), _), (.pullImage(let name, _), _):
            takeImage(result, of: action, container: name)
        case (.startContainer(let name, _, _, _), _): takeStart(result, container: name)
        case (.allocate(let needs), _): takeAllocation(result, of: needs)
        case (.resizeContainer(let name, let id, let needs), _): takeResize(result, of: name, id: id, needs)
        case (.stopSandbox(let id), .done): stoppedSandboxes.insert(id)
        case (_, .failed): stopRetry.failed(now: now)
        default: stopRetry.succeeded()
        }
    }

    // MARK: - Deciding

    var isStopping: Bool { spec.isTerminating || hasVanished }
    /// Whether the last listing shows what every ended action did.
    var isFresh: Bool { (observation?.round ?? -1) >= freshFrom }
    var isBusy: Bool { inFlight.contains { !$0.isStop } }

    /// The newest sandbox.
    var sandbox: ObservedSandbox? {
        observation?.sandboxes.max { ($0.attempt, $0.createdAt) < ($1.attempt, $1.createdAt) }
    }

    private mutating func decide() {
        if isStopping {
            terminate()
            return
        }
        if outcome == nil { outcome = finalOutcome() }
        if outcome == nil { checkDeadline() }
        if outcome != nil {
            settle()
            return
        }
        stopChangedContainers()
        guard isFresh, !isBusy else { return }
        resize()
        guard !isBusy else { return }
        advance()
    }

    /// Fails a pod that was active for longer than its deadline says.
    private mutating func checkDeadline() {
        guard let seconds = spec.activeDeadlineSeconds else { return }
        let known = Timestamp.milliseconds(status["startTime"])
        guard isDue((known > 0 ? known : now) + min(max(0, seconds), Int64(Int32.max)) * 1000) else { return }
        outcome = "Failed"
        missedDeadline = true
        note(Self.missedDeadlineReason, Self.missedDeadlineMessage)
    }

    /// The next step of a pod that is to run.
    private mutating func advance() {
        guard volumesMounted else {
            if isDue(volumeRetry.at) { act(.mountVolumes) }
            return
        }
        guard let sandbox, sandbox.isReady else {
            remakeSandbox()
            return
        }
        // Before the init containers, one of which may be what is looked into. Each is started once.
        for container in spec.ephemeralContainers where memories[container.name]?.latest == nil {
            if tryStart(container, in: sandbox) { return }
        }
        if advanceInit(in: sandbox) {
            for container in spec.containers where wantsStart(container) {
                if tryStart(container, in: sandbox) { return }
            }
        }
        collectGarbage(keeping: sandbox)
    }

    /// Makes a sandbox, after the one before was stopped so that its network is free.
    private mutating func remakeSandbox() {
        if let dead = sandbox, !stoppedSandboxes.contains(dead.id) {
            guard isDue(stopRetry.at) else { return }
            if spec.containers.contains(where: { memories[$0.name]?.latest != nil }) {
                note("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            }
            act(.stopSandbox(id: dead.id))
            return
        }
        guard isDue(sandboxRetry.at) else { return }
        act(.runSandbox(attempt: sandbox.map { $0.attempt &+ 1 } ?? 0))
    }

    /// Starts init containers in order; returns whether the regular ones may run.
    private mutating func advanceInit(in sandbox: ObservedSandbox) -> Bool {
        let begun = spec.containers.contains { memories[$0.name]?.latest?.sandbox == sandbox.id }
        for container in spec.initContainers {
            if begun && !container.isSidecar { continue }
            let latest = memories[container.name]?.latest
            let isHere = latest?.sandbox == sandbox.id
            if let latest, isHere, latest.state == .running {
                if container.isSidecar && (begun || isStarted(container)) { continue }
                return begun
            }
            if let latest, isHere, latest.state == .exited, latest.exitCode == 0, !container.isSidecar { continue }
            _ = tryStart(container, in: sandbox)
            return begun && !isBusy
        }
        return true
    }

    /// Whether a regular container that does not run should.
    func wantsStart(_ container: ContainerSpec) -> Bool {
        guard let latest = memories[container.name]?.latest else { return true }
        switch (latest.state, spec.restartPolicy) {
        case (.running, _): return false
        case (.created, _), (.exited, .always): return true
        case (.exited, .onFailure):
            return latest.exitCode != 0 || memories[container.name]?.stoppedToResize == latest.id
        case (.exited, .never): return false
        }
    }

    /// `Succeeded` or `Failed` when no container is ever to run again.
    private func finalOutcome() -> String? {
        guard spec.restartPolicy != .always, isFresh else { return nil }
        let failedInit = spec.initContainers.contains { container in
            guard !container.isSidecar, let latest = memories[container.name]?.latest else { return false }
            return latest.state == .exited && latest.exitCode != 0
        }
        if failedInit && spec.restartPolicy == .never { return "Failed" }
        var succeeded = true
        for container in spec.containers {
            guard let latest = memories[container.name]?.latest, latest.state != .running, !wantsStart(container)
            else { return nil }
            if latest.exitCode != 0 { succeeded = false }
        }
        return succeeded ? "Succeeded" : "Failed"
    }

    /// The pod has ended: what still runs is stopped, then its sandbox; logs stay until the pod is deleted.
    private mutating func settle() {
        let running = runningContainers
        for container in running where stop(container, grace: spec.graceSeconds) {
            note("Killing", "Stopping container \(container.name)", container.name)
        }
        guard isFresh, running.isEmpty, inFlight.isEmpty, isDue(stopRetry.at) else { return }
        if let sandbox = observation?.sandboxes.first(where: { needsStop($0) }) { act(.stopSandbox(id: sandbox.id)) }
    }

    /// The pod is to go: containers, then sandboxes, then nothing is left.
    private mutating func terminate() {
        guard hasVanished || isDue(farewellEnd()) else { return }
        for container in runningContainers where stop(container, grace: spec.graceSeconds) {
            note("Killing", "Stopping container \(container.name)", container.name)
        }
        guard isFresh, inFlight.isEmpty, runningContainers.isEmpty, let observation, isDue(stopRetry.at) else { return }
        if let sandbox = observation.sandboxes.first(where: { needsStop($0) }) {
            act(.stopSandbox(id: sandbox.id))
        } else if let sandbox = observation.sandboxes.first {
            act(.removeSandbox(id: sandbox.id))
        } else if let container = observation.containers.first {
            act(.removeContainer(id: container.id))
        } else {
            isGone = true
        }
    }

    private mutating func farewellEnd() -> Int64 {
        if let leavesAt { return leavesAt }
        let serves =
            spec.graceSeconds > 1
            && spec.containers.contains { !$0.ports.isEmpty || $0.probes[.readiness] != nil }
            && spec.containers.allSatisfy { isReady($0) }
        let end = serves ? now + Self.farewell : now
        leavesAt = end
        return end
    }

    private func needsStop(_ sandbox: ObservedSandbox) -> Bool { !stoppedSandboxes.contains(sandbox.id) }

    /// Containers whose image was changed in the spec are ended; they start again as the spec says.
    private mutating func stopChangedContainers() {
        for container in spec.containers {
            guard let latest = memories[container.name]?.latest, latest.state == .running,
                !latest.fingerprint.isEmpty, latest.fingerprint != container.fingerprint
            else { continue }
            if stop(latest, grace: spec.graceSeconds) {
                note("Killing", "Container \(container.name) definition changed, will be restarted", container.name)
            }
        }
    }

    /// Of each container the current and the one before are kept (for `logs --previous`), of sandboxes the newest.
    private mutating func collectGarbage(keeping sandbox: ObservedSandbox) {
        guard !isBusy, isDue(stopRetry.at), let observation else { return }
        if let old = observation.sandboxes.first(where: { $0.id != sandbox.id }) {
            act(needsStop(old) ? .stopSandbox(id: old.id) : .removeSandbox(id: old.id))
            return
        }
        for name in memories.keys.sorted() {
            let kept = observation.containers.filter { $0.name == name }.sorted { $0.attempt > $1.attempt }
            if let old = kept.dropFirst(2).last, old.state != .running {
                act(.removeContainer(id: old.id))
                return
            }
        }
    }

    // MARK: - Doing

    var runningContainers: [ObservedContainer] {
        (observation?.containers ?? []).filter { $0.state == .running }
    }

    func isStopIssued(_ container: ObservedContainer) -> Bool {
        inFlight.contains { if case .stopContainer(container.id, _, _) = $0 { true } else { false } }
    }

    /// Ends a container, unless that was asked for already with no more grace than this. Returns whether it is asked
    /// for now, and for the first time.
    @discardableResult
    mutating func stop(_ container: ObservedContainer, grace: Int) -> Bool {
        for case .stopContainer(container.id, _, let asked) in inFlight where asked <= grace { return false }
        let isFirst = !isStopIssued(container)
        guard isFresh || !isFirst, isDue(stopRetry.at) else { return false }
        act(.stopContainer(id: container.id, name: container.name, graceSeconds: grace))
        return isFirst
    }

    mutating func act(_ action: PodAction) {
        inFlight.insert(action)
        effects.append(.act(action))
    }

    /// Whether a time has come; when not, the machine asks to be woken then.
    mutating func isDue(_ time: Int64) -> Bool {
        if now >= time { return true }
        wake = min(wake ?? time, time)
        return false
    }

    mutating func note(_ reason: String, _ message: String, _ container: String? = nil) {
        effects.append(.event(type: "Normal", reason: reason, message: message, container: container))
    }

    mutating func warn(_ reason: String, _ message: String, _ container: String? = nil) {
        effects.append(.event(type: "Warning", reason: reason, message: message, container: container))
    }
}
