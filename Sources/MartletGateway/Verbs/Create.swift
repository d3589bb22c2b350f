internal import MartletBase
internal import MartletObject
internal import MartletStore

extension Registry {
    /// Creates the object in `body`.
    func create(_ target: Target, body: ObjectBody, options: WriteOptions) async throws(APIError) -> Written {
        var decoder = BodyDecoder(kind: target.kind, validation: options.validation)
        let object = try decoder.object(body)
        return try await create(target, object: consume object, options: options, warnings: decoder.warnings)
    }

    /// Creates an object that has been read already. It is changed in place, step by step: whoever else holds it makes
    /// copies of it.
    func create(
        _ target: Target, object: consuming JSON, options: WriteOptions, warnings: [String] = [],
        ownership: OwnershipPolicy = .followed
    ) async throws(APIError) -> Written {
        let strategy = Strategy.of(target.kind)
        var target = target
        var object = object
        try Self.place(&object, at: &target)
        if target.kind.isNamespaced { _ = try await namespaceGuard(target) }
        Defaults.apply(to: &object, kind: target.kind)
        let managedFields = ownership == .followed ? own(&object, createdAt: target, options) : []
        var review = AdmissionReview(
            operation: .create, target: target, identity: identity, object: consume object, old: nil)
        try await admit(&review)
        object = review.takeObject()
        Defaults.apply(to: &object, kind: target.kind)
        let generateName = target.name.isEmpty ? object["metadata", "generateName"]?.string ?? "" : ""
        let isNamed = generateName.isEmpty
        // What a strategy makes of an object may hold its name, so each name begins anew.
        let unnamed: JSON = isNamed ? .null : object
        if isNamed { try finish(&object, target, strategy) }
        for _ in 1...Limits.attempts {
            if !isNamed {
                object = unnamed
                name(&object, &target, from: generateName)
                try finish(&object, target, strategy)
            }
            let warnings =
                [target.kind.creationWarning].compactMap { $0 } + warnings + review.warnings
                + FieldWarnings.of(object, kind: target.kind) + strategy.warnings(object)
            let places = try await namespaceGuard(target) + definitionGuard(target)
            var complete = object
            try await strategy.allocate?(&complete, nil, allocator)
            let key = Keys.object(target)
            var transaction = Transaction(
                when: [.modRevision(key: key, is: 0)] + places, then: [], otherwise: [.get(key: key)])
            try await charge(&transaction, target, old: nil, new: complete)
            if target.kind == .resourceQuota { try await count(&complete, old: nil, &transaction) }
            let stored = try Self.stored(complete, managedFields: managedFields)
            if options.isDryRun {
                if await storage.get(key) != nil { throw .alreadyExists(target.subject) }
                return Written(stored, revision: 0, warnings: warnings)
            }
            transaction.success.append(.put(key: key, value: target.kind.bytesToStore(complete, stored)))
            transaction.take(review.companions)
            transaction.takeHoldings(strategy.holdings(complete), for: target)
            let result = try await storage.commit(transaction)
            if result.succeeded { return Written(stored, revision: result.revision, warnings: warnings) }
            // The name is taken, the namespace or the definition has changed, or another Service was quicker with the
            // address.
            let isTaken = result.results.first.flatMap { $0 } != nil
            if isTaken && isNamed { throw .alreadyExists(target.subject) }
        }
        throw .conflict(target.subject, "too many others write at the same time; try again")
    }

    /// Brings the object's name and namespace and those of the request together.
    private static func place(_ object: inout JSON, at target: inout Target) throws(APIError) {
        if target.kind.isNamespaced {
            let stated = object.namespace
            if target.namespace.isEmpty {
                throw .methodNotAllowed
            }
            if !stated.isEmpty && stated != target.namespace {
                throw .badRequest(
                    "the namespace of the provided object does not match the namespace sent on the request")
            }
            object["metadata", "namespace"] = .string(target.namespace)
        } else {
            // As upstream: charts state one for objects of the whole cluster, too.
            object["metadata", "namespace"] = nil
        }
        if !object.resourceVersion.isEmpty {
            throw .badRequest("resourceVersion should not be set on objects to be created")
        }
        target.name = object.name
    }

    /// Brings an object that has its name into the form that is stored.
    /// - Throws: 422.
    private func finish(_ object: inout JSON, _ target: Target, _ strategy: Strategy) throws(APIError) {
        for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            object["metadata", field] = nil
        }
        object.dropEmptyMetadata()
        stamp(&object)
        if strategy.generations != .none { object["metadata", "generation"] = 1 }
        if target.kind.subresources.contains("status") && !strategy.keepsStatusOnCreate {
            object["status"] = strategy.initialStatus
        }
        strategy.prepareForCreate(&object)
        strategy.nameRequester(&object, identity)
        try Self.validate(object, target)
    }

    /// With what every stored object has: who it is, and since when.
    func stamped(_ object: JSON) -> JSON {
        var object = object
        stamp(&object)
        return object
    }

    private func stamp(_ object: inout JSON) {
        object["metadata", "uid"] = .string(uuid())
        object["metadata", "creationTimestamp"] = .string(world.wallTime().rfc3339)
    }

    /// `metadata.generateName` and five characters that spell no words.
    private func name(_ object: inout JSON, _ target: inout Target, from prefix: String) {
        let letters = Array("bcdfghjklmnpqrstvwxz2456789")
        var name = String(prefix.prefix(58))
        for _ in 0..<5 { name.append(letters[Int(world.random() % UInt64(letters.count))]) }
        object["metadata", "name"] = .string(name)
        target.name = name
    }

    /// The form that is stored.
    /// - Parameter managedFields: their text where the object itself has none.
    /// - Throws: 400 for an object that would be too deep to be read again, with what is made around it.
    static func stored(_ object: JSON, managedFields: [UInt8] = []) throws(APIError) -> StoredObject {
        guard !object.isDeeper(than: Limits.objectDepth) else {
            throw .badRequest("the object has more than \(Limits.objectDepth) levels; exceeded max depth")
        }
        return StoredObject(object, managedFields: managedFields)
    }

    private static func validate(_ object: JSON, _ target: Target) throws(APIError) {
        var faults: [FieldError] = []
        if target.name.isEmpty {
            faults.append(
                FieldError(
                    .required, field: "metadata.name", message: "Required value: name or generateName is required"))
        } else if !Route.isSafe(target.name) {
            faults.append(
                FieldError(
                    .invalid, field: "metadata.name",
                    message: "Invalid value: \"\(target.name)\": may not contain '/', '%' or blanks"))
        }
        let named = Set(faults.map(\.field))
        faults += Validation.create(object, kind: target.kind).filter { !named.contains($0.field) }
        if !faults.isEmpty { throw .invalid(target.kind, name: target.name, faults) }
    }

    /// A random UUID (RFC 9562 version 4).
    func uuid() -> String {
        let high = (world.random() & ~0xF000) | 0x4000
        let low = (world.random() & ~(0xC000 << 48)) | (0x8000 << 48)
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: 36) { text in
            var place = 0
            for word in [high, low] {
                for shift in stride(from: 60, through: 0, by: -4) {
                    if [8, 13, 18, 23].contains(place) {
                        text[place] = UInt8(ascii: "-")
                        place += 1
                    }
                    text[place] = digits[Int(word >> UInt64(shift) & 0xF)]
                    place += 1
                }
            }
            return place
        }
    }
}

extension Transaction {
    /// Takes keys of the pools, on condition that nobody has them.
    mutating func takeHoldings(_ keys: Set<[UInt8]>, for target: Target) {
        for key in keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            conditions.append(.modRevision(key: key, is: 0))
            success.append(.put(key: key, value: Array("\(target.namespace)/\(target.name)".utf8)))
        }
    }

    /// Gives keys of the pools back.
    mutating func returnHoldings(_ keys: Set<[UInt8]>) {
        for key in keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) { success.append(.delete(key: key)) }
    }
}
