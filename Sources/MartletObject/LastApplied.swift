/// The annotation in which kubectl's client-side apply keeps the last configuration. Server-side apply by kubectl takes
/// over from it: fields that still are as that configuration said are no conflict, and the annotation follows.
extension FieldOwnership {
    static let lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

    /// The fields of the last client-side configuration that the live object still has as it said; nil without one.
    func lastAppliedFields(of live: JSON) -> FieldSet? {
        guard let text = live["metadata", "annotations", Self.lastApplied]?.string, !text.isEmpty,
            let configuration = try? JSON(parsing: text.utf8), configuration.apiVersion == manager.apiVersion,
            let set = try? shape.fieldSet(of: configuration)
        else { return nil }
        let changes = shape.compare(configuration, live)
        return set.subtracting(changes.modified).subtracting(changes.added).subtracting(changes.removed)
    }

    /// Writes the configuration into the annotation if kubectl applies and the object has one.
    func keepLastApplied(_ object: inout JSON, _ configuration: JSON) {
        guard manager.name == "kubectl", manager.operation == .apply,
            let text = object["metadata", "annotations", Self.lastApplied]?.string, !text.isEmpty
        else { return }
        var configuration = configuration
        configuration["metadata", "annotations", Self.lastApplied] = nil
        let written = String(decoding: configuration.sortedByName.encoded(), as: UTF8.self) + "\n"
        let size = object.annotations.reduce(0) {
            $0 + $1.key.utf8.count + ($1.key == Self.lastApplied ? written.utf8.count : $1.value.utf8.count)
        }
        let isTooLong = size > MetadataRules.mostAnnotationBytes
        object["metadata", "annotations", Self.lastApplied] = isTooLong ? nil : Optional(JSON.string(written))
    }
}

extension JSON {
    /// The same with all members in the order of their names.
    fileprivate var sortedByName: JSON {
        switch self {
        case .array(let elements): .array(elements.map(\.sortedByName))
        case .object(let members):
            .object(
                Members(unique: members.sorted { $0.key < $1.key }.map { ($0.key, $0.value.sortedByName) }))
        default: self
        }
    }
}
