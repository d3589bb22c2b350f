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
        holdings: heldNames,
        warnings: CustomDefinition.warnings)

    /// The names that a definition was given: two gateways may each accept one at the same moment, and only one of
    /// them keeps it.
    private static func heldNames(_ definition: JSON) -> Set<[UInt8]> {
        let group = definition["spec", "group"]?.string ?? ""
        let names = definition["status", "acceptedNames"] ?? [:]
        func keys(_ space: String, _ names: [String]) -> [[UInt8]] {
            names.filter { !$0.isEmpty }.map { Keys.allocation("kindnames", "\(group)/\(space)/\($0)") }
        }
        let short = (names["shortNames"]?.array ?? []).compactMap(\.string)
        let resources = ["plural", "singular"].compactMap { names[$0]?.string } + short
        return Set(keys("resources", resources) + keys("kinds", ["kind", "listKind"].compactMap { names[$0]?.string }))
    }

    /// Objects of a custom kind.
    static func custom(_ custom: CustomKind) -> Strategy {
        Strategy(
            generations: custom.hasStatus ? .content : .everything, initialStatus: nil,
            keptByStatus: ["labels", "annotations", "finalizers", "ownerReferences"])
    }
}
