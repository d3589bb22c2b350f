public import MartletObject

/// Deletes objects whose owners are gone, and carries out foreground and orphan deletion
/// (kube-controller-manager's garbage collector).
public struct GarbageCollector: Controller {
    /// `generic-garbage-collector`
    public let name = "generic-garbage-collector"
    /// Every kind.
    public let kinds: [ResourceKind] = ResourceKind.all.filter(\.isHome)
    /// Custom objects own and are owned.
    public let followsCustomKinds = true

    static let foreground: JSON = "foregroundDeletion"
    static let orphan: JSON = "orphan"

    /// A controller; it holds nothing.
    public init() {}

    /// It goes by owners, finalizers and deletion alone.
    public func needsWhole(_ object: JSON, of kind: ResourceKind) -> Bool { false }

    /// The object and its owners; and when it has gone or is going, what it owns.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        var keys: [ObjectKey] = []
        let owners = Self.owners(of: object, in: snapshot)
        if !owners.isEmpty {
            keys.append(key)
            keys += owners.keys.filter { snapshot.get($0)?.isTerminating == true }
        }
        let isGone = snapshot.get(key)?.uid != object.uid
        if isGone {
            keys += Self.dependents(of: object, in: snapshot).map(\.key)
        } else if object.isTerminating {
            keys.append(key)
        }
        return keys
    }

    /// Collects the object when its owners are gone, or helps it along when it waits for its dependents.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let object = snapshot.get(key) else { return [] }
        if object.isTerminating { return release(object, key, snapshot) }
        let owners = Self.owners(of: object, in: snapshot)
        guard !owners.isEmpty else { return [] }
        let isHeld = owners.contains { owner, uid in snapshot.get(owner)?.uid == uid }
        return isHeld ? [] : [.collect(key, uid: object.uid, owners: owners)]
    }

    /// Takes the finalizers off that wait for dependents, when these are gone (foreground) or set free (orphan).
    private func release(_ object: JSON, _ key: ObjectKey, _ snapshot: Snapshot) -> [Intent] {
        let finalizers = object["metadata", "finalizers"]?.array ?? []
        let dependents = Self.dependents(of: object, in: snapshot)
        if finalizers.contains(Self.orphan) {
            let freed = dependents.map { dependentKey, dependent -> Intent in
                let references = dependent["metadata", "ownerReferences"]?.array ?? []
                let left = references.filter { $0["uid"]?.string != object.uid }
                return .changeMetadata(dependentKey, of: dependent, ["ownerReferences": .array(left)])
            }
            return freed + [without(Self.orphan, object, key)]
        }
        guard finalizers.contains(Self.foreground) else { return [] }
        let blocking = dependents.filter { _, dependent in
            dependent["metadata", "ownerReferences"]?.array?.contains {
                $0["uid"]?.string == object.uid && $0["blockOwnerDeletion"]?.bool == true
            } ?? false
        }
        if blocking.isEmpty { return [without(Self.foreground, object, key)] }
        return dependents.filter { !$0.object.isTerminating }.map { .delete($0.key, uid: $0.object.uid) }
    }

    private func without(_ finalizer: JSON, _ object: JSON, _ key: ObjectKey) -> Intent {
        let left = (object["metadata", "finalizers"]?.array ?? []).filter { $0 != finalizer }
        return .changeMetadata(key, of: object, ["finalizers": .array(left)])
    }

    /// The owners of an object that are of a served kind, with their uids; none when one is of an unknown kind, which
    /// is taken to live.
    static func owners(of object: JSON, in snapshot: Snapshot) -> [ObjectKey: String] {
        var owners: [ObjectKey: String] = [:]
        for reference in object["metadata", "ownerReferences"]?.array ?? [] {
            guard
                let named = snapshot.catalog.kind(
                    apiVersion: reference["apiVersion"]?.string ?? "", kind: reference["kind"]?.string ?? ""),
                let kind = snapshot.catalog.home(of: named), let name = reference["name"]?.string,
                let uid = reference["uid"]?.string
            else { return [:] }
            owners[ObjectKey(kind, namespace: kind.isNamespaced ? object.namespace : "", name: name)] = uid
        }
        return owners
    }

    /// What an object owns: nothing outside of its namespace, unless it is cluster-wide.
    static func dependents(of object: JSON, in snapshot: Snapshot) -> [(key: ObjectKey, object: JSON)] {
        snapshot.owned(by: object.uid).compactMap { key in
            guard object.namespace.isEmpty || key.namespace == object.namespace else { return nil }
            return snapshot.get(key).map { (key, $0) }
        }
    }
}
