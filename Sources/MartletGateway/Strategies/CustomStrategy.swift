internal import MartletObject

extension Strategy {
    /// Definitions are held by the objects of their kind: whoever deletes one deletes those first.
    static let customResourceDefinition = Strategy(
        generations: .spec,
        prepareForCreate: { definition in
            definition["status"] = nil
            CustomDefinition.noteStorageVersion(of: &definition)
        },
        prepareForUpdate: { definition, _ in CustomDefinition.noteStorageVersion(of: &definition) },
        prepareForDelete: { definition in
            var finalizers = definition["metadata", "finalizers"]?.array ?? []
            let cleanup = JSON.string(CustomDefinition.cleanupFinalizer)
            if !finalizers.contains(cleanup) { finalizers.append(cleanup) }
            definition["metadata", "finalizers"] = .array(finalizers)
            CustomDefinition.set(
                "Terminating", true, reason: "InstanceDeletionPending",
                message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
                of: &definition, now: definition["metadata", "deletionTimestamp"]?.string ?? "")
        },
        holdsRemoval: { !$0.isTerminating },
        warnings: CustomDefinition.warnings)

    /// Objects of a custom kind.
    static func custom(_ custom: CustomKind) -> Strategy {
        Strategy(generations: custom.hasStatus ? .content : .everything, initialStatus: nil)
    }
}
