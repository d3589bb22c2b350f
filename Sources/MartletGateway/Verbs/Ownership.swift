internal import MartletBase
internal import MartletObject

/// How writes keep `metadata.managedFields`: server-side apply's account of who owns which fields.
extension Registry {
    /// The ownership that a write changes.
    func ownership(
        _ target: Target, _ options: WriteOptions, _ operation: ManagedFields.Operation
    ) -> FieldOwnership {
        FieldOwnership(
            shape: .of(target.kind),
            manager: .init(
                options.manager, operation, apiVersion: target.kind.apiVersion, subresource: target.subresource),
            time: world.wallTime().rfc3339, ignored: Self.ignored(target))
    }

    /// What this kind of write puts back to what it was: nobody comes to own it by such a write.
    private static func ignored(_ target: Target) -> FieldSet {
        switch target.subresource {
        case "status":
            FieldSet(
                [[.field("spec")]] + Strategy.of(target.kind).keptByStatus.map { [.field("metadata"), .field($0)] })
        case "" where target.kind.subresources.contains("status"): objectIgnores
        default: FieldSet()
        }
    }
    private static let objectIgnores = FieldSet([[.field("status")]])

    /// Works out who owns what of a new object, which is defaulted but not yet prepared: what the server itself fills
    /// in belongs to nobody. Mostly the answer is text, to be stored with the object; else it stands in the object.
    func own(_ object: inout JSON, createdAt target: Target, _ options: WriteOptions) -> [UInt8] {
        var managed = Self.given(object, live: ManagedFields())
        object["metadata", "managedFields"] = nil
        let ownership = ownership(target, options, .update)
        // A kind that is stored in the form of another version goes there as a tree.
        if managed.isEmpty, target.kind.stored == nil, let text = ownership.text(ofNew: object) { return text }
        ownership.update(&managed, from: [:], to: object)
        object["metadata", "managedFields"] = managed.json
        return []
    }

    /// The same for a change of `old`.
    func own(_ object: inout JSON, changedFrom old: JSON, at target: Target, _ options: WriteOptions) {
        let before = old["metadata", "managedFields"]
        let after = object["metadata", "managedFields"]
        let live = (try? ManagedFields(before)) ?? ManagedFields()
        // Who writes through a subresource cannot write this field.
        var managed = after == before || !target.subresource.isEmpty ? live : Self.given(object, live: live)
        var bare = old
        bare["metadata", "managedFields"] = nil
        object["metadata", "managedFields"] = nil
        ownership(target, options, .update).update(&managed, from: bare, to: object)
        object["metadata", "managedFields"] = managed == live ? before : managed.json
    }

    /// The entries that a request states. One that states none, or bad ones, leaves the live ones as they are; one that
    /// empties them does so.
    private static func given(_ object: JSON, live: ManagedFields) -> ManagedFields {
        let stated = object["metadata", "managedFields"]
        if ManagedFields.isReset(stated) { return ManagedFields() }
        guard let managed = try? ManagedFields(stated), !managed.isEmpty else { return live }
        return managed
    }
}
