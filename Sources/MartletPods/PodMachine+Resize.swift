internal import MartletObject

/// What of the node's resources is set aside for a pod.
public struct PodAllocation: Sendable, Hashable {
    /// Thousandths of a core.
    public var milliCPU: Int64 = 0
    /// Bytes.
    public var memory: Int64 = 0
    /// Nothing.
    public init() {}

    /// The sum, at the end of the range when it does not fit.
    public static func + (a: PodAllocation, b: PodAllocation) -> PodAllocation {
        var sum = PodAllocation()
        sum.milliCPU = a.milliCPU.addedClamped(b.milliCPU)
        sum.memory = a.memory.addedClamped(b.memory)
        return sum
    }
}

/// Where a change of a running pod's resources stands: first the node sets them aside, then each container is held to
/// what was set aside for it, as in kubelet.
struct Resizing: Sendable, Hashable {
    /// Why something is not done, as a condition says it.
    struct Obstacle: Sendable, Hashable {
        var reason: String
        var message: String
    }

    /// What is set aside for each container, by name.
    var allocated: [String: ResourceNeeds] = [:]
    /// What was last asked for.
    var asked: [String: ResourceNeeds] = [:]
    /// Why the node does not set aside what the spec asks for; nil when it does.
    var refusal: Obstacle?
    var allocationRetry = Retry()
    /// Why the runtime does not hold a container to what was set aside.
    var fault: Obstacle?
    var runtimeRetry = Retry()
    /// Whether what was set aside last is not yet in force everywhere.
    var isUnderWay = false

    /// Goes on where an earlier run of the node was, as the API's status tells.
    init(_ spec: PodSpec) {
        for container in spec.resizable { allocated[container.name] = container.resources }
        for entry in ["initContainerStatuses", "containerStatuses"].flatMap({ spec.status[$0]?.array ?? [] }) {
            guard let name = entry["name"]?.string, allocated[name] != nil, var needs = entry["resources"] else {
                continue
            }
            needs["requests"] = entry["allocatedResources"] ?? needs["requests"]
            allocated[name] = ResourceNeeds(needs)
        }
    }
}

extension PodSpec {
    /// The containers whose resources may change while they run.
    var resizable: [ContainerSpec] { containers + initContainers.filter(\.isSidecar) }
}

extension PodMachine {
    /// What is set aside for a container: what it runs with, or is to be started with.
    public func allocation(of container: ContainerSpec) -> ResourceNeeds {
        resizing.allocated[container.name] ?? container.resources
    }

    /// What is set aside for the pod.
    public var allocation: PodAllocation { allocation(with: [:]) }

    /// What would be set aside for the pod if its containers of these names had these needs.
    public func allocation(with needs: [String: ResourceNeeds]) -> PodAllocation {
        spec.resizable.reduce(PodAllocation()) { sum, container in
            let needs = needs[container.name] ?? allocation(of: container)
            var own = PodAllocation()
            own.milliCPU = needs.cpuRequest ?? 0
            own.memory = needs.memoryRequest ?? 0
            return sum + own
        }
    }

    /// The next step towards the resources that the spec asks for.
    mutating func resize() {
        let changed = spec.resizable.filter { allocation(of: $0) != $0.resources }
        if changed.isEmpty {
            resizing.refusal = nil
        } else {
            allocate(Dictionary(changed.map { ($0.name, $0.resources) }) { first, _ in first })
        }
        if !isBusy { actuate() }
    }

    private mutating func allocate(_ needs: [String: ResourceNeeds]) {
        if needs == resizing.asked, let refusal = resizing.refusal {
            // What the node will never have is not asked for again.
            guard refusal.reason == Self.deferred, isDue(resizing.allocationRetry.at) else { return }
        }
        resizing.asked = needs
        act(.allocate(needs))
    }

    mutating func takeAllocation(_ result: ActionResult, of needs: [String: ResourceNeeds]) {
        guard case .failed(let failure) = result else {
            resizing.allocated.merge(needs) { $1 }
            resizing.refusal = nil
            resizing.allocationRetry.succeeded()
            resizing.fault = nil
            resizing.runtimeRetry.succeeded()
            resizing.isUnderWay = true
            note("ResizeStarted", "Pod resize started: \(resizeText)")
            return
        }
        let reason = failure.stage == .infeasible ? Self.infeasible : Self.deferred
        if resizing.refusal?.reason != reason { warn("Resize\(reason)", "Pod resize \(reason): \(failure.message)") }
        resizing.refusal = .init(reason: reason, message: failure.message)
        resizing.allocationRetry.failed(now: now)
    }

    /// Holds one container to what is set aside for it, or ends it when only a new start can.
    private mutating func actuate() {
        let behind = spec.resizable.filter { isBehind($0) }
        for container in behind {
            guard let memory = memories[container.name], let latest = memory.latest, let applied = memory.applied else {
                continue
            }
            let needs = allocation(of: container)
            if container.restartsToResize.isDisjoint(with: needs.changes(from: applied)) {
                guard isDue(resizing.runtimeRetry.at) else { continue }
                act(.resizeContainer(name: container.name, id: latest.id, needs))
                return
            }
            if stop(latest, grace: spec.graceSeconds) {
                memories[container.name]?.stoppedToResize = latest.id
                note("Killing", "Container \(container.name) resize requires restart", container.name)
            }
        }
        if behind.isEmpty, resizing.isUnderWay {
            resizing.isUnderWay = false
            note("ResizeCompleted", "Pod resize completed: \(resizeText)")
        }
    }

    /// Whether a container runs with other resources than those that are set aside for it.
    private func isBehind(_ container: ContainerSpec) -> Bool {
        guard let memory = memories[container.name], memory.latest?.state == .running, let applied = memory.applied
        else { return false }
        return applied != allocation(of: container)
    }

    mutating func takeResize(_ result: ActionResult, of name: String, id: String, _ needs: ResourceNeeds) {
        guard case .failed(let failure) = result else {
            if memories[name]?.latest?.id == id { memories[name]?.applied = needs }
            resizing.fault = nil
            resizing.runtimeRetry.succeeded()
            return
        }
        if resizing.fault == nil { warn("ResizeError", "Pod resize error: \(failure.message)", name) }
        resizing.fault = .init(reason: "Error", message: failure.message)
        resizing.runtimeRetry.failed(now: now)
    }

    // MARK: - Status

    static let infeasible = "Infeasible"
    static let deferred = "Deferred"
    /// The conditions that a pod has only while they hold.
    static let resizePending = "PodResizePending"
    static let resizeInProgress = "PodResizeInProgress"

    /// The conditions of a resize that waits or is under way: type, reason and message.
    var resizeConditions: [(type: String, reason: String, message: String)] {
        var conditions: [(type: String, reason: String, message: String)] = []
        if let refusal = resizing.refusal { conditions.append((Self.resizePending, refusal.reason, refusal.message)) }
        if spec.resizable.contains(where: { isBehind($0) }) {
            conditions.append((Self.resizeInProgress, resizing.fault?.reason ?? "", resizing.fault?.message ?? ""))
        }
        return conditions
    }

    /// What a container's status says of its resources: what is set aside, and what it is held to.
    func resourceStatus(of container: ContainerSpec) -> (allocated: JSON, actual: JSON) {
        let allocated = allocation(of: container)
        let memory = memories[container.name]
        let actual = memory?.latest?.state == .running ? memory?.applied ?? allocated : allocated
        return (allocated.requests, actual.shown)
    }

    private var resizeText: String {
        var body: JSON = [
            "containers": .array(
                spec.resizable.map { ["name": .string($0.name), "resources": allocation(of: $0).shown] })
        ]
        if let generation = spec.generation { body["generation"] = .int(generation) }
        return String(decoding: body.encoded(), as: UTF8.self)
    }
}
