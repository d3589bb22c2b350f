internal import MartletBase
public import MartletObject

/// Empties a namespace that is being deleted, then lets it go (kube-controller-manager's namespace controller).
public struct NamespaceController: Controller {
    /// `namespace-controller`
    public let name = "namespace-controller"
    /// Every kind: an object that goes may be the last one.
    public let kinds: [ResourceKind] = ResourceKind.all.filter(\.isHome)
    /// Deletions in one go.
    static let burst = 500

    /// A controller; it holds nothing.
    public init() {}

    /// The namespace itself, or the terminating one that the object lives in.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        let name = kind == .namespace ? object.name : object.namespace
        guard !name.isEmpty, snapshot.get(.namespace, name: name)?.isTerminating == true else { return [] }
        return [ObjectKey(.namespace, namespace: "", name: name)]
    }

    /// Deletes what is left; when nothing is, takes the finalizer away.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard var namespace = snapshot.get(key), namespace.isTerminating,
            namespace["spec", "finalizers"]?.array?.contains("kubernetes") == true
        else { return [] }
        var left = 0
        var intents: [Intent] = []
        for kind in kinds where kind.isNamespaced {
            for object in snapshot.list(kind, namespace: key.name) {
                left += 1
                guard !object.isTerminating, intents.count < Self.burst else { continue }
                intents.append(
                    .delete(ObjectKey(kind, namespace: object.namespace, name: object.name), uid: object.uid))
            }
        }
        // Pods leave when their node says so; a look later covers a change that was missed.
        if left > 0 { return intents + [.requeue(key, afterMilliseconds: 5000)] }
        let finalizers = (namespace["spec", "finalizers"]?.array ?? []).filter { $0 != "kubernetes" }
        namespace["spec", "finalizers"] = .array(finalizers)
        return [.finalizeNamespace(namespace)]
    }
}

/// Gives every namespace its `default` ServiceAccount (kube-controller-manager's serviceaccount controller).
public struct ServiceAccountController: Controller {
    /// `serviceaccount-controller`
    public let name = "serviceaccount-controller"
    /// Namespaces and ServiceAccounts.
    public let kinds: [ResourceKind] = [.namespace, .serviceAccount]

    /// A controller; it holds nothing.
    public init() {}

    /// The namespace.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        [ObjectKey(.namespace, namespace: "", name: kind == .namespace ? object.name : object.namespace)]
    }

    /// Makes the account when it is missing.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let namespace = snapshot.get(key), !namespace.isTerminating,
            snapshot.get(.serviceAccount, namespace: key.name, name: "default") == nil
        else { return [] }
        return [
            .create(
                .serviceAccount,
                [
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "metadata": ["name": "default", "namespace": .string(key.name)],
                ])
        ]
    }
}

/// Deletes Events after an hour, as kube-apiserver's `--event-ttl` does, and the oldest above a bound.
public struct EventPruner: Controller {
    /// `event-pruner`
    public let name = "event-pruner"
    /// Events.
    public let kinds: [ResourceKind] = [.event]
    /// How long an Event is kept after it was last seen.
    static let lifetimeSeconds: Int64 = 3600

    /// A controller; it holds nothing.
    public init() {}

    /// The Event.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        [ObjectKey(.event, namespace: object.namespace, name: object.name)]
    }

    /// Deletes it, or looks again when its time has come.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let event = snapshot.get(key), !event.isTerminating else { return [] }
        let seen =
            [event["lastTimestamp"], event["eventTime"], event["metadata", "creationTimestamp"]].lazy
            .compactMap { $0?.string.flatMap(WallTime.init(rfc3339:)) }.first ?? context.now
        let left = seen.seconds + Self.lifetimeSeconds - context.now.seconds
        if left > 0 { return [.requeue(key, afterMilliseconds: Int(left) * 1000)] }
        return [.delete(key, uid: event.uid)]
    }
}
