internal import MartletObject

extension Registry {
    /// The Scale of an object of a custom kind: its definition says where the numbers are.
    static func scale(of object: JSON, _ custom: CustomKind) throws(APIError) -> JSON {
        guard let scale = custom.scale else { throw .noSuchResource }
        func value(_ path: [String]) -> JSON? { path.reduce(object) { $0?[$1] } }
        guard let wanted = value(scale.specReplicas) else {
            throw .internalError(
                "the spec replicas field \".\(scale.specReplicas.joined(separator: "."))\" does not exist")
        }
        var metadata: JSON = ["name": .string(object.name)]
        if !object.namespace.isEmpty { metadata["namespace"] = .string(object.namespace) }
        for field in ["uid", "resourceVersion", "creationTimestamp"] { metadata[field] = object["metadata", field] }
        var status: JSON = ["replicas": value(scale.statusReplicas) ?? 0]
        if let path = scale.selector, let selector = value(path) { status["selector"] = selector }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": ["replicas": wanted],
            "status": status,
        ]
    }
}
