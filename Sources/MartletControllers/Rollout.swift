internal import MartletObject

/// One Deployment with its ReplicaSets, and the wishes that one look at it gives rise to.
struct Rollout {
    let deployment: JSON
    let key: ObjectKey
    let pods: [JSON]
    /// The ReplicaSet of today's template.
    private(set) var current: JSON?
    /// All others, oldest first.
    private(set) var old: [JSON]
    private(set) var intents: [Intent] = []

    var wanted: Int { deployment["spec", "replicas"]?.int ?? 1 }
    var isPaused: Bool { deployment["spec", "paused"]?.bool ?? false }
    var isRecreate: Bool { deployment["spec", "strategy", "type"]?.string == "Recreate" }
    var limits: RollingLimits { RollingLimits(deployment, replicas: wanted) }

    init(_ deployment: JSON, _ key: ObjectKey, _ snapshot: Snapshot) {
        self.deployment = deployment
        self.key = key
        let sets = snapshot.controlled(.replicaSet, namespace: key.namespace, by: deployment.uid)
            .filter { !$0.isTerminating }
            .sorted {
                ($0["metadata", "creationTimestamp"]?.string ?? "", $0.name)
                    < ($1["metadata", "creationTimestamp"]?.string ?? "", $1.name)
            }
        let template = Self.plain(deployment["spec", "template"])
        current = sets.first { Self.plain($0["spec", "template"]) == template }
        let currentUID = current?.uid
        old = sets.filter { $0.uid != currentUID }
        let uids = Set(sets.map(\.uid))
        pods = snapshot.list(.pod, namespace: key.namespace).filter {
            $0.controllerReference?["uid"]?.string.map(uids.contains) ?? false
        }
    }

    /// A template without the label that tells ReplicaSets apart: what makes two templates the same.
    private static func plain(_ template: JSON?) -> JSON {
        var template = template ?? .null
        template["metadata", "labels", DeploymentController.hashLabel] = nil
        return template
    }

    // MARK: The current ReplicaSet

    /// Wishes for a ReplicaSet of today's template.
    mutating func makeCurrent() {
        let template = deployment["spec", "template"] ?? .null
        let hash = TemplateHash.of(template, collisions: deployment["status", "collisionCount"]?.int)
        var labeled = template
        labeled["metadata", "labels", DeploymentController.hashLabel] = .string(hash)
        var selector = deployment["spec", "selector"] ?? [:]
        selector["matchLabels", DeploymentController.hashLabel] = .string(hash)
        var set: JSON = ["apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": [:], "spec": [:]]
        set["metadata", "name"] = .string("\(deployment.name)-\(hash)")
        set["metadata", "namespace"] = .string(deployment.namespace)
        set["metadata", "labels"] = labeled["metadata", "labels"]
        set["metadata", "annotations"] = annotations(revision: lastRevision + 1)
        set["metadata", "ownerReferences"] = [Owner.reference(to: deployment, kind: .deployment)]
        let count = isRecreate && !old.allSatisfy { replicas($0) == 0 } ? 0 : newCount(now: 0)
        set["spec", "replicas"] = .int(Int64(count))
        set["spec", "minReadySeconds"] = deployment["spec", "minReadySeconds"]
        set["spec", "selector"] = selector
        set["spec", "template"] = labeled
        intents.append(.create(.replicaSet, set))
        if count > 0 { tell("Scaled up replica set \(set.name) from 0 to \(count)") }
    }

    private var lastRevision: Int { (old + [current].compactMap(\.self)).map(revision).max() ?? 0 }

    private func revision(_ set: JSON) -> Int {
        set.annotations[DeploymentController.revisionAnnotation].flatMap { Int($0) } ?? 0
    }

    private func annotations(revision: Int) -> JSON {
        var annotations = deployment.annotations
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = nil
        annotations[DeploymentController.revisionAnnotation] = String(revision)
        annotations[DeploymentController.desiredAnnotation] = String(wanted)
        annotations[DeploymentController.maximumAnnotation] = String(wanted + limits.surge)
        return JSON(annotations)
    }

    /// Gives the current ReplicaSet the newest revision (a rolled back one gets a new number) and tells the
    /// Deployment of it.
    mutating func annotateRevision() {
        guard var set = current else { return }
        let newest = old.map(revision).max() ?? 0
        let revision = max(revision(set), newest + 1)
        let wished = annotations(revision: revision)
        if set["metadata", "annotations"] != wished {
            set["metadata", "annotations"] = wished
            current = set
            intents.append(.update(.replicaSet, set))
        }
        if deployment.annotations[DeploymentController.revisionAnnotation] != String(revision) {
            var changed = deployment
            changed["metadata", "annotations", DeploymentController.revisionAnnotation] = .string(String(revision))
            intents.append(.update(.deployment, changed))
        }
    }

    // MARK: Scaling

    private func replicas(_ set: JSON) -> Int { set["spec", "replicas"]?.int ?? 1 }
    private func observed(_ set: JSON) -> Int { set["status", "replicas"]?.int ?? 0 }
    private func available(_ set: JSON) -> Int { set["status", "availableReplicas"]?.int ?? 0 }

    /// How many replicas the current set may have while the old ones still have theirs.
    private func newCount(now: Int) -> Int {
        if isRecreate { return wanted }
        let room = wanted + limits.surge - old.reduce(0) { $0 + replicas($1) } - now
        return room <= 0 ? now : min(wanted, now + room)
    }

    private mutating func scale(_ set: JSON, to count: Int) {
        let before = replicas(set)
        guard before != count else { return }
        // A wish of this look (new annotations) is kept: the same object is replaced once.
        var changed = set
        changed["spec", "replicas"] = .int(Int64(count))
        intents.removeAll { if case .update(.replicaSet, let object) = $0 { object.uid == set.uid } else { false } }
        intents.append(.update(.replicaSet, changed))
        if current?.uid == set.uid { current = changed }
        let verb = before < count ? "up" : "down"
        tell("Scaled \(verb) replica set \(set.name) from \(before) to \(count)")
    }

    private mutating func tell(_ message: String) {
        intents.append(
            .event(about: key, uid: deployment.uid, type: "Normal", reason: "ScalingReplicaSet", message: message))
    }

    /// Up by what the surge allows, down by what is available beyond the minimum.
    mutating func roll() {
        guard let set = current else { return }
        let now = replicas(set)
        if isPaused {
            if old.allSatisfy({ replicas($0) == 0 }) { scale(set, to: wanted) }
            return
        }
        if now > wanted { scale(set, to: wanted) } else if now < wanted { scale(set, to: newCount(now: now)) }
        guard old.contains(where: { replicas($0) > 0 }) else { return }
        let minimum = wanted - limits.unavailable
        let total = now + old.reduce(0) { $0 + replicas($1) }
        var spare = total - minimum - max(0, now - available(set))
        guard spare > 0 else { return }
        // Replicas that do not work are no loss: they go first, whatever is available.
        for (index, set) in old.enumerated() where replicas(set) > 0 && spare > 0 {
            let broken = max(0, min(replicas(set), observed(set)) - available(set))
            let drop = min(spare, broken)
            guard drop > 0 else { continue }
            scaleOld(index, by: drop)
            spare -= drop
        }
        spare = min(spare, available(set) + old.reduce(0) { $0 + available($1) } - minimum)
        for (index, set) in old.enumerated() where spare > 0 && replicas(set) > 0 {
            let drop = min(spare, replicas(set))
            scaleOld(index, by: drop)
            spare -= drop
        }
    }

    private mutating func scaleOld(_ index: Int, by drop: Int) {
        let set = old[index]
        scale(set, to: replicas(set) - drop)
        old[index]["spec", "replicas"] = .int(Int64(replicas(set) - drop))
    }

    /// All old pods go before a new one comes.
    mutating func recreate() {
        for set in old where replicas(set) > 0 { scale(set, to: 0) }
        guard let set = current else { return }
        let oldUIDs = Set(old.map(\.uid))
        let oldPodsRun = pods.contains {
            oldUIDs.contains($0.controllerReference?["uid"]?.string ?? "")
                && !["Succeeded", "Failed"].contains($0["status", "phase"]?.string ?? "")
        }
        if !oldPodsRun { scale(set, to: wanted) }
    }

    /// Deletes the oldest idle ReplicaSets beyond the history limit.
    mutating func forgetHistory() {
        let limit = deployment["spec", "revisionHistoryLimit"]?.int ?? 10
        let idle = old.filter { replicas($0) == 0 && observed($0) == 0 }.sorted { revision($0) < revision($1) }
        for set in idle.prefix(max(0, idle.count - limit)) {
            intents.append(
                .delete(ObjectKey(.replicaSet, namespace: set.namespace, name: set.name), uid: set.uid))
        }
    }

    // MARK: Status

    mutating func updateStatus(_ context: ControllerContext) {
        let status = RolloutStatus(
            deployment: deployment, current: current, old: old, wanted: wanted,
            minimum: wanted - (isRecreate ? wanted : limits.unavailable))
        let wished = status.json(now: context.now)
        if let wait = status.secondsToDeadline(wished, now: context.now) {
            intents.append(.requeue(key, afterMilliseconds: wait * 1000))
        }
        guard wished != deployment["status"] else { return }
        var changed = deployment
        changed["status"] = wished
        intents.append(.updateStatus(.deployment, changed))
    }
}
