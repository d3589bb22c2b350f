internal import MartletObject
internal import MartletStore

/// What part of an object a write may change.
enum WritePart: Sendable {
    /// All but the status.
    case main
    /// The status, and what people note in the metadata.
    case status
    /// The word of an approver in the status of a CertificateSigningRequest.
    case approval
    /// A pod's ephemeral containers.
    case ephemeralContainers
    /// The CPU and memory of a pod's containers.
    case resize
    /// Whatever the change changes: the server's own doing (binding, finalizing).
    case whole

    /// What a subresource shows.
    init(subresource: String) {
        switch subresource {
        case "status": self = .status
        case "approval": self = .approval
        case "ephemeralcontainers": self = .ephemeralContainers
        case "resize": self = .resize
        default: self = .main
        }
    }
}

/// Who keeps account of a write's fields.
enum OwnershipPolicy: Sendable {
    /// The verb: who writes owns what has changed.
    case followed
    /// The change itself: the object's `managedFields` are right already.
    case decided
    /// Nobody: the write is the server's own.
    case kept
}

extension Registry {
    /// Reads the object, lets `change` make the new one of it, and writes that on condition that nobody else wrote in
    /// between; otherwise decides anew. A change that names the resourceVersion it was made from gets a conflict
    /// instead, because the second time it is not the current one.
    func modify(
        _ target: Target, part: WritePart, options: WriteOptions, ownership: OwnershipPolicy = .followed,
        change: (JSON) async throws(APIError) -> (object: JSON, warnings: [String])
    ) async throws(APIError) -> Written {
        let strategy = Strategy.of(target.kind)
        for _ in 1...Limits.attempts {
            let pair = try await current(target)
            let old = try pair.object(as: target.kind)
            var (object, warnings) = try await change(old)
            if ownership == .kept { object["metadata", "managedFields"] = old["metadata", "managedFields"] }
            try Self.identify(&object, old: old, target)
            if part == .ephemeralContainers { object = Self.keepEphemeralContainers(of: object, on: old) }
            if part == .resize { object = Self.keepResources(of: object, on: old) }
            if part != .whole { Defaults.apply(to: &object, kind: target.kind) }
            if ownership == .followed { own(&object, changedFrom: old, at: target, options) }
            Self.prepare(&object, old: old, part, target, strategy)
            if part != .whole { try await admitUpdate(&object, old: old, target, &warnings) }
            try Self.validate(object, from: old, part, target)
            switch part {
            case .main, .ephemeralContainers, .resize:
                if part == .main { try await strategy.allocate?(&object, old, allocator) }
                let generation = strategy.generation(of: object, after: old)
                if generation > 0 { object["metadata", "generation"] = .int(Int64(generation)) }
                if generation == 0 || generation > old.generation {
                    warnings += FieldWarnings.of(object, kind: target.kind)
                }
                warnings += strategy.warnings(object)
            case .status, .approval, .whole: break
            }
            if Self.isGone(object, strategy) {
                var removal = Self.removal(of: pair, object: old, strategy)
                try await charge(&removal, target, old: old, new: nil)
                if options.isDryRun { return Written(bytes: try pair.served(as: target.kind), warnings: warnings) }
                if try await storage.commit(removal).succeeded {
                    return Written(StoredObject(object), revision: pair.modRevision, warnings: warnings)
                }
                continue
            }
            var transaction = Transaction(when: [.modRevision(key: pair.key, is: pair.modRevision)], then: [])
            if object != old { try await charge(&transaction, target, old: old, new: object) }
            if target.kind == .resourceQuota, part == .main { try await count(&object, old: old, &transaction) }
            let stored = try Self.stored(object)
            // A change that changes nothing is not written: no event wakes anybody.
            if object == old || options.isDryRun {
                return Written(stored, revision: pair.modRevision, warnings: warnings)
            }
            transaction.success.append(.put(key: pair.key, value: target.kind.bytesToStore(object, stored)))
            let (before, after) = (strategy.holdings(old), strategy.holdings(object))
            transaction.takeHoldings(after.subtracting(before), for: target)
            transaction.returnHoldings(before.subtracting(after))
            let result = try await storage.commit(transaction)
            if result.succeeded { return Written(stored, revision: result.revision, warnings: warnings) }
        }
        throw .modified(target.subject)
    }

    private func admitUpdate(
        _ object: inout JSON, old: JSON, _ target: Target, _ warnings: inout [String]
    ) async throws(APIError) {
        var review = AdmissionReview(operation: .update, target: target, identity: identity, object: object, old: old)
        try await admit(&review)
        object = review.object
        warnings += review.warnings
    }

    /// The removal of an object, with all that it holds.
    static func removal(of pair: KeyValue, object: JSON, _ strategy: Strategy) -> Transaction {
        var transaction = Transaction(
            when: [.modRevision(key: pair.key, is: pair.modRevision)], then: [.delete(key: pair.key)])
        transaction.returnHoldings(strategy.holdings(object))
        return transaction
    }

    /// Whether nothing keeps an object that is being deleted any longer.
    static func isGone(_ object: JSON, _ strategy: Strategy) -> Bool {
        object.isTerminating && (object["metadata", "finalizers"]?.array ?? []).isEmpty
            && (object["metadata", "deletionGracePeriodSeconds"]?.int ?? 0) == 0 && !strategy.holdsRemoval(object)
    }

    /// Holds the new object against the request and the old one, and keeps what is the server's.
    private static func identify(_ object: inout JSON, old: JSON, _ target: Target) throws(APIError) {
        if object.name.isEmpty { object["metadata", "name"] = .string(old.name) }
        guard object.name == old.name else {
            throw .badRequest(
                "the name of the object (\(object.name)) does not match the name on the URL (\(target.name))")
        }
        if target.kind.isNamespaced {
            if object.namespace.isEmpty { object["metadata", "namespace"] = .string(old.namespace) }
            guard object.namespace == old.namespace else {
                throw .badRequest(
                    "the namespace of the provided object does not match the namespace sent on the request")
            }
        } else {
            object["metadata", "namespace"] = nil
        }
        if !object.uid.isEmpty && object.uid != old.uid {
            throw .conflict(
                target.subject,
                "Precondition failed: UID in precondition: \(object.uid), UID in object meta: \(old.uid)"
            )
        }
        if object.resourceVersion.isEmpty {
            if Strategy.of(target.kind).needsRevisionOnUpdate {
                throw .invalid(
                    target.kind, name: target.name,
                    [
                        FieldError(
                            .invalid, field: "metadata.resourceVersion",
                            message: "Invalid value: 0x0: must be specified for an update")
                    ])
            }
        } else if object.resourceVersion != old.resourceVersion {
            throw .modified(target.subject)
        }
        let kept = [
            "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink",
            "generateName",
        ]
        for field in kept { object["metadata", field] = old["metadata", field] }
        object.dropEmptyMetadata()
        object["metadata", "resourceVersion"] = .string(old.resourceVersion)
    }

    /// Keeps what a write of this part does not change, and lets the kind's strategy make the object ready.
    private static func prepare(
        _ object: inout JSON, old: JSON, _ part: WritePart, _ target: Target, _ strategy: Strategy
    ) {
        switch part {
        case .main:
            if target.kind.subresources.contains("status") { object["status"] = old["status"] }
            strategy.prepareForUpdate(&object, old)
        case .status, .approval:
            finishStatus(&object, old: old, part, strategy)
            if target.kind.custom != nil { Defaults.apply(to: &object, kind: target.kind) }
        // What they keep was settled before, for the account of who owns which field.
        case .ephemeralContainers, .resize, .whole: break
        }
    }

    /// All but the ephemeral containers is as it was.
    private static func keepEphemeralContainers(of object: JSON, on old: JSON) -> JSON {
        var pod = old
        pod["spec", "ephemeralContainers"] = object["spec", "ephemeralContainers"]
        pod["metadata", "managedFields"] = object["metadata", "managedFields"]
        return pod
    }

    /// All but the resources of its containers is as it was. Containers that are not those of the pod are left in,
    /// for validation to name them.
    private static func keepResources(of object: JSON, on old: JSON) -> JSON {
        var pod = old
        pod["metadata", "managedFields"] = object["metadata", "managedFields"]
        for list in ["containers", "initContainers"] {
            let (olds, news) = (old["spec", list]?.array ?? [], object["spec", list]?.array ?? [])
            guard news.map({ $0["name"] }) == olds.map({ $0["name"] }) else {
                pod["spec", list] = object["spec", list]
                continue
            }
            if olds.isEmpty { continue }
            pod["spec", list] = .array(
                zip(news, olds).map { new, old in
                    var container = old
                    for field in ["resources", "resizePolicy"] { container[field] = new[field] }
                    return container
                })
        }
        return pod
    }

    /// All but metadata and status is as it was.
    private static func finishStatus(_ object: inout JSON, old: JSON, _ part: WritePart, _ strategy: Strategy) {
        var finished = old
        for name in ["labels", "annotations", "finalizers", "ownerReferences"]
        where !strategy.keptByStatus.contains(name) {
            finished["metadata", name] = object["metadata", name]
        }
        finished.dropEmptyMetadata()
        finished["metadata", "managedFields"] = object["metadata", "managedFields"]
        finished["status"] = object["status"]
        object = finished
        strategy.prepareForStatus(&object, old, part)
    }

    /// Holds the object, as admission left it, against the rules of its kind.
    private static func validate(
        _ object: JSON, from old: JSON, _ part: WritePart, _ target: Target
    ) throws(APIError) {
        let faults: [FieldError]
        switch part {
        case .main: faults = Validation.update(object, from: old, kind: target.kind)
        case .status, .approval: faults = Validation.status(object, from: old, kind: target.kind)
        case .ephemeralContainers: faults = Validation.ephemeralContainers(object, from: old)
        case .resize: faults = Validation.resize(object, from: old)
        case .whole: faults = []
        }
        if !faults.isEmpty { throw .invalid(target.kind, name: target.name, faults) }
    }
}
