public import MartletObject

/// Rolls a Deployment's pods from one template to the next, by way of ReplicaSets (kube-controller-manager's
/// deployment controller).
public struct DeploymentController: Controller {
    /// `deployment-controller`
    public let name = "deployment-controller"
    /// Deployments, ReplicaSets, and pods (a Recreate waits until the old pods are gone).
    public let kinds: [ResourceKind] = [.deployment, .replicaSet, .pod]

    static let hashLabel = "pod-template-hash"
    static let revisionAnnotation = "deployment.kubernetes.io/revision"
    static let desiredAnnotation = "deployment.kubernetes.io/desired-replicas"
    static let maximumAnnotation = "deployment.kubernetes.io/max-replicas"

    /// A controller; it holds nothing.
    public init() {}

    /// A changed Deployment itself; of a changed ReplicaSet or pod the Deployment above it.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .deployment { return [ObjectKey(kind, namespace: object.namespace, name: object.name)] }
        if kind == .replicaSet { return [Owner.key(of: object, kind: .deployment)].compactMap(\.self) }
        guard let set = Owner.key(of: object, kind: .replicaSet).flatMap({ snapshot.get($0) }) else { return [] }
        return [Owner.key(of: set, kind: .deployment)].compactMap(\.self)
    }

    /// One step of the roll-out.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let deployment = snapshot.get(key), !deployment.isTerminating else { return [] }
        var rollout = Rollout(deployment, key, snapshot)
        if rollout.current == nil && !rollout.isPaused { rollout.makeCurrent() }
        rollout.annotateRevision()
        if rollout.isRecreate { rollout.recreate() } else { rollout.roll() }
        rollout.forgetHistory()
        rollout.updateStatus(context)
        return rollout.intents
    }
}

/// How far a Deployment may stray from its replica count while it rolls (DeploymentStrategy's rollingUpdate).
struct RollingLimits: Hashable {
    var surge: Int
    var unavailable: Int

    /// Percentages of `replicas`: surge rounds up, unavailable down, and they are never both zero.
    init(_ deployment: JSON, replicas: Int) {
        let strategy = deployment["spec", "strategy", "rollingUpdate"]
        surge = Portion.of(replicas, strategy?["maxSurge"] ?? "25%", roundingUp: true)
        unavailable = Portion.of(replicas, strategy?["maxUnavailable"] ?? "25%", roundingUp: false)
        if surge == 0 && unavailable == 0 { unavailable = 1 }
        unavailable = min(unavailable, replicas)
    }
}
