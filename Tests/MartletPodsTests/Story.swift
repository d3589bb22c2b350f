import MartletObject
import Testing

@testable import MartletPods

/// A pod's machine beside a pretended runtime that does each action at once (unless it is told to fail), so that a
/// test reads as a story: what happens, and what the machine makes of it.
struct Story {
    var machine: PodMachine
    var now: Int64 = 1_000_000
    var sandboxes: [ObservedSandbox] = []
    var containers: [ObservedContainer] = []
    /// What was asked for, in order.
    var done: [PodAction] = []
    var events: [String] = []
    var probes: [ProbeRun] = []
    var status: JSON = .null
    var wakeAt: Int64?
    var isGone = false
    /// Images that can be pulled; those that are present.
    var registry: Set<String> = ["web:1", "web:2"]
    var present: Set<String> = ["web:1"]
    /// How the next actions (stops excepted) end: nil for well.
    var failures: [ActionFailure?] = []
    /// Whether `stopContainer` is left open until ``finishStops()``.
    var stopsAreSlow = false
    /// Bytes that the node has, and those that others leave.
    var memoryCapacity: Int64 = 1 << 30
    var memoryFree: Int64 = 1 << 30
    /// What running containers were told to be held to, by id.
    var held: [String: ResourceNeeds] = [:]
    private var round = 0
    private var openStops: [PodAction] = []

    init(_ pod: JSON) {
        machine = PodMachine(PodSpec(pod), hostIPs: ["192.0.2.1"])
    }

    static func pod(
        restartPolicy: String = "Always", containers: [JSON] = [["name": "web", "image": "web:1"]],
        initContainers: [JSON] = [], deleting grace: Int? = nil
    ) -> JSON {
        var pod: JSON = [
            "metadata": ["name": "p", "namespace": "ns", "uid": "u1"],
            "spec": [
                "restartPolicy": .string(restartPolicy), "nodeName": "n1", "containers": .array(containers),
                "initContainers": .array(initContainers),
            ],
        ]
        if let grace {
            pod["metadata", "deletionTimestamp"] = "2026-01-01T00:00:00Z"
            pod["metadata", "deletionGracePeriodSeconds"] = .int(Int64(grace))
        }
        return pod
    }

    /// Lists the pretended runtime and goes on until nothing more is asked for.
    mutating func settle() {
        round += 1
        feed(.observed(PodObservation(round: round, sandboxes: sandboxes, containers: containers)))
    }

    mutating func feed(_ input: PodInput) {
        var actions: [PodAction] = []
        for effect in machine.step(input, now: now) {
            switch effect {
            case .act(let action): actions.append(action)
            case .probe(let run): probes.append(run)
            case .setStatus(let status): self.status = status
            case .event(_, let reason, _, _): events.append(reason)
            case .wakeAt(let time): wakeAt = time
            case .gone: isGone = true
            }
        }
        done += actions
        for action in actions {
            if isStop(action), stopsAreSlow { openStops.append(action) } else { end(action) }
        }
    }

    mutating func end(_ action: PodAction) {
        let result = perform(action)
        round += 1
        feed(.ended(action, result, freshFrom: round))
        settle()
    }

    mutating func finishStops() {
        let stops = openStops
        openStops = []
        for stop in stops { end(stop) }
    }

    private mutating func perform(_ action: PodAction) -> ActionResult {
        if !isStop(action), !failures.isEmpty, let failure = failures.removeFirst() { return .failed(failure) }
        switch action {
        case .mountVolumes: return .done
        case .runSandbox(let attempt):
            sandboxes.append(
                ObservedSandbox(
                    id: "s\(attempt)", attempt: attempt, isReady: true, createdAt: now, addresses: ["10.0.0.2"]))
        case .inspectImage(_, let image): return .image(present.contains(image) ? "sha256:\(image)" : nil)
        case .pullImage(_, let image):
            guard registry.contains(image) else { return .failed(ActionFailure(.other, "no such image")) }
            present.insert(image)
            return .image("sha256:\(image)")
        case .startContainer(let name, let attempt, let sandbox, let imageID):
            var container = ObservedContainer(
                id: "\(name)-\(attempt)", sandbox: sandbox, name: name, attempt: attempt, state: .running)
            container.startedAt = now
            container.imageID = imageID
            container.fingerprint = machine.spec.container(named: name)?.fingerprint ?? ""
            containers.append(container)
        case .allocate(let needs):
            let memory = machine.allocation(with: needs).memory
            if memory > memoryCapacity { return .failed(ActionFailure(.infeasible, "no such node")) }
            if memory > memoryFree { return .failed(ActionFailure(.deferred, "not now")) }
        case .resizeContainer(_, let id, let needs): held[id] = needs
        case .stopContainer(let id, _, _): exit(id, code: 143)
        case .removeContainer(let id): containers.removeAll { $0.id == id }
        case .stopSandbox(let id): killSandbox(id)
        case .removeSandbox(let id):
            sandboxes.removeAll { $0.id == id }
            containers.removeAll { $0.sandbox == id }
        }
        return .done
    }

    private func isStop(_ action: PodAction) -> Bool { if case .stopContainer = action { true } else { false } }

    /// A container ends by itself.
    mutating func exit(_ id: String, code: Int32) {
        for index in containers.indices where containers[index].id == id && containers[index].state == .running {
            containers[index].state = .exited
            containers[index].exitCode = code
            containers[index].finishedAt = now
        }
    }

    mutating func killSandbox(_ id: String) {
        for index in sandboxes.indices where sandboxes[index].id == id { sandboxes[index].isReady = false }
        for container in containers where container.sandbox == id { exit(container.id, code: 137) }
    }

    /// Time passes; the machine is ticked when it asked for it.
    mutating func pass(seconds: Int64) {
        let end = now + seconds * 1000
        while let wake = wakeAt, wake <= end {
            now = max(now, wake)
            wakeAt = nil
            feed(.tick)
        }
        now = end
        settle()
    }

    mutating func answerProbes(_ kind: ProbeKind, success: Bool) {
        let asked = probes.filter { $0.kind == kind }
        probes.removeAll { $0.kind == kind }
        for run in asked { feed(.probed(run, success: success, message: success ? "" : "connection refused")) }
    }

    func container(_ name: String) -> JSON {
        let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"].map { status[$0] }
        return lists.compactMap { $0?.array }.joined().first { $0["name"]?.string == name } ?? .null
    }
    var phase: String? { status["phase"]?.string }
    func condition(_ type: String) -> String? {
        status["conditions"]?.array?.first { $0["type"]?.string == type }?["status"]?.string
    }
    var starts: [String] {
        done.compactMap {
            if case .startContainer(let name, let attempt, _, _) = $0 { "\(name)#\(attempt)" } else { nil }
        }
    }
}
