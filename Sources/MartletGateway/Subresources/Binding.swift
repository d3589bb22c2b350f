internal import MartletBase
internal import MartletObject

/// The subresources by which others act on a pod or namespace: `binding`, `finalize`.
extension Registry {
    /// POST pods/NAME/binding: puts a pod on a node, once.
    func bind(_ target: Target, body: ObjectBody, options: WriteOptions) async throws(APIError) -> Answer {
        let binding = try SmallBody.parse(body, as: "Binding")
        guard binding.name.isEmpty || binding.name == target.name else {
            throw .badRequest("name in URL does not match name in Binding object")
        }
        guard let node = binding["target", "name"]?.string, Route.isSafe(node) else {
            throw Self.invalidBinding(target, .required, "target.name", "Required value")
        }
        guard ["", "Node"].contains(binding["target", "kind"]?.string ?? "") else {
            throw Self.invalidBinding(
                target, .notSupported, "target.kind", "Unsupported value: supported values: \"Node\", \"\"")
        }
        let now = world.wallTime().rfc3339
        _ = try await modify(target, part: .whole, options: options, ownership: .kept) { old throws(APIError) in
            try Self.checkBinding(binding, of: old, to: node, target)
            var pod = old
            pod["spec", "nodeName"] = .string(node)
            for (name, text) in binding.annotations { pod["metadata", "annotations", name] = .string(text) }
            var conditions = pod["status", "conditions"]?.array ?? []
            conditions.removeAll { $0["type"] == "PodScheduled" }
            conditions.append(
                ["type": "PodScheduled", "status": "True", "lastProbeTime": .null, "lastTransitionTime": .string(now)])
            pod["status", "conditions"] = .array(conditions)
            return (pod, [])
        }
        return .document(Self.successStatus, code: 201)
    }

    /// POST bindings: the same for the pod whose name the binding has.
    func bindNamed(_ target: Target, body: ObjectBody, options: WriteOptions) async throws(APIError) -> Answer {
        let name = try SmallBody.parse(body, as: "Binding").name
        guard Route.isSafe(name), !target.namespace.isEmpty else {
            throw Self.invalidBinding(
                target, .required, "metadata.name", "Required value: name or generateName is required")
        }
        let pod = Target(kind: .pod, namespace: target.namespace, name: name, subresource: "binding")
        return try await bind(pod, body: body, options: options)
    }

    private static func checkBinding(
        _ binding: JSON, of pod: JSON, to node: String, _ target: Target
    ) throws(APIError) {
        func conflict(_ why: String) -> APIError {
            APIError(
                409, .conflict, "Operation cannot be fulfilled on pods/binding \"\(target.name)\": \(why)",
                details: ["name": .string(target.name), "kind": "pods/binding"])
        }
        if !binding.uid.isEmpty && binding.uid != pod.uid {
            throw conflict("Precondition failed: UID in precondition: \(binding.uid), UID in object meta: \(pod.uid)")
        }
        if pod.isTerminating { throw conflict("pod \(pod.name) is being deleted, cannot be assigned to a host") }
        if let assigned = pod["spec", "nodeName"]?.string, !assigned.isEmpty {
            throw conflict("pod \(pod.name) is already assigned to node \"\(assigned)\"")
        }
        if !(pod["spec", "schedulingGates"]?.array ?? []).isEmpty {
            throw conflict("pod \(pod.name) has non-empty .spec.schedulingGates")
        }
    }

    private static func invalidBinding(
        _ target: Target, _ reason: FieldError.Reason, _ field: String, _ message: String
    ) -> APIError {
        return .invalid(.binding, name: target.name, [FieldError(reason, field: field, message: message)])
    }

    /// PUT namespaces/NAME/finalize: sets `spec.finalizers`, and nothing else.
    func finalize(_ target: Target, body: ObjectBody, options: WriteOptions) async throws(APIError) -> Written {
        var decoder = BodyDecoder(kind: target.kind, validation: options.validation)
        let namespace = try decoder.object(body)
        let warnings = decoder.warnings
        try Self.checkName(namespace, target)
        return try await modify(target, part: .whole, options: options) { old throws(APIError) in
            var changed = old
            changed["spec", "finalizers"] = namespace["spec", "finalizers"] ?? []
            changed["metadata", "resourceVersion"] = .string(namespace.resourceVersion)
            return (changed, warnings)
        }
    }
}
