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
        guard let operations = patch.array else {
            throw .badRequest("error decoding patch: a JSON patch must be an array of operations")
        }
        if operations.count > Patch.maximumOperations {
            throw APIError(
                413, .requestEntityTooLarge,
                "Request entity too large: The allowed maximum operations in a JSON patch is "
                    + "\(Patch.maximumOperations), got \(operations.count)")
        }
        faults = (Self.unknown(operations) + faults).map { "json patch \($0)" }
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
