internal import MartletBase
public import MartletObject

/// Ends pods on nodes with a taint of effect NoExecute that they do not tolerate, or not any longer
/// (kube-controller-manager's taint eviction controller).
public struct TaintEvictionController: Controller {
    /// `taint-eviction-controller`
    public let name = "taint-eviction-controller"
    /// Pods, and the nodes whose taints may end them.
    public let kinds: [ResourceKind] = [.pod, .node]

    /// A controller; it holds nothing.
    public init() {}

    /// The pod, or the pods of a node with such a taint.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .pod { return [ObjectKey(.pod, namespace: object.namespace, name: object.name)] }
        guard !Self.taints(of: object).isEmpty else { return [] }
        return snapshot.list(.pod).filter { $0["spec", "nodeName"]?.string == object.name }
            .map { ObjectKey(.pod, namespace: $0.namespace, name: $0.name) }
    }

    private static func taints(of node: JSON) -> [Taint] {
        (node["spec", "taints"]?.array ?? []).map(Taint.init).filter { $0.effect == Taint.noExecute }
    }

    /// Deletes the pod when its time on the node is over.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard var pod = snapshot.get(key), !pod.isTerminating, let name = pod["spec", "nodeName"]?.string,
            let node = snapshot.get(.node, name: name)
        else { return [] }
        let taints = Self.taints(of: node)
        guard !taints.isEmpty, let end = Self.end(of: pod, taints, context.now) else { return [] }
        let left = end - context.now.seconds
        if left > 0 { return [.requeue(key, afterMilliseconds: Int(left) * 1000)] }
        pod["status", "conditions"] = .array(
            Disruption.marked(
                pod, reason: "DeletionByTaintManager", message: "Taint manager: deleting due to NoExecute taint",
                at: context.now))
        return [
            .event(
                about: key, uid: pod.uid, type: "Normal", reason: "TaintManagerEviction",
                message: "Marking for deletion Pod \(key.namespace)/\(key.name)"),
            .updateStatus(.pod, pod), .delete(key, uid: pod.uid),
        ]
    }

    /// When the pod's time is over, in seconds since 1970; nil when it may stay. Each taint's time begins when that
    /// taint was added, and what ends first counts.
    private static func end(of pod: JSON, _ taints: [Taint], _ now: WallTime) -> Int64? {
        let tolerations = (pod["spec", "tolerations"]?.array ?? []).map(Toleration.init)
        var ends: [Int64] = []
        for taint in taints {
            guard let toleration = tolerations.first(where: { $0.tolerates(taint) }) else { return now.seconds }
            guard let seconds = toleration.seconds else { continue }
            let since = taint.timeAdded.flatMap(WallTime.init(rfc3339:))?.seconds ?? now.seconds
            ends.append(since.addingReportingOverflow(seconds).overflow ? .max : since + seconds)
        }
        return ends.min()
    }
}

/// The condition that tells why somebody ends a pod (core/v1 DisruptionTarget).
enum Disruption {
    static let type = "DisruptionTarget"

    /// The pod's conditions with it.
    static func marked(_ pod: JSON, reason: String, message: String, at now: WallTime) -> [JSON] {
        (pod["status", "conditions"]?.array ?? []).filter { $0["type"]?.string != type } + [
            [
                "type": .string(type), "status": "True", "reason": .string(reason), "message": .string(message),
                "lastTransitionTime": .string(now.rfc3339),
            ]
        ]
    }
}
