public import MartletBase

/// All objects a decision may look at, as they stood at one moment. A value: the shell that feeds it keeps its copy
/// current from watches, and hands it to pure functions.
public struct Snapshot: Sendable {
    private struct Entry {
        var object: JSON
        /// When it was last put in.
        var time: WallTime?
    }
    /// Entries by their names, by their namespaces: a look at one namespace costs nothing of the others.
    private var tables: [ResourceKind: [String: [String: Entry]]] = [:]
    /// The objects by the uids of their owners.
    private var owned: [String: Set<ObjectKey>] = [:]
    /// The kinds that there are.
    public var catalog = KindCatalog.builtIn

    /// A snapshot without objects.
    public init() {}

    /// Puts an object in, in place of the one of its name.
    /// - Parameter now: remembered for ``lastChange(of:)``.
    public mutating func put(_ object: JSON, kind: ResourceKind, at now: WallTime? = nil) {
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        let before = tables[kind, default: [:]][key.namespace, default: [:]]
            .updateValue(Entry(object: object, time: now), forKey: key.name)
        if let before { forget(before.object, key) }
        for uid in Self.owners(of: object) { owned[uid, default: []].insert(key) }
    }
    /// Takes an object out.
    public mutating func remove(_ key: ObjectKey) {
        guard let entry = tables[key.kind]?[key.namespace]?.removeValue(forKey: key.name) else { return }
        if tables[key.kind]?[key.namespace]?.isEmpty == true { tables[key.kind]?[key.namespace] = nil }
        forget(entry.object, key)
    }

    private mutating func forget(_ object: JSON, _ key: ObjectKey) {
        for uid in Self.owners(of: object) {
            owned[uid]?.remove(key)
            if owned[uid]?.isEmpty == true { owned[uid] = nil }
        }
    }

    private static func owners(of object: JSON) -> [String] {
        (object["metadata", "ownerReferences"]?.array ?? []).compactMap { $0["uid"]?.string }
    }

    /// The objects that name this uid among their owners, ordered by kind, namespace and name.
    public func owned(by uid: String) -> [ObjectKey] {
        (owned[uid] ?? []).sorted {
            ($0.kind.group, $0.kind.plural, $0.namespace, $0.name)
                < ($1.kind.group, $1.kind.plural, $1.namespace, $1.name)
        }
    }
    /// The object of that key.
    public func get(_ key: ObjectKey) -> JSON? { entry(key)?.object }
    /// When the object was last put in; nil when that was done without a time. Whether somebody has gone silent is read
    /// from this: what others write into an object is the time of their clocks.
    public func lastChange(of key: ObjectKey) -> WallTime? { entry(key)?.time }
    private func entry(_ key: ObjectKey) -> Entry? { tables[key.kind]?[key.namespace]?[key.name] }
    /// The object of that kind and name.
    public func get(_ kind: ResourceKind, namespace: String = "", name: String) -> JSON? {
        get(ObjectKey(kind, namespace: namespace, name: name))
    }
    /// The objects of a kind, of one namespace when it is given, ordered by namespace and name.
    public func list(_ kind: ResourceKind, namespace: String? = nil) -> [JSON] {
        guard let table = tables[kind] else { return [] }
        let spaces = namespace.map { [$0] } ?? table.keys.sorted()
        return spaces.flatMap { (table[$0] ?? [:]).sorted { $0.key < $1.key }.map(\.value.object) }
    }
    /// The objects of a kind in one namespace that are controlled by the owner with this uid.
    public func controlled(_ kind: ResourceKind, namespace: String, by uid: String) -> [JSON] {
        owned(by: uid).filter { $0.kind == kind && $0.namespace == namespace }.compactMap(get)
            .filter { $0.controllerReference?["uid"]?.string == uid }
    }
}

/// What a controller or the scheduler wants done. It is carried out through the API's front door and checked there
/// again: a stale wish is refused with a conflict and decided anew.
public enum Intent: Sendable, Hashable {
    /// Create this object (its kind is named, its namespace and name or generateName are in it).
    case create(ResourceKind, JSON)
    /// Replace the object; `metadata.resourceVersion` in it guards against a change in between.
    case update(ResourceKind, JSON)
    /// Change some fields of the object's metadata by a merge patch, which carries the uid and the resourceVersion that
    /// it goes by. For those who know no more than an object's ``JSON/ownershipHead``.
    case patchMetadata(ObjectKey, JSON)
    /// Replace the object's status; guarded likewise.
    case updateStatus(ResourceKind, JSON)
    /// Delete the object if it still has this uid.
    case delete(ObjectKey, uid: String)
    /// Bind the pod (with this uid) to a node.
    case bind(pod: ObjectKey, uid: String, node: String)
    /// Record an event about an object: type is `Normal` or `Warning`.
    case event(about: ObjectKey, uid: String, type: String, reason: String, message: String)
    /// Delete the object, if it still has this uid, at once: nobody is waited for to end what it stands for.
    case discard(ObjectKey, uid: String)
    /// Delete the object if it still has this uid and each of these owners (by key, with uid) is really gone: the
    /// snapshot may not have seen a fresh owner yet, so the API is asked before anything is deleted.
    case collect(ObjectKey, uid: String, owners: [ObjectKey: String])
    /// Change the metadata of a PersistentVolumeClaim, given as it is known, as ``patchMetadata(_:_:)`` does, if no pod
    /// uses it: the snapshot may not have seen yet that one came to a node, so the API is asked before the claim goes.
    case release(claim: JSON, JSON)
    /// Replace a namespace's `spec.finalizers` by those in this object.
    case finalizeNamespace(JSON)
    /// Look at this object again after that many milliseconds.
    case requeue(ObjectKey, afterMilliseconds: Int)
}

extension Intent {
    /// Changes these fields of the metadata of `object`, if it is still as it is known.
    public static func changeMetadata(_ key: ObjectKey, of object: JSON, _ fields: JSON) -> Intent {
        .patchMetadata(key, object.metadataPatch(fields))
    }
}

extension JSON {
    /// A merge patch that changes these fields of the object's metadata if it is still as it is known.
    public func metadataPatch(_ fields: JSON) -> JSON {
        var metadata = fields
        metadata["uid"] = .string(uid)
        metadata["resourceVersion"] = .string(resourceVersion)
        return ["metadata": metadata]
    }

    /// What ownership and deletion of an object go by, without what it says: for those who keep many of them.
    public var ownershipHead: JSON {
        var head: JSON = [:]
        for name in ["apiVersion", "kind"] { head[name] = self[name] }
        let kept = [
            "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp",
            "deletionGracePeriodSeconds", "finalizers", "ownerReferences",
        ]
        for name in kept {
            if let value = self["metadata", name] { head["metadata", name] = value }
        }
        return head
    }
}
