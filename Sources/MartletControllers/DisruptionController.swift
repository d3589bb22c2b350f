internal import MartletBase
public import MartletObject

/// Says how many pods may go now of those that a PodDisruptionBudget covers (kube-controller-manager's disruption
/// controller).
public struct DisruptionController: Controller {
    /// `disruption-controller`
    public let name = "disruption-controller"
    /// Budgets, pods, and what says how many pods there should be.
    public let kinds: [ResourceKind] = [
        .disruptionBudget, .pod, .replicaSet, .deployment, .statefulSet, .replicationController,
    ]

    /// A controller; it holds nothing.
    public init() {}

    /// Every budget of the namespace: one that covered the pod before its labels changed is among them.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .disruptionBudget { return [ObjectKey(kind, namespace: object.namespace, name: object.name)] }
        return snapshot.list(.disruptionBudget, namespace: object.namespace)
            .map { ObjectKey(.disruptionBudget, namespace: $0.namespace, name: $0.name) }
    }

    /// Brings the status up to date.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let budget = snapshot.get(key), !budget.isTerminating else { return [] }
        let pods = snapshot.list(.pod, namespace: key.namespace).filter { DisruptionBudget.covers(budget, $0) }
        var status = budget["status"] ?? [:]
        var intents: [Intent] = []
        func tell(_ type: String, _ reason: String, _ message: String) {
            intents.append(.event(about: key, uid: budget.uid, type: type, reason: reason, message: message))
        }
        let expectation: Expectation
        do {
            expectation = try Expectation(budget, pods, snapshot)
        } catch {
            // Nobody may go while it is not known who is needed.
            status["disruptionsAllowed"] = 0
            DisruptionBudget.setCondition(
                of: &status, false, reason: "SyncFailed", message: error.message, now: context.now)
            if status == budget["status"] { return [] }
            tell(
                "Warning", "CalculateExpectedPodCountFailed",
                "Failed to calculate the number of expected pods: \(error.message)")
            return intents + [Self.update(budget, status)]
        }
        let evicted = Evicted(budget, pods, context.now)
        let healthy = pods.count {
            !$0.isTerminating && evicted.awaited[$0.name] == nil && PodFacts.isReady($0)
        }
        let spare = expectation.expected > 0 ? max(0, healthy - expectation.desired) : 0
        status["currentHealthy"] = .int(Int64(healthy))
        status["desiredHealthy"] = .int(Int64(expectation.desired))
        status["expectedPods"] = .int(Int64(expectation.expected))
        status["disruptionsAllowed"] = .int(Int64(spare))
        status["disruptedPods"] = nil
        if !evicted.awaited.members.isEmpty { status["disruptedPods"] = evicted.awaited }
        status["observedGeneration"] = .int(Int64(budget.generation))
        DisruptionBudget.setCondition(of: &status, now: context.now)
        if let seconds = evicted.nextLook { intents.append(.requeue(key, afterMilliseconds: seconds * 1000)) }
        if status == budget["status"] { return intents }
        if pods.isEmpty { tell("Normal", "NoPods", "No matching pods found") }
        if !expectation.unmanaged.isEmpty {
            tell(
                "Warning", "UnmanagedPods",
                "Pods selected by this PodDisruptionBudget are managed by nobody, so that the number of expected pods "
                    + "is too low: set .spec.minAvailable to a number, which needs no such count")
        }
        for pod in evicted.overdue {
            intents.append(
                .event(
                    about: ObjectKey(.pod, namespace: pod.namespace, name: pod.name), uid: pod.uid, type: "Warning",
                    reason: "NotDeleted",
                    message: "Pod was expected by PDB \(key.namespace)/\(key.name) to be deleted but it wasn't"))
        }
        return intents + [Self.update(budget, status)]
    }

    private static func update(_ budget: JSON, _ status: JSON) -> Intent {
        var changed = budget
        changed["status"] = status
        return .updateStatus(.disruptionBudget, changed)
    }
}

/// How many pods there should be, and how many of them must be healthy.
private struct Expectation {
    /// Why the number of pods is not known.
    struct Unknown: Error {
        var message: String
    }

    var expected: Int
    var desired: Int
    /// Pods that no controller has made.
    var unmanaged: [JSON] = []

    init(_ budget: JSON, _ pods: [JSON], _ snapshot: Snapshot) throws(Unknown) {
        let (most, least) = (Self.given(budget["spec", "maxUnavailable"]), Self.given(budget["spec", "minAvailable"]))
        if most == nil, let number = least?.int {
            (expected, desired) = (pods.count, number)
            return
        }
        (expected, desired) = (0, 0)
        guard let bound = most ?? least else { return }
        var seen: Set<String> = []
        for pod in pods {
            guard let owner = pod.controllerReference else {
                unmanaged.append(pod)
                continue
            }
            if seen.insert(owner["uid"]?.string ?? "").inserted { expected += try Self.scale(owner, pod, snapshot) }
        }
        let part = Portion.of(expected, bound, roundingUp: true)
        desired = most == nil ? part : max(0, expected - part)
    }

    private static func given(_ value: JSON?) -> JSON? { value == .null ? nil : value }

    private static let scaled: [ResourceKind] = [.replicaSet, .statefulSet, .replicationController]

    /// How many pods the owner of a pod should have: of a Deployment's ReplicaSets, the Deployment says it.
    private static func scale(_ owner: JSON, _ pod: JSON, _ snapshot: Snapshot) throws(Unknown) -> Int {
        let (kindName, uid) = (owner["kind"]?.string ?? "", owner["uid"]?.string)
        guard let kind = Self.scaled.first(where: { $0.kind == kindName }) else {
            throw Unknown(message: "\(kindName) \"\(owner["name"]?.string ?? "")\" has no scale to count pods by")
        }
        guard let set = snapshot.get(kind, namespace: pod.namespace, name: owner["name"]?.string ?? ""), set.uid == uid
        else { throw Unknown(message: "found no controllers for pod \"\(pod.name)\"") }
        if kind == .replicaSet, let key = Owner.key(of: set, kind: .deployment), let deployment = snapshot.get(key) {
            return deployment["spec", "replicas"]?.int ?? 1
        }
        return set["spec", "replicas"]?.int ?? 1
    }
}

/// The pods whose eviction a budget has paid for and that nobody has begun to end yet.
private struct Evicted {
    /// The names, with the times of the evictions.
    var awaited: JSON = [:]
    /// Those for which that took too long: they count again.
    var overdue: [JSON] = []
    /// Seconds until the next one is overdue.
    var nextLook: Int?

    init(_ budget: JSON, _ pods: [JSON], _ now: WallTime) {
        let times = budget["status", "disruptedPods"] ?? [:]
        for pod in pods where !pod.isTerminating {
            guard let time = times[pod.name], let since = WallTime(rfc3339: time.string ?? "") else { continue }
            let left = (since + DisruptionBudget.deletionTimeout).seconds - now.seconds
            if left < 0 {
                overdue.append(pod)
            } else {
                awaited[pod.name] = time
                nextLook = min(nextLook ?? .max, Int(left) + 1)
            }
        }
    }
}
