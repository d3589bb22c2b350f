internal import MartletBase
public import MartletObject

/// Says of nodes that have gone silent that nobody knows how they are, takes their pods out of service, and taints
/// nodes that are not ready (kube-controller-manager's node lifecycle controller).
///
/// A node is silent when its Lease has not been renewed for ``graceSeconds`` as this controller sees it: no clock but
/// one is read, and a new leader gives every node its time. Taints that end pods come slowly, and when most nodes of a
/// zone are gone, not at all: then it is rather the network that fails.
public struct NodeLifecycleController: Controller {
    /// `node-controller`
    public let name = "node-controller"
    /// Nodes, their Leases, and the pods on silent nodes.
    public let kinds: [ResourceKind] = [.node, .lease, .pod]
    /// How long a Lease may go without renewal (`--node-monitor-grace-period`).
    static let graceSeconds: Int64 = 40
    static let leaseNamespace = "kube-node-lease"

    /// A controller; it holds nothing.
    public init() {}

    /// The node, or the node of the Lease or pod; after a change of a node also those that are in trouble, because
    /// what becomes of one hangs on how many there are.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        switch kind {
        case .lease: return object.namespace == Self.leaseNamespace ? [Self.key(object.name)] : []
        case .pod:
            // Only what an agent says too late is put right.
            guard PodFacts.isReady(object), let node = object["spec", "nodeName"]?.string,
                snapshot.get(Self.key(node)).map({ NodeFacts.ready($0) == "Unknown" }) ?? false
            else { return [] }
            return [Self.key(node)]
        default:
            let troubled = snapshot.list(.node).filter {
                $0.name != object.name && (!NodeFacts.isReady($0) || NodeFacts.hasOwnTaint($0, Taint.noExecute))
            }
            return [Self.key(object.name)] + troubled.map { Self.key($0.name) }
        }
    }

    private static func key(_ name: String) -> ObjectKey { ObjectKey(.node, namespace: "", name: name) }

    /// Turns conditions to Unknown when the Lease has run out, and does what follows from the Ready condition.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard var node = snapshot.get(key) else { return [] }
        var intents: [Intent] = []
        let left = secondsLeft(node, snapshot, context.now)
        if left > 0 {
            intents.append(.requeue(key, afterMilliseconds: Int(left) * 1000 + 500))
        } else {
            let silent = Self.silenced(node, context.now)
            if silent["status"] != node["status"] {
                intents.append(.updateStatus(.node, silent))
                intents.append(
                    .event(
                        about: key, uid: node.uid, type: "Normal", reason: "NodeNotReady",
                        message: "Node \(node.name) status is now: NodeNotReady"))
                // The taints are set at the next look, which this change brings about.
                return Self.unreadyPods(of: node, snapshot, context.now) + intents
            }
            node = silent
        }
        if NodeFacts.ready(node) == "Unknown" { intents = Self.unreadyPods(of: node, snapshot, context.now) + intents }
        let taints = NodeTaints(snapshot, now: context.now)
        let (wished, wait) = taints.wished(of: node)
        if let wait { intents.append(.requeue(key, afterMilliseconds: wait * 1000)) }
        if wished != node["spec", "taints"]?.array ?? [] {
            node["spec", "taints"] = wished.isEmpty ? nil : .array(wished)
            intents.append(.update(.node, node))
        }
        return intents
    }

    /// How long the node may still stay silent.
    private func secondsLeft(_ node: JSON, _ snapshot: Snapshot, _ now: WallTime) -> Int64 {
        let lease = ObjectKey(.lease, namespace: Self.leaseNamespace, name: node.name)
        let written = snapshot.get(lease)?["spec", "renewTime"] ?? node["metadata", "creationTimestamp"]
        let heard = snapshot.lastChange(of: lease) ?? written?.string.flatMap(WallTime.init(rfc3339:)) ?? now
        return heard.seconds + Self.graceSeconds - now.seconds
    }

    private static func silenced(_ node: JSON, _ now: WallTime) -> JSON {
        var node = node
        var conditions = (node["status", "conditions"]?.array ?? []).map { condition -> JSON in
            guard condition["status"]?.string != "Unknown" else { return condition }
            var condition = condition
            condition["status"] = "Unknown"
            condition["reason"] = "NodeStatusUnknown"
            condition["message"] = "Kubelet stopped posting node status."
            condition["lastTransitionTime"] = .string(now.rfc3339)
            return condition
        }
        if NodeFacts.ready(node) == nil {
            conditions.append([
                "type": "Ready", "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.", "lastTransitionTime": .string(now.rfc3339),
            ])
        }
        node["status", "conditions"] = .array(conditions)
        return node
    }

    /// Pods on a silent node are not ready, as far as anybody can tell: Services leave them out. That comes first; it
    /// is told afterwards.
    private static func unreadyPods(of node: JSON, _ snapshot: Snapshot, _ now: WallTime) -> [Intent] {
        let pods = snapshot.list(.pod).filter { $0["spec", "nodeName"]?.string == node.name && PodFacts.isReady($0) }
        let updates = pods.map { pod -> Intent in
            var pod = pod
            pod["status", "conditions"] = .array(
                (pod["status", "conditions"]?.array ?? []).map { condition in
                    guard condition["type"]?.string == "Ready" else { return condition }
                    var condition = condition
                    condition["status"] = "False"
                    condition["lastTransitionTime"] = .string(now.rfc3339)
                    return condition
                })
            return .updateStatus(.pod, pod)
        }
        let events = pods.map { pod -> Intent in
            .event(
                about: ObjectKey(.pod, namespace: pod.namespace, name: pod.name), uid: pod.uid, type: "Warning",
                reason: "NodeNotReady", message: "Node is not ready")
        }
        return updates + events
    }
}

/// What controllers read of nodes.
enum NodeFacts {
    static let notReady = "node.kubernetes.io/not-ready"
    static let unreachable = "node.kubernetes.io/unreachable"

    /// `True`, `False`, `Unknown`; nil when the node has never said it.
    static func ready(_ node: JSON) -> String? { PodFacts.condition("Ready", of: node)?["status"]?.string }
    static func isReady(_ node: JSON) -> Bool { ready(node) == "True" }

    /// Whether the node has one of the lifecycle controller's taints with that effect.
    static func hasOwnTaint(_ node: JSON, _ effect: String) -> Bool { ownTaint(node, effect) != nil }

    static func ownTaint(_ node: JSON, _ effect: String) -> Taint? {
        (node["spec", "taints"]?.array ?? []).lazy.map(Taint.init).first { isOwn($0) && $0.effect == effect }
    }

    static func isOwn(_ taint: Taint) -> Bool { taint.key == notReady || taint.key == unreachable }

    /// Nodes of one zone fail together.
    static func zone(_ node: JSON) -> String {
        let labels = node.labels
        return (labels["topology.kubernetes.io/region"] ?? "") + "\0" + (labels["topology.kubernetes.io/zone"] ?? "")
    }
}

/// Taints that keep new pods away while a node is short of something, or cordoned (KEP-382, taint nodes by condition).
enum ConditionTaints {
    private static let byCondition = [
        ("MemoryPressure", "node.kubernetes.io/memory-pressure"), ("DiskPressure", "node.kubernetes.io/disk-pressure"),
        ("PIDPressure", "node.kubernetes.io/pid-pressure"),
        ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
    ]
    private static let unschedulable = "node.kubernetes.io/unschedulable"
    private static let all = Set(byCondition.map(\.1) + [unschedulable])

    /// The taints with those of the node's conditions, and without those of conditions that have passed.
    static func settle(_ taints: [JSON], of node: JSON) -> [JSON] {
        var wished = byCondition.filter { PodFacts.condition($0.0, of: node)?["status"]?.string == "True" }.map(\.1)
        if node["spec", "unschedulable"] == true { wished.append(unschedulable) }
        func isOwn(_ taint: Taint) -> Bool { all.contains(taint.key) && taint.effect == Taint.noSchedule }
        let kept = taints.filter { json in
            let taint = Taint(json)
            return !isOwn(taint) || wished.contains(taint.key)
        }
        let there = Set(kept.map(Taint.init).filter(isOwn).map(\.key))
        return kept + wished.filter { !there.contains($0) }.map { ["key": .string($0), "effect": "NoSchedule"] }
    }
}

/// Which taints follow from how nodes are, with upstream's rates and limits (node_lifecycle_controller.go).
struct NodeTaints {
    /// One node in so many seconds gets the taint that ends pods (`--node-eviction-rate` 0.1).
    static let secondsBetween: Int64 = 10
    /// As above, while most nodes of a large zone are not ready (`--secondary-node-eviction-rate` 0.01).
    static let secondsBetweenInTrouble: Int64 = 100
    /// A zone with more nodes is large (`--large-cluster-size-threshold`).
    static let largeZone = 50
    /// From this share of unready nodes on, in hundredths, a zone is in trouble (`--unhealthy-zone-threshold`), when
    /// there are more than two of them.
    static let troublePercent = 55

    private let nodes: [JSON]
    private let now: WallTime

    init(_ snapshot: Snapshot, now: WallTime) {
        nodes = snapshot.list(.node)
        self.now = now
    }

    /// What becomes of pods on unready nodes of a zone.
    private enum Mode {
        /// At most one node in so many seconds.
        case every(Int64)
        /// No further node.
        case halt
        /// All nodes are gone, in every zone: none of them is blamed.
        case pardon
    }

    private func mode(of zone: String) -> Mode {
        if !nodes.contains(where: NodeFacts.isReady) { return .pardon }
        let members = nodes.filter { NodeFacts.zone($0) == zone }
        let unready = members.count { !NodeFacts.isReady($0) }
        guard unready > 2, unready < members.count, unready * 100 >= members.count * Self.troublePercent else {
            return .every(Self.secondsBetween)
        }
        return members.count > Self.largeZone ? .every(Self.secondsBetweenInTrouble) : .halt
    }

    /// The node's taints as they should be, and after how many seconds to look again, when it has to wait for its turn.
    func wished(of node: JSON) -> (taints: [JSON], wait: Int?) {
        let ready = NodeFacts.ready(node)
        let key = ready == "True" ? nil : ready == "Unknown" ? NodeFacts.unreachable : NodeFacts.notReady
        let before = node["spec", "taints"]?.array ?? []
        var taints = ConditionTaints.settle(before.map(dated), of: node).filter { json in
            let taint = Taint(json)
            return !NodeFacts.isOwn(taint) || taint.key == key
        }
        guard let key else { return (taints, nil) }
        func has(_ effect: String) -> Bool {
            taints.lazy.map(Taint.init).contains { $0.key == key && $0.effect == effect }
        }
        if !has(Taint.noSchedule) { taints.append(["key": .string(key), "effect": "NoSchedule"]) }
        let zone = NodeFacts.zone(node)
        var wait: Int?
        switch mode(of: zone) {
        case .pardon: taints.removeAll { NodeFacts.isOwn(Taint($0)) && Taint($0).effect == Taint.noExecute }
        case .halt: break
        case .every(let seconds):
            if has(Taint.noExecute) { break }
            // One taint takes the other's place: the pods' time runs on.
            let other = NodeFacts.ownTaint(node, Taint.noExecute)
            let left = other == nil ? (lastTaint(in: zone, but: node.name).map { $0 + seconds - now.seconds } ?? 0) : 0
            if left > 0 {
                wait = Int(left)
            } else {
                taints.append([
                    "key": .string(key), "effect": "NoExecute",
                    "timeAdded": .string(other?.timeAdded ?? now.rfc3339),
                ])
            }
        }
        return (taints, wait)
    }

    /// Since when a taint is there that ends pods is the time that pods' tolerations are counted from.
    private func dated(_ taint: JSON) -> JSON {
        guard taint["effect"]?.string == Taint.noExecute, taint["timeAdded"]?.string == nil else { return taint }
        var taint = taint
        taint["timeAdded"] = .string(now.rfc3339)
        return taint
    }

    private func lastTaint(in zone: String, but name: String) -> Int64? {
        nodes.filter { NodeFacts.zone($0) == zone && $0.name != name }
            .compactMap { NodeFacts.ownTaint($0, Taint.noExecute)?.timeAdded.flatMap(WallTime.init(rfc3339:))?.seconds }
            .max()
    }
}
