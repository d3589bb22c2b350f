internal import MartletObject

extension Registry {
    /// PUT of the object or its status.
    func update(_ target: Target, body: ObjectBody, options: WriteOptions) async throws(APIError) -> Written {
        var decoder = BodyDecoder(kind: target.kind, validation: options.validation)
        let object = try decoder.object(body)
        let warnings = decoder.warnings
        let part = WritePart(subresource: target.subresource)
        return try await modify(target, part: part, options: options) { _ throws(APIError) in (object, warnings) }
    }

    /// The kinds of which an update makes an object that is not there, as upstream.
    static let madeByUpdate: Set<String> = [
        "services", "endpoints", "events", "limitranges", "podtemplates", "leases.coordination.k8s.io",
        "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
    ]

    /// PUT of an object that may not be there yet. Tells whether it is new.
    /// - Parameter demandCreation: throws when the caller may not create the object.
    func updateOrCreate(
        _ target: Target, body: ObjectBody, options: WriteOptions,
        demandCreation: () async throws(APIError) -> Void
    ) async throws(APIError) -> (written: Written, isNew: Bool) {
        for _ in 1...Limits.attempts {
            do {
                return (try await update(target, body: body, options: options), false)
            } catch  where error.reason == .notFound {
                guard target.subresource.isEmpty, Self.madeByUpdate.contains(target.kind.qualifiedPlural) else {
                    throw error
                }
            }
            try await demandCreation()
            var decoder = BodyDecoder(kind: target.kind, validation: options.validation)
            let object = try decoder.object(body)
            try Self.checkName(object, target)
            var place = target
            place.name = ""
            do {
                return (try await create(place, object: object, options: options, warnings: decoder.warnings), true)
            } catch  where error.reason == .alreadyExists {
                continue  // Somebody else made it in between.
            }
        }
        throw .modified(target.subject)
    }

    /// PATCH of the object or its status.
    func patch(_ target: Target, _ body: PatchBody, options: WriteOptions) async throws(APIError) -> Written {
        let part = WritePart(subresource: target.subresource)
        return try await modify(target, part: part, options: options) { old throws(APIError) in
            let patched = try Self.apply(body.patch, body.type, to: old, target)
            var decoder = BodyDecoder(kind: target.kind, validation: options.validation)
            return (try decoder.patched(patched, by: body), decoder.warnings)
        }
    }

    /// Applies a patch, with the API's words when it cannot be.
    static func apply(_ patch: JSON, _ type: PatchType, to object: JSON, _ target: Target) throws(APIError) -> JSON {
        do {
            return try Patch.apply(patch, type: type, to: object, kind: target.kind)
        } catch {
            guard type == .json else { throw .badRequest(error.description) }
            let message = "the server rejected our request due to an error in our request"
            throw APIError(422, .invalid, message, details: [:])
        }
    }
}

/// A patch, as a request brings it.
struct PatchBody: Sendable {
    /// What it says.
    let patch: JSON
    let type: PatchType
    /// What a strict reader finds in it: names given twice, and members that no operation has.
    private(set) var faults: [String] = []

    /// Reads a body of a media type.
    /// - Throws: 415, 413 or 400.
    init(_ bytes: [UInt8], contentType: String?) throws(APIError) {
        let supported = [PatchType.json, .merge, .strategic].map(\.rawValue) + [Registry.applyType]
        guard let media = contentType.flatMap({ MediaRange($0) }), let type = PatchType(rawValue: media.type) else {
            throw .unsupportedMediaType(supported)
        }
        self.type = type
        var duplicates: [String] = []
        do { patch = try JSON(parsing: bytes, duplicates: &duplicates) } catch {
            throw .badRequest("error decoding patch: \(error)")
        }
        faults = duplicates.map { "duplicate field \"\($0)\"" }
        guard type == .json else { return }
        let operations = try Self.operations(patch)
        if operations.count > Patch.maximumOperations {
            throw APIError(
                413, .requestEntityTooLarge,
                "Request entity too large: The allowed maximum operations in a JSON patch is "
                    + "\(Patch.maximumOperations), got \(operations.count)")
        }
        faults = (Self.unknown(operations) + faults).map { "json patch \($0)" }
    }

    /// The operations of a JSON patch.
    /// - Throws: 400.
    private static func operations(_ patch: JSON) throws(APIError) -> [JSON] {
        func fault(_ value: JSON, _ place: String) -> APIError {
            .badRequest("error decoding patch: json: cannot unmarshal \(value.goKind) into Go \(place)")
        }
        guard let operations = patch.array else { throw fault(patch, "value of type []handlers.jsonPatchOp") }
        for operation in operations {
            guard let members = operation.object else {
                throw fault(operation, "value of type handlers.jsonPatchOp")
            }
            for name in ["op", "path", "from"] {
                guard let value = members[name], value != .null, value.string == nil else { continue }
                throw fault(value, "struct field jsonPatchOp.\(name) of type string")
            }
        }
        return operations
    }

    /// How what the patch makes of an object is refused.
    func refusal(of object: JSON, _ why: String) -> APIError {
        // Upstream shows what it could not read: the text of the object, or the patch that it merged into one.
        .unfitPatch(type == .strategic ? patch.goText : String(decoding: object.encoded(), as: UTF8.self), why)
    }

    /// The members of operations that RFC 6902 does not know, as many as anybody is warned of.
    private static func unknown(_ operations: [JSON]) -> [String] {
        let known: Set = ["op", "path", "from", "value"]
        let faults = operations.enumerated().lazy.flatMap { number, operation in
            (operation.object ?? [:]).keys.filter { !known.contains($0) }.sorted()
                .map { "unknown field \"[\(number)].\($0)\"" }
        }
        return Array(faults.prefix(Limits.warnings))
    }
}

extension JSON {
    /// A value as Go prints it: `map[data:map[k:1] l:[a b]]`.
    fileprivate var goText: String {
        switch self {
        case .null: "<nil>"
        case .string(let text): text
        case .array(let elements): "[\(elements.map(\.goText).joined(separator: " "))]"
        case .object(let members):
            "map["
                + members.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value.goText)" }
                .joined(separator: " ") + "]"
        case .bool, .int, .double: String(decoding: encoded(), as: UTF8.self)
        }
    }
}
