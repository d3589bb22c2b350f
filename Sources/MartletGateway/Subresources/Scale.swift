internal import MartletObject

/// The subresource `scale`: an autoscaling/v1 Scale as a window on `spec.replicas`.
extension Registry {
    /// The Scale of an object.
    static func scale(of object: JSON, kind: ResourceKind) throws(APIError) -> JSON {
        if let custom = kind.custom { return try Self.scale(of: object, custom) }
        var metadata: JSON = ["name": .string(object.name)]
        if !object.namespace.isEmpty { metadata["namespace"] = .string(object.namespace) }
        for field in ["uid", "resourceVersion", "creationTimestamp"] { metadata[field] = object["metadata", field] }
        var status: JSON = ["replicas": object["status", "replicas"] ?? 0]
        if let selector = object["spec", "selector"] { status["selector"] = .string(selectorText(selector)) }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": ["replicas": object["spec", "replicas"] ?? 1], "status": status,
        ]
    }

    func getScale(_ target: Target) async throws(APIError) -> JSON {
        try Self.scale(of: try await current(target).object(as: target.kind), kind: target.kind)
    }

    /// PUT of a Scale.
    func updateScale(_ target: Target, body: ObjectBody, options: WriteOptions) async throws(APIError) -> WrittenScale {
        var decoder = BodyDecoder(kind: .scale, validation: options.validation)
        let scale = try decoder.object(body)
        let warnings = decoder.warnings
        if !scale.name.isEmpty { try Self.checkName(scale, target) }
        return try await modifyScale(target, options) { _ throws(APIError) in (scale, warnings) }
    }

    /// PATCH of a Scale.
    func patchScale(_ target: Target, _ body: PatchBody, options: WriteOptions) async throws(APIError) -> WrittenScale {
        // A Scale has no lists, so that a strategic merge is a plain one.
        let type = body.type == .strategic ? .merge : body.type
        return try await modifyScale(target, options) { scale throws(APIError) in
            let patched = try Self.apply(body.patch, type, to: scale, target)
            var decoder = BodyDecoder(kind: .scale, validation: options.validation)
            return (try decoder.patched(patched, by: body), decoder.warnings)
        }
    }

    /// Applies a Scale: a configuration of the object that sets nothing but the replicas.
    func applyScale(_ target: Target, _ scale: JSON, options: WriteOptions) async throws(APIError) -> JSON {
        guard scale.kind == "Scale", scale.apiVersion == "autoscaling/v1" else {
            throw .badRequest("invalid object type: \(scale.apiVersion), Kind=\(scale.kind)")
        }
        var decoder = BodyDecoder(kind: .scale, validation: .ignore)
        let replicas = try decoder.conformed(scale)["spec", "replicas"]
        if let replicas = replicas?.int, replicas < 0 { throw Self.negative(replicas, target) }
        var configuration: JSON = [
            "apiVersion": .string(target.kind.apiVersion), "kind": .string(target.kind.kind),
            "metadata": ["name": .string(target.name)],
        ]
        for field in ["uid", "resourceVersion"] { configuration["metadata", field] = scale["metadata", field] }
        configuration.set(replicas, at: target.kind.custom?.scale?.specReplicas ?? ["spec", "replicas"])
        let written = try await apply(target, configuration, options: options).written
        return try Self.scale(of: try Renderer.parse(written.bytes), kind: target.kind)
    }

    /// A Scale as it is after a write, and what the caller is to be warned of.
    typealias WrittenScale = (scale: JSON, warnings: [String])

    private func modifyScale(
        _ target: Target, _ options: WriteOptions, change: (JSON) throws(APIError) -> WrittenScale
    ) async throws(APIError) -> WrittenScale {
        let written = try await modify(target, part: .main, options: options) { old throws(APIError) in
            let (scale, warnings) = try change(try Self.scale(of: old, kind: target.kind))
            let replicas = scale["spec", "replicas"]?.int ?? 0
            if replicas < 0 { throw Self.negative(replicas, target) }
            var object = old
            object.set(.int(Int64(replicas)), at: target.kind.custom?.scale?.specReplicas ?? ["spec", "replicas"])
            object["metadata", "resourceVersion"] = .string(scale.resourceVersion)
            if !scale.uid.isEmpty { object["metadata", "uid"] = .string(scale.uid) }
            return (object, warnings)
        }
        return (try Self.scale(of: try Renderer.parse(written.bytes), kind: target.kind), written.warnings)
    }

    private static func negative(_ replicas: Int, _ target: Target) -> APIError {
        let fault = FieldError(
            .invalid, field: "spec.replicas",
            message: "Invalid value: \(replicas): must be greater than or equal to 0")
        return .invalid(.scale, name: target.name, [fault])
    }

    /// A LabelSelector object in the form of URLs.
    private static func selectorText(_ selector: JSON) -> String {
        let isPlain = selector["matchLabels"] == nil && selector["matchExpressions"] == nil
        // A ReplicationController's selector is a map of labels.
        var terms = ((isPlain ? selector : selector["matchLabels"])?.stringMap ?? [:]).map { "\($0.key)=\($0.value)" }
        for expression in selector["matchExpressions"]?.array ?? [] {
            let key = expression["key"]?.string ?? ""
            let values = (expression["values"]?.array ?? []).compactMap(\.string).sorted().joined(separator: ",")
            switch expression["operator"]?.string {
            case "In": terms.append("\(key) in (\(values))")
            case "NotIn": terms.append("\(key) notin (\(values))")
            case "Exists": terms.append(key)
            case "DoesNotExist": terms.append("!\(key)")
            default: continue
            }
        }
        return terms.sorted().joined(separator: ",")
    }
}
