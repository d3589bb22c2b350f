internal import MartletObject

/// Server-side apply: PATCH with `application/apply-patch+yaml`.
extension Registry {
    /// The media type of a configuration.
    static let applyType = "application/apply-patch+yaml"

    /// Merges a configuration into the object, and makes the object when there is none.
    /// - Parameter demandCreation: throws when the caller may not create the object.
    /// - Returns: the object, and whether it is new.
    func apply(
        _ target: Target, _ configuration: JSON, options: WriteOptions, warnings: [String] = [],
        demandCreation: () async throws(APIError) -> Void = { () throws(APIError) in }
    ) async throws(APIError) -> (written: Written, isNew: Bool) {
        try Self.check(configuration, target)
        for _ in 1...Limits.attempts {
            try await storage.confirm()
            if await storage.get(Keys.object(target)) != nil {
                do {
                    return (try await applyToLive(target, configuration, options, warnings), false)
                } catch  where error.reason == .notFound && target.subresource.isEmpty {
                    continue  // It went in between.
                }
            }
            guard target.subresource.isEmpty, target.kind.verbs.contains("create") else {
                throw .notFound(target.subject)
            }
            try await demandCreation()
            do {
                return (try await create(byApplying: configuration, target, options, warnings), true)
            } catch  where error.reason == .alreadyExists {
                continue  // Somebody else made it in between.
            }
        }
        throw .modified(target.subject)
    }

    private static func check(_ configuration: JSON, _ target: Target) throws(APIError) {
        let kind = target.kind
        guard configuration.apiVersion == kind.apiVersion else {
            throw .badRequest(
                "Incorrect version specified in apply patch. Specified patch version: \(configuration.apiVersion), "
                    + "expected: \(kind.apiVersion)")
        }
        guard configuration.kind == kind.kind else {
            throw .badRequest("invalid object type: \(configuration.apiVersion), Kind=\(configuration.kind)")
        }
        if let managed = configuration["metadata", "managedFields"], managed != .null {
            throw .badRequest("metadata.managedFields must be nil")
        }
    }

    private func applyToLive(
        _ target: Target, _ configuration: JSON, _ options: WriteOptions, _ warnings: [String]
    ) async throws(APIError) -> Written {
        let part = WritePart(subresource: target.subresource)
        return try await modify(target, part: part, options: options, ownership: .decided) { old throws(APIError) in
            var managed: ManagedFields
            let before = old["metadata", "managedFields"]
            do {
                managed = try ManagedFields(before)
            } catch {
                throw .internalError("failed to decode managed fields: \(error)")
            }
            let live = managed
            var bare = old
            bare["metadata", "managedFields"] = nil
            let applied = try merge(configuration, into: bare, &managed, target, options)
            var object = applied ?? bare
            object["metadata", "managedFields"] = applied == nil && managed.isSame(as: live) ? before : managed.json
            return (object, warnings)
        }
    }

    private func create(
        byApplying configuration: JSON, _ target: Target, _ options: WriteOptions, _ warnings: [String]
    ) async throws(APIError) -> Written {
        if !configuration.uid.isEmpty {
            throw .conflict(
                target.subject,
                "uid mismatch: the provided object specified uid \(configuration.uid), and no existing object was found"
            )
        }
        var managed = ManagedFields()
        var object = try merge(configuration, into: [:], &managed, target, options) ?? [:]
        try Self.checkName(object, target)
        object["metadata", "managedFields"] = managed.json
        var place = target
        place.name = ""
        return try await create(
            place, object: object, options: options, warnings: warnings, ownership: .decided)
    }

    /// The merged object, conformed to the tables; nil when it is the live one.
    private func merge(
        _ configuration: JSON, into live: JSON, _ managed: inout ManagedFields, _ target: Target,
        _ options: WriteOptions
    ) throws(APIError) -> JSON? {
        let applied: JSON?
        do {
            let known = try Self.canonical(configuration, target)
            applied = try ownership(target, options, .apply)
                .apply(known, to: live, managed: &managed, force: options.isForced)
        } catch let error as ApplyError {
            throw Self.refusal(error, configuration, target)
        } catch let error as APIError {
            throw error
        } catch {
            throw .internalError("\(error)")
        }
        guard let applied else { return nil }
        var decoder = BodyDecoder(kind: target.kind, validation: .ignore)
        return try decoder.conformed(applied)
    }

    /// The configuration with quantities and times in their canonical form, as the live object has them, and still with
    /// all that the kind does not have: that is refused by name.
    private static func canonical(_ configuration: JSON, _ target: Target) throws(APIError) -> JSON {
        do {
            let (known, unknown) = try Schema.conform(configuration, to: target.kind)
            return unknown.isEmpty ? known : configuration
        } catch {
            throw misfit(error.description, configuration, target)
        }
    }

    private static func refusal(_ error: ApplyError, _ configuration: JSON, _ target: Target) -> APIError {
        switch error {
        case .misfit(let why): misfit(why, configuration, target)
        case .conflicts(let conflicts): .applyConflict(conflicts)
        }
    }

    private static func misfit(_ why: String, _ configuration: JSON, _ target: Target) -> APIError {
        let kind = target.kind
        let place = "\(configuration.namespace)/\(configuration.name)"
        // Upstream's words. Its status is 500 (kubernetes/kubernetes#139253), by which clients try again in vain.
        return .badRequest(
            "failed to create typed patch object (\(place); \(kind.apiVersion), Kind=\(kind.kind)): \(why)")
    }

    /// Holds a new object's name against that of the request.
    static func checkName(_ object: JSON, _ target: Target) throws(APIError) {
        if object.name.isEmpty {
            throw .badRequest(
                "the name of the object (\(target.name) based on URL) was undeterminable: name must be provided")
        }
        guard object.name == target.name else {
            throw .badRequest(
                "the name of the object (\(object.name)) does not match the name on the URL (\(target.name))")
        }
    }
}

extension APIError {
    /// Others own what an apply would change.
    static func applyConflict(_ conflicts: [ApplyConflict]) -> APIError {
        let sorted = conflicts.sorted { shown($0.manager) < shown($1.manager) }
        let all = sorted.flatMap { conflict in conflict.fields.paths.map { (shown(conflict.manager), $0.text) } }
        let causes: [JSON] = all.map { manager, path in
            [
                "reason": "FieldManagerConflict", "message": .string("conflict with \(manager)"),
                "field": .string(path),
            ]
        }
        var message = "Apply failed with \(all.count) conflicts: "
        if let only = all.first, all.count == 1 {
            message = "Apply failed with 1 conflict: conflict with \(only.0): \(only.1)"
        } else {
            message += sorted.map { conflict in
                (["conflicts with \(shown(conflict.manager)):"] + conflict.fields.paths.map { "- \($0.text)" })
                    .joined(separator: "\n")
            }.joined(separator: "\n")
        }
        return APIError(409, .conflict, message, details: ["causes": .array(causes)])
    }

    /// `"kubectl" using v1`
    private static func shown(_ manager: ManagedFields.Manager) -> String {
        var text = String(decoding: JSON.string(manager.name).encoded(), as: UTF8.self)
        if !manager.subresource.isEmpty { text += " with subresource \"\(manager.subresource)\"" }
        return manager.operation == .update ? "\(text) using \(manager.apiVersion)" : text
    }

    /// Options of a request that break rules.
    static func invalidOptions(_ kind: String, _ faults: [FieldError]) -> APIError {
        let options = ResourceKind(
            group: "meta.k8s.io", version: "v1", kind: kind, plural: "", singular: "", isNamespaced: false)
        return .invalid(options, name: "", faults)
    }
}
