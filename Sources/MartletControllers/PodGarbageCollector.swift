internal import MartletBase
public import MartletObject

/// Removes pods that no agent will ever end: those of nodes that are gone, those that were deleted before they had a
/// node, and those of nodes that somebody has declared out of service (kube-controller-manager's pod garbage
/// collector).
public struct PodGarbageCollector: Controller {
    /// `pod-garbage-collector-controller`
    public let name = "pod-garbage-collector-controller"
    /// Pods and nodes.
    public let kinds: [ResourceKind] = [.pod, .node]
    /// News of a pod may be ahead of that of its node: a pod that has just changed is waited with for so long.
    static let quarantineSeconds: Int64 = 40
    static let outOfService = "node.kubernetes.io/out-of-service"

    /// A controller; it holds nothing.
    public init() {}

    /// The pod, or all pods of the node.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .pod { return [ObjectKey(.pod, namespace: object.namespace, name: object.name)] }
        let node = ObjectKey(.node, namespace: "", name: object.name)
        if let there = snapshot.get(node), !Self.isOutOfService(there) { return [] }
        return snapshot.list(.pod).filter { $0["spec", "nodeName"]?.string == object.name }
            .map { ObjectKey(.pod, namespace: $0.namespace, name: $0.name) }
    }

    private static func isOutOfService(_ node: JSON) -> Bool {
        (node["spec", "taints"]?.array ?? []).contains { $0["key"]?.string == outOfService }
    }

    /// Removes the pod at once when nobody else will.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let pod = snapshot.get(key) else { return [] }
        guard let name = pod["spec", "nodeName"]?.string, !name.isEmpty else {
            return pod.isTerminating ? [.discard(key, uid: pod.uid)] : []
        }
        guard let node = snapshot.get(.node, name: name) else {
            let left = (snapshot.lastChange(of: key)?.seconds ?? 0) + Self.quarantineSeconds - context.now.seconds
            if left > 0 { return [.requeue(key, afterMilliseconds: Int(left) * 1000 + 500)] }
            return Self.failed(pod, "PodGC: node no longer exists", context.now) + [.discard(key, uid: pod.uid)]
        }
        guard pod.isTerminating, Self.isOutOfService(node), !NodeFacts.isReady(node) else { return [] }
        return Self.failed(pod, "PodGC: node is out of service", context.now) + [.discard(key, uid: pod.uid)]
    }

    private static func failed(_ pod: JSON, _ message: String, _ now: WallTime) -> [Intent] {
        guard !["Succeeded", "Failed"].contains(pod["status", "phase"]?.string ?? "") else { return [] }
        var pod = pod
        pod["status", "phase"] = "Failed"
        pod["status", "conditions"] = .array(
            Disruption.marked(pod, reason: "DeletionByPodGC", message: message, at: now))
        return [.updateStatus(.pod, pod)]
    }
}
