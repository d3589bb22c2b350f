internal import MartletBase
public import MartletObject

/// Empties a namespace that is being deleted, then lets it go (kube-controller-manager's namespace controller).
public struct NamespaceController: Controller {
    /// `namespace-controller`
    public let name = "namespace-controller"
    /// Every kind: an object that goes may be the last one.
    public let kinds: [ResourceKind] = ResourceKind.all.filter(\.isHome)
    /// Custom objects live in namespaces.
    public let followsCustomKinds = true
    /// Deletions in one go.
    static let burst = 500

    /// A controller; it holds nothing.
    public init() {}

    /// Of what lives in a namespace it counts finalizers only.
    public func needsWhole(_ object: JSON, of kind: ResourceKind) -> Bool { kind == .namespace }

    /// The namespace itself, or the terminating one that the object lives in.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        let name = kind == .namespace ? object.name : object.namespace
        guard !name.isEmpty, snapshot.get(.namespace, name: name)?.isTerminating == true else { return [] }
        return [ObjectKey(.namespace, namespace: "", name: name)]
    }

    /// Deletes what is left and says so in the namespace's conditions; when nothing is left, takes the finalizer away.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard var namespace = snapshot.get(key), namespace.isTerminating,
            namespace["spec", "finalizers"]?.array?.contains("kubernetes") == true
        else { return [] }
        var left = NamespaceContent()
        var intents: [Intent] = []
        for kind in snapshot.catalog.kinds where kind.isNamespaced && kind.isHome {
            for object in snapshot.list(kind, namespace: key.name) {
                left.add(object, kind)
                guard !object.isTerminating, intents.count < Self.burst else { continue }
                intents.append(
                    .delete(ObjectKey(kind, namespace: object.namespace, name: object.name), uid: object.uid))
            }
        }
        if left.isEmpty {
            let finalizers = (namespace["spec", "finalizers"]?.array ?? []).filter { $0 != "kubernetes" }
            namespace["spec", "finalizers"] = .array(finalizers)
            return [.finalizeNamespace(namespace)]
        }
        let told = left.told(in: namespace, now: context.now)
        if told != namespace { intents.append(.updateStatus(.namespace, told)) }
        // Pods leave when their node says so; a look later covers a change that was missed.
        return intents + [.requeue(key, afterMilliseconds: 5000)]
    }
}

/// What is left in a namespace that is being deleted.
struct NamespaceContent {
    /// How many objects there are of each resource.
    private var counts: [String: Int] = [:]
    /// How many objects each finalizer holds.
    private var finalizers: [String: Int] = [:]

    var isEmpty: Bool { counts.isEmpty }

    mutating func add(_ object: JSON, _ kind: ResourceKind) {
        // Upstream's name of a resource of the core group ends in a dot.
        counts["\(kind.plural).\(kind.group)", default: 0] += 1
        for finalizer in object["metadata", "finalizers"]?.array ?? [] {
            finalizers[finalizer.string ?? "", default: 0] += 1
        }
    }

    /// The namespace with conditions that say what is left. Their times stay where nothing else has changed.
    func told(in namespace: JSON, now: WallTime) -> JSON {
        func list(_ counts: [String: Int], _ what: String) -> String {
            counts.sorted { $0.key < $1.key }.map { "\($0.key) \(what) \($0.value) resource instances" }
                .joined(separator: ", ")
        }
        let rows: [(type: String, isTrue: Bool, reason: String, message: String)] = [
            (
                "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
                "All resources successfully discovered"
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
                "All legacy kube types successfully parsed"
            ),
            (
                "NamespaceDeletionContentFailure", false, "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization"
            ),
            (
                "NamespaceContentRemaining", true, "SomeResourcesRemain",
                "Some resources are remaining: \(list(counts, "has"))"
            ),
            finalizers.isEmpty
                ? (
                    "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
                    "All content-preserving finalizers finished"
                )
                : (
                    "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                    "Some content in the namespace has finalizers remaining: \(list(finalizers, "in"))"
                ),
        ]
        var told = namespace
        var conditions = namespace["status", "conditions"]?.array ?? []
        for row in rows {
            let place = conditions.firstIndex { $0["type"]?.string == row.type }
            let old = place.map { conditions[$0] }
            let status: JSON = row.isTrue ? "True" : "False"
            let isSame = old?["status"] == status && old?["message"]?.string == row.message
            let condition: JSON = [
                "type": .string(row.type), "status": status,
                "lastTransitionTime": isSame ? old?["lastTransitionTime"] ?? .null : .string(now.rfc3339),
                "reason": .string(row.reason), "message": .string(row.message),
            ]
            if let place { conditions[place] = condition } else { conditions.append(condition) }
        }
        told["status", "conditions"] = .array(conditions)
        return told
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
