internal import MartletObject

/// What a pod's machine remembers of one container, beyond what the runtime lists.
struct ContainerMemory: Sendable, Hashable {
    /// What is known of the image for the next start.
    enum Image: Sendable, Hashable {
        case unknown
        case absent
        case present(String)
    }
    /// Why it does not run.
    struct Waiting: Sendable, Hashable {
        var reason: String
        var message: String
    }

    /// The newest container of that name; kept after the runtime has forgotten it.
    var latest: ObservedContainer?
    /// The state of the ended container before the newest, as `lastState` has it.
    var previous: JSON = [:]
    var image = Image.unknown
    var pullBackoff = CrashBackoff()
    var pullFailedAt: Int64?
    var crash = CrashBackoff()
    /// When the container ended that the start in flight is to replace.
    var restartsEnded: Int64?
    var retry = Retry()
    var waiting: Waiting?
    /// The id of the container that ``probes`` are about.
    var probed = ""
    var probes: [ProbeKind: ProbeState] = [:]
    /// What the newest container is held to; nil when that is not known.
    var applied: ResourceNeeds?
    /// The id of the container that was ended to start again with other resources.
    var stoppedToResize = ""
    private var nextAttemptFloor: UInt32 = 0

    /// Takes over what an earlier run of the node has written to the API: counts go on after a lost runtime.
    init(_ name: String, status: JSON) {
        let lists = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
        let entry = lists.lazy.compactMap { status[$0]?.array?.first { $0["name"]?.string == name } }.first
        guard let entry, let id = entry["containerID"]?.string, !id.isEmpty else { return }
        let count = UInt32(clamping: entry["restartCount"]?.int ?? 0)
        nextAttemptFloor = count &+ 1
        previous = entry["lastState"] ?? [:]
        var container = ObservedContainer(
            id: id.split(separator: "/").last.map(String.init) ?? id, sandbox: "", name: name, attempt: count,
            state: .exited)
        container.imageID = entry["imageID"]?.string ?? ""
        let ended = entry["state", "terminated"]
        container.exitCode = Int32(clamping: ended?["exitCode"]?.int ?? 137)
        container.reason = ended?["reason"]?.string ?? "ContainerStatusUnknown"
        container.startedAt = Timestamp.milliseconds(ended?["startedAt"] ?? entry["state", "running", "startedAt"])
        container.finishedAt = Timestamp.milliseconds(ended?["finishedAt"])
        latest = container
        applied = entry["resources"].map { ResourceNeeds($0) }
    }

    /// The attempt of the next start.
    var nextAttempt: UInt32 { max(nextAttemptFloor, latest.map { $0.attempt &+ 1 } ?? 0) }

    /// Takes in the containers of this name that `runtime` lists.
    mutating func observe(_ listed: [ObservedContainer], by runtime: String, now: Int64) {
        guard let newest = listed.max(by: { ($0.attempt, $0.startedAt) < ($1.attempt, $1.startedAt) }) else {
            loseLatest(now: now)
            return
        }
        if let known = latest, known.id != newest.id {
            if newest.attempt < known.attempt {
                loseLatest(now: now)
                return
            }
            let before = listed.filter { $0.id != newest.id && $0.state == .exited }.max { $0.attempt < $1.attempt }
            let ended = before ?? (known.state == .exited ? known : nil)
            if let ended { previous = ["terminated": ended.terminated(by: runtime)] }
        } else if latest == nil {
            let before = listed.filter { $0.id != newest.id && $0.state == .exited }.max { $0.attempt < $1.attempt }
            if let before { previous = ["terminated": before.terminated(by: runtime)] }
        }
        latest = newest
        if newest.state == .running { waiting = nil }
    }

    /// A container that ran and is not listed any more has ended, nobody knows how.
    private mutating func loseLatest(now: Int64) {
        guard let lost = latest, lost.state != .exited else { return }
        latest?.state = .exited
        latest?.exitCode = 137
        latest?.reason = "ContainerStatusUnknown"
        latest?.message = "The container could not be located when the pod was synchronised"
        latest?.finishedAt = now
    }
}

extension PodMachine {
    /// How long ErrImagePull stands before it becomes ImagePullBackOff, in milliseconds.
    static let pullErrorShown: Int64 = 2000

    /// Starts a container, as far as back-off and its image allow; returns whether something was set going.
    mutating func tryStart(_ container: ContainerSpec, in sandbox: ObservedSandbox) -> Bool {
        guard let memory = memories[container.name] else { return false }
        if let latest = memory.latest, latest.sandbox == sandbox.id, latest.state == .exited {
            let due = memory.crash.dueAt(since: latest.finishedAt)
            if !isDue(due) {
                wait(
                    container, "CrashLoopBackOff",
                    "back-off \(Self.text(memory.crash.delay)) restarting failed container=\(container.name) "
                        + "pod=\(spec.displayName)",
                    event: "Back-off restarting failed container \(container.name) "
                        + "in pod \(spec.displayName)")
                return false
            }
        }
        guard isDue(memory.retry.at) else { return false }
        guard ImageReference.isValid(container.image) else {
            if memory.waiting?.reason != "InvalidImageName" {
                warn(
                    "InspectFailed",
                    "Failed to apply default image tag \"\(container.image)\": invalid reference format",
                    container.name)
            }
            memories[container.name]?.waiting = .init(
                reason: "InvalidImageName",
                message: "Failed to apply default image tag \"\(container.image)\": invalid reference format")
            return false
        }
        switch memory.image {
        case .present(let id): start(container, imageID: id, in: sandbox)
        case .unknown where container.pullPolicy != .always:
            act(.inspectImage(container: container.name, image: container.image))
        case .unknown, .absent: return tryPull(container)
        }
        return true
    }

    private mutating func start(_ container: ContainerSpec, imageID: String, in sandbox: ObservedSandbox) {
        guard let memory = memories[container.name] else { return }
        if let latest = memory.latest, latest.sandbox == sandbox.id, latest.state == .exited {
            memories[container.name]?.restartsEnded = latest.finishedAt
        }
        act(
            .startContainer(
                name: container.name, attempt: memory.nextAttempt, sandbox: sandbox.id, imageID: imageID))
    }

    private mutating func tryPull(_ container: ContainerSpec) -> Bool {
        guard let memory = memories[container.name] else { return false }
        if container.pullPolicy == .never {
            let message = "Container image \"\(container.image)\" is not present with pull policy of Never"
            if memory.waiting?.reason != "ErrImageNeverPull" { warn("ErrImageNeverPull", message, container.name) }
            memories[container.name]?.waiting = .init(reason: "ErrImageNeverPull", message: message)
            memories[container.name]?.image = .unknown
            memories[container.name]?.retry.failed(now: now)
            return false
        }
        if let failedAt = memory.pullFailedAt, !isDue(memory.pullBackoff.dueAt(since: failedAt)) {
            // The error itself is shown for a moment before the back-off is.
            guard isDue(failedAt + Self.pullErrorShown) else { return false }
            wait(
                container, "ImagePullBackOff", "Back-off pulling image \"\(container.image)\"",
                event: "Back-off pulling image \"\(container.image)\"")
            return false
        }
        note("Pulling", "Pulling image \"\(container.image)\"", container.name)
        act(.pullImage(container: container.name, image: container.image))
        return true
    }

    mutating func takeImage(_ result: ActionResult, of action: PodAction, container name: String) {
        guard var memory = memories[name], let container = spec.container(named: name) else { return }
        let isPull = if case .pullImage = action { true } else { false }
        switch result {
        case .image(let id?):
            memory.image = .present(id)
            memory.pullFailedAt = nil
            memory.pullBackoff = CrashBackoff()
            let text =
                isPull
                ? "Successfully pulled image \"\(container.image)\""
                : "Container image \"\(container.image)\" already present on machine"
            note("Pulled", text, name)
        case .image(nil) where !isPull: memory.image = .absent
        case .image, .done: memory.retry.failed(now: now)
        case .failed(let failure):
            if !isPull {
                memory.retry.failed(now: now)
                memory.waiting = .init(reason: "ImageInspectError", message: failure.message)
                break
            }
            // The first retry waits, too: a failed pull is counted before it is tried again.
            memory.pullBackoff.next(since: memory.pullFailedAt ?? now, now: now)
            memory.pullFailedAt = now
            memory.waiting = .init(reason: "ErrImagePull", message: failure.message)
            warn("Failed", "Failed to pull image \"\(container.image)\": \(failure.message)", name)
            warn("Failed", "Error: ErrImagePull", name)
        }
        memories[name] = memory
    }

    mutating func takeStart(_ result: ActionResult, container name: String) {
        memories[name]?.image = .unknown
        let ended = memories[name]?.restartsEnded
        memories[name]?.restartsEnded = nil
        let wasMade =
            switch result {
            case .failed(let failure): failure.stage == .start
            case .done, .image: true
            }
        // Only a start that made a container counts for the back-off: one that lacks its Secret says so instead.
        if wasMade, let ended { memories[name]?.crash.next(since: ended, now: now) }
        guard case .failed(let failure) = result else {
            memories[name]?.retry.succeeded()
            memories[name]?.waiting = nil
            let needs = spec.container(named: name).map { allocation(of: $0) }
            memories[name]?.applied = needs
            note("Created", "Created container: \(name)", name)
            note("Started", "Started container \(name)", name)
            return
        }
        let reason =
            switch failure.stage {
            case .configuration: "CreateContainerConfigError"
            case .create: "CreateContainerError"
            case .start: "RunContainerError"
            case .infeasible, .deferred, .other: "CreateContainerError"
            }
        memories[name]?.retry.failed(now: now)
        memories[name]?.waiting = .init(reason: reason, message: failure.message)
        warn("Failed", "Error: \(failure.message)", name)
    }

    /// Notes why a container waits, with an event when the reason is new.
    private mutating func wait(_ container: ContainerSpec, _ reason: String, _ message: String, event: String) {
        if memories[container.name]?.waiting?.reason != reason {
            warn("BackOff", event, container.name)
        }
        memories[container.name]?.waiting = .init(reason: reason, message: message)
    }

    /// `10s`, `2m40s`: as Go prints durations.
    static func text(_ milliseconds: Int64) -> String {
        let seconds = milliseconds / 1000
        return seconds < 60 ? "\(seconds)s" : "\(seconds / 60)m\(seconds % 60)s"
    }

    // MARK: - Probes

    /// Whether a running container counts as started (`started` in its status).
    func isStarted(_ container: ContainerSpec) -> Bool {
        guard let memory = memories[container.name], memory.latest?.state == .running else { return false }
        return container.probes[.startup] == nil
            || (memory.probed == memory.latest?.id && memory.probes[.startup]?.verdict == true)
    }

    /// Whether a container is ready (`ready` in its status).
    func isReady(_ container: ContainerSpec) -> Bool {
        guard isStarted(container), let memory = memories[container.name] else { return false }
        return container.probes[.readiness] == nil
            || (memory.probed == memory.latest?.id && memory.probes[.readiness]?.verdict == true)
    }

    /// Asks for the probes that are due, and ends containers that failed.
    mutating func advanceProbes() {
        guard !isStopping, outcome == nil else { return }
        for container in spec.containers + spec.initContainers where !container.probes.isEmpty {
            guard let memory = memories[container.name], let latest = memory.latest, latest.state == .running,
                latest.sandbox == sandbox?.id
            else { continue }
            if memory.probed != latest.id {
                memories[container.name]?.probed = latest.id
                memories[container.name]?.probes = container.probes.mapValues {
                    ProbeState($0, startedAt: latest.startedAt, now: now)
                }
            }
            for kind in ProbeKind.allCases { advance(kind, of: container, on: latest) }
        }
    }

    private mutating func advance(_ kind: ProbeKind, of container: ContainerSpec, on latest: ObservedContainer) {
        guard let probe = container.probes[kind], let state = memories[container.name]?.probes[kind] else { return }
        if kind != .readiness, state.verdict == false {
            stop(latest, grace: probe.graceSeconds ?? spec.graceSeconds)
            return
        }
        if kind == .startup ? state.verdict == true : !isStarted(container) { return }
        guard !state.isInFlight, isDue(state.nextAt) else { return }
        memories[container.name]?.probes[kind]?.isInFlight = true
        let address = sandbox?.addresses.first ?? hostIPs.first ?? ""
        effects.append(
            .probe(ProbeRun(container: container.name, id: latest.id, kind: kind, spec: probe, address: address)))
    }

    mutating func take(_ run: ProbeRun, success: Bool, message: String) {
        guard let memory = memories[run.container], memory.probed == run.id, memory.latest?.state == .running,
            memory.latest?.id == run.id
        else { return }
        let fails = memories[run.container]?.probes[run.kind]?.take(success: success, spec: run.spec, now: now)
        if !success { warn("Unhealthy", "\(run.kind.rawValue) probe failed: \(message)", run.container) }
        if fails == true, run.kind != .readiness {
            note(
                "Killing",
                "Container \(run.container) failed \(run.kind.rawValue.lowercased()) probe, will be restarted",
                run.container)
        }
    }
}
