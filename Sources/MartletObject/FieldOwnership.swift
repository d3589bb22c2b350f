/// What a write does to the ownership of fields: upstream's field managers over structured-merge-diff.
public struct FieldOwnership: Sendable {
    /// The kind's shape.
    public var shape: Shape
    /// Who writes.
    public var manager: ManagedFields.Manager
    /// The time of the write, in RFC 3339.
    public var time: String
    /// Places that this kind of write cannot change, and therefore nobody owns by it.
    public var ignored: FieldSet

    /// What is never owned, because it is what the object is or the server's own.
    static let stripped = FieldSet(
        [["apiVersion"], ["kind"], ["metadata"]].map { $0.map { .field($0) } }
            + [
                "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
                "managedFields", "resourceVersion",
            ].map { [.field("metadata"), .field($0)] })

    /// The ownership of one write.
    public init(
        shape: Shape, manager: ManagedFields.Manager, time: String, ignored: FieldSet = FieldSet()
    ) {
        self.shape = shape
        self.manager = manager
        self.time = time
        self.ignored = ignored
        if manager.name.isEmpty { self.manager.name = "unknown" }
    }

    /// After an update or a patch that is no apply: the writer owns what it changed, whoever owned that before.
    /// - Parameters:
    ///   - live: the object before; an empty one for a creation. Neither object's own `managedFields` counts.
    ///   - new: the object after, defaulted.
    public func update(_ managed: inout ManagedFields, from live: JSON, to new: JSON) {
        // An object whose managers have been reset is not followed until somebody applies to it.
        if managed.isEmpty && !live.uid.isEmpty { return }
        take(&managed, from: live, to: new, as: manager)
        managed.joinOldest()
    }

    private func take(
        _ managed: inout ManagedFields, from live: JSON, to new: JSON, as manager: ManagedFields.Manager
    ) {
        let changes = shape.compare(live, new).excluding(ignored)
        let mine = changes.written.subtractingTrees(ignored).subtracting(Self.stripped)
        for place in managed.entries.indices {
            managed.entries[place].fields = managed.entries[place].fields
                .subtracting(changes.written).subtracting(changes.removed)
        }
        managed.entries.removeAll { $0.fields.isEmpty && !$0.manager.isSame(as: manager) }
        if let place = managed.place(of: manager) {
            if !mine.isEmpty {
                managed.entries[place].fields = managed.entries[place].fields.union(mine)
                managed.entries[place].time = time
            }
            if managed.entries[place].fields.isEmpty { managed.entries.remove(at: place) }
        } else if !mine.isEmpty {
            managed.entries.append(.init(manager: manager, fields: mine, time: time))
        }
    }

    /// Applies a configuration: merges it into the live object, takes out what this manager applied before and does
    /// not any more, and makes the manager the owner of what it applies.
    /// - Returns: the new object, not defaulted yet; nil when it is the live one.
    /// - Throws: ``ApplyError`` when the configuration does not fit the shape, or would change what others own and
    ///   `force` is not set.
    public func apply(
        _ configuration: JSON, to live: JSON, managed: inout ManagedFields, force: Bool
    ) throws(ApplyError) -> JSON? {
        if managed.isEmpty && !live.uid.isEmpty {
            var before = manager
            before.name = ManagedFields.before
            before.operation = .update
            take(&managed, from: [:], to: live, as: before)
        }
        var next = managed
        var outcome = try applied(configuration, to: live, managed: &next, force: force)
        if case .conflicts(let conflicts) = outcome {
            guard manager.name == "kubectl", let allowed = lastAppliedFields(of: live) else {
                throw .conflicts(conflicts)
            }
            let rest = conflicts.compactMap { $0.without(allowed) }
            if !rest.isEmpty { throw .conflicts(rest) }
            next = managed
            outcome = try applied(configuration, to: live, managed: &next, force: true)
        }
        managed = next
        guard case .object(var object) = outcome else { return nil }
        keepLastApplied(&object, configuration)
        if object == live { return nil }
        return object
    }

    private enum Outcome {
        case object(JSON)
        case conflicts([ApplyConflict])
    }

    private func applied(
        _ configuration: JSON, to live: JSON, managed: inout ManagedFields, force: Bool
    ) throws(ApplyError) -> Outcome {
        let set: FieldSet
        do {
            set = try shape.fieldSet(of: configuration).subtractingTrees(ignored)
        } catch {
            throw .misfit(error.description)
        }
        let previous = managed.place(of: manager).map { managed.entries[$0] }
        let last = previous?.fields ?? FieldSet()
        var entry = ManagedFields.Entry(manager: manager, fields: set, time: time)
        if let place = managed.place(of: manager) {
            managed.entries[place] = entry
        } else {
            managed.entries.append(entry)
        }
        let merged = shape.merge(configuration, into: live)
        let object = pruned(merged, last: last, managed: managed)
        let changes = shape.compare(live, object).excluding(ignored)
        var conflicts: [ApplyConflict] = []
        for place in managed.entries.indices where !managed.entries[place].manager.isSame(as: manager) {
            let other = managed.entries[place]
            let lost = other.fields.intersection(changes.written)
            if !lost.isEmpty { conflicts.append(ApplyConflict(manager: other.manager, fields: lost)) }
            managed.entries[place].fields = other.fields.subtracting(lost).subtracting(changes.removed)
        }
        if !force && !conflicts.isEmpty { return .conflicts(conflicts) }
        entry.fields = set.subtracting(Self.stripped)
        // The time is that of the last change, not of the last apply.
        if object == live, let time = previous?.time { entry.time = time }
        managed.entries.removeAll { $0.manager.isSame(as: manager) || $0.fields.isEmpty }
        if !entry.fields.isEmpty { managed.entries.append(entry) }
        return .object(object)
    }

    /// Without what this manager applied last time, does not apply now, and nobody else owns.
    private func pruned(_ merged: JSON, last: FieldSet, managed: ManagedFields) -> JSON {
        if last.isEmpty { return merged }
        let last = shape.withNamedFields(last)
        let owned = shape.withNamedFields(managed.entries.reduce(FieldSet()) { $0.union($1.fields) })
        let all = shape.withNamedFields(shape.heldFields(of: merged))
        func without(_ set: FieldSet) -> JSON { set.isEmpty ? merged : shape.remove(set, from: merged) }
        func left(in object: JSON) -> FieldSet { shape.withNamedFields(shape.heldFields(of: object)) }
        // What lies inside of something that goes would go with it: what is owned in there comes back, and with it
        // what holds it.
        let kept = left(in: without(last)).union(owned)
        let stays = left(in: without(all.subtracting(kept)))
        return without(all.subtracting(stays).intersection(last))
    }
}

extension ManagedFields {
    /// Makes one entry of the oldest updaters of a version, until there are not too many.
    mutating func joinOldest() {
        var updaters = entries.filter { $0.manager.operation == .update }
        var count = updaters.count
        if count <= Self.maximumUpdaters { return }
        updaters.sort { ($0.time ?? "", $0.manager.name) < ($1.time ?? "", $1.manager.name) }
        var first: [String: Manager] = [:]
        for updater in updaters where count > Self.maximumUpdaters {
            let version = updater.manager.apiVersion
            guard let oldest = first[version] else {
                first[version] = updater.manager
                continue
            }
            let bucket = Manager(Self.ancient, .update, apiVersion: version)
            if place(of: bucket) == nil, let place = place(of: oldest) { entries[place].manager = bucket }
            guard let place = place(of: bucket), !updater.manager.isSame(as: bucket) else { continue }
            entries[place].fields = entries[place].fields.union(updater.fields)
            entries[place].time = updater.time
            entries.removeAll { $0.manager.isSame(as: updater.manager) }
            count -= 1
        }
    }
}

/// Fields of another manager that an apply would change.
public struct ApplyConflict: Sendable, Hashable {
    /// Who owns them.
    public var manager: ManagedFields.Manager
    /// Which.
    public var fields: FieldSet

    func without(_ allowed: FieldSet) -> ApplyConflict? {
        let rest = fields.subtracting(allowed)
        return rest.isEmpty ? nil : ApplyConflict(manager: manager, fields: rest)
    }
}

/// Why an apply is refused.
public enum ApplyError: Error, Sendable, Hashable {
    /// The configuration does not fit the kind.
    case misfit(String)
    /// Others own what it would change.
    case conflicts([ApplyConflict])
}
