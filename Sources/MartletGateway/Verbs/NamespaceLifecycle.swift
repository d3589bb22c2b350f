internal import MartletObject
internal import MartletStore

/// Admission NamespaceLifecycle: nothing new comes into a namespace that is absent or going, nor of a custom kind whose
/// definition is.
extension Registry {
    /// The condition under which a new object may be stored: its namespace is still as it was checked here. A
    /// creation and the end of its namespace can so never pass each other.
    /// - Throws: 404 or 403.
    func namespaceGuard(_ target: Target) async throws(APIError) -> [Condition] {
        guard target.kind.isNamespaced else { return [] }
        let namespace = target.namespace
        let key = Keys.object(.namespace, namespace: "", name: namespace)
        guard let pair = await storage.get(key) else {
            throw .notFound(Subject(kind: .namespace, name: namespace))
        }
        // Every creation comes by here: the object is not decoded for it.
        let object = StoredObject(stored: pair.value)
        if object.value(at: ["metadata", "deletionTimestamp"])?.string != nil
            || object.value(at: ["status", "phase"]) == "Terminating"
        {
            throw .forbidden(
                target.subject,
                "unable to create new content in namespace \(namespace) because it is being terminated",
                causes: [
                    [
                        "reason": "NamespaceTerminating",
                        "message": .string("namespace \(namespace) is being terminated"),
                        "field": "metadata.namespace",
                    ]
                ])
        }
        return [.modRevision(key: key, is: pair.modRevision)]
    }

    /// The same for an object of a custom kind, of which nothing new comes when its definition is absent or going: what
    /// was made after those of its kind were deleted would be there for ever, with nobody to see it.
    /// - Throws: 404 or 405.
    func definitionGuard(_ target: Target) async throws(APIError) -> [Condition] {
        guard target.kind.custom != nil else { return [] }
        let key = Keys.object(.customResourceDefinition, namespace: "", name: target.kind.qualifiedPlural)
        guard let pair = await storage.get(key) else { throw .noSuchResource }
        let isGoing = StoredObject(stored: pair.value).value(at: ["metadata", "deletionTimestamp"])?.string != nil
        if isGoing { throw .definitionIsGoing }
        return [.modRevision(key: key, is: pair.modRevision)]
    }
}
