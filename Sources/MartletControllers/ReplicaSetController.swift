public import MartletObject

/// Keeps as many pods as a ReplicaSet asks for (kube-controller-manager's replicaset controller).
public struct ReplicaSetController: Controller {
    /// `replicaset-controller`
    public let name = "replicaset-controller"
    /// ReplicaSets and pods.
    public let kinds: [ResourceKind] = [.replicaSet, .pod]
    /// How many pods are made or deleted in one go; the rest follows when these are seen.
    static let burst = 500

    /// A controller; it holds nothing.
    public init() {}

    /// A changed ReplicaSet itself; of a changed pod the ReplicaSet that owns it, or could adopt it.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .replicaSet { return [ObjectKey(kind, namespace: object.namespace, name: object.name)] }
        if object.controllerReference != nil { return [Owner.key(of: object, kind: .replicaSet)].compactMap(\.self) }
        return snapshot.list(.replicaSet, namespace: object.namespace).filter { Self.selects($0, object) }
            .map { ObjectKey(.replicaSet, namespace: $0.namespace, name: $0.name) }
    }

    /// Adopts, makes or deletes pods, and brings the status up to date.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let set = snapshot.get(key), !set.isTerminating else { return [] }
        let pods = snapshot.list(.pod, namespace: key.namespace)
        let orphans = pods.filter { $0.controllerReference == nil && PodFacts.isActive($0) && Self.selects(set, $0) }
        let mine = pods.filter { $0.controllerReference?["uid"]?.string == set.uid && PodFacts.isActive($0) }
        var intents = orphans.map { orphan in
            var adopted = orphan
            let references = adopted["metadata", "ownerReferences"]?.array ?? []
            adopted["metadata", "ownerReferences"] = .array(references + [Owner.reference(to: set, kind: .replicaSet)])
            return Intent.update(.pod, adopted)
        }
        let wanted = set["spec", "replicas"]?.int ?? 1
        let missing = wanted - mine.count - orphans.count
        if missing > 0 {
            for _ in 0..<min(missing, Self.burst) { intents += create(for: set, key, &context) }
        } else if missing < 0 {
            intents += delete(min(-missing, Self.burst), of: mine, in: set, key)
        }
        intents += status(of: set, key, pods: mine, context)
        return intents
    }

    static func selects(_ set: JSON, _ pod: JSON) -> Bool {
        guard let selector = try? LabelSelector(object: set["spec", "selector"] ?? .null) else { return false }
        return selector.matches(pod.labels)
    }

    private func create(for set: JSON, _ key: ObjectKey, _ context: inout ControllerContext) -> [Intent] {
        let template = set["spec", "template"] ?? .null
        let podName = context.generateName(String(set.name.prefix(58)) + "-")
        var pod: JSON = [
            "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] ?? [:],
            "spec": template["spec"] ?? [:],
        ]
        pod["metadata", "name"] = .string(podName)
        pod["metadata", "generateName"] = .string(set.name + "-")
        pod["metadata", "namespace"] = .string(set.namespace)
        pod["metadata", "ownerReferences"] = [Owner.reference(to: set, kind: .replicaSet)]
        return [
            .create(.pod, pod),
            .event(
                about: key, uid: set.uid, type: "Normal", reason: "SuccessfulCreate", message: "Created pod: \(podName)"
            ),
        ]
    }

    /// Deletes those first that are worth least: unbound, not running, not ready, youngest
    /// (kubernetes/pkg/controller ActivePodsWithRanks).
    private func delete(_ count: Int, of pods: [JSON], in set: JSON, _ key: ObjectKey) -> [Intent] {
        func rank(_ pod: JSON) -> (Int, Int, Int, Int) {
            let isBound = pod["spec", "nodeName"]?.string?.isEmpty == false
            let phase = ["Pending": 0, "Unknown": 1, "Running": 2][pod["status", "phase"]?.string ?? "Pending"] ?? 0
            let cost = pod.annotations["controller.kubernetes.io/pod-deletion-cost"].flatMap { Int($0) } ?? 0
            return (isBound ? 1 : 0, phase, PodFacts.isReady(pod) ? 1 : 0, cost)
        }
        func created(_ pod: JSON) -> String { pod["metadata", "creationTimestamp"]?.string ?? "" }
        let sorted = pods.map { (rank($0), $0) }.sorted { a, b in
            if a.0 != b.0 { return a.0 < b.0 }
            return (created(b.1), b.1.name) < (created(a.1), a.1.name)
        }
        return sorted.prefix(count).flatMap { _, pod -> [Intent] in
            let podKey = ObjectKey(.pod, namespace: pod.namespace, name: pod.name)
            return [
                .delete(podKey, uid: pod.uid),
                .event(
                    about: key, uid: set.uid, type: "Normal", reason: "SuccessfulDelete",
                    message: "Deleted pod: \(pod.name)"),
            ]
        }
    }

    private func status(of set: JSON, _ key: ObjectKey, pods: [JSON], _ context: ControllerContext) -> [Intent] {
        let templateLabels = set["spec", "template", "metadata", "labels"]?.stringMap ?? [:]
        let minReady = set["spec", "minReadySeconds"]?.int ?? 0
        var ready = 0
        var available = 0
        var labeled = 0
        var soonest: Int?
        for pod in pods {
            let labels = pod.labels
            if templateLabels.allSatisfy({ labels[$0.key] == $0.value }) { labeled += 1 }
            guard let wait = PodFacts.secondsToAvailable(pod, minReadySeconds: minReady, now: context.now) else {
                continue
            }
            ready += 1
            if wait == 0 { available += 1 } else { soonest = min(soonest ?? wait, wait) }
        }
        var status: JSON = set["status"] ?? [:]
        status["replicas"] = .int(Int64(pods.count))
        status["fullyLabeledReplicas"] = labeled > 0 ? .int(Int64(labeled)) : nil
        status["readyReplicas"] = ready > 0 ? .int(Int64(ready)) : nil
        status["availableReplicas"] = available > 0 ? .int(Int64(available)) : nil
        status["observedGeneration"] = .int(Int64(set.generation))
        var intents: [Intent] = []
        if let soonest { intents.append(.requeue(key, afterMilliseconds: soonest * 1000)) }
        guard status != set["status"] else { return intents }
        var changed = set
        changed["status"] = status
        return intents + [.updateStatus(.replicaSet, changed)]
    }
}
