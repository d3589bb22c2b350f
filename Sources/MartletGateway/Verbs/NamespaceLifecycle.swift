internal import MartletObject
internal import MartletStore

/// Admission NamespaceLifecycle: nothing new comes into a namespace that is absent or going.
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
}
