internal import MartletBase
internal import MartletObject
internal import MartletStore

/// DeleteOptions (meta/v1), from a request's body and query.
struct DeleteOptions: Sendable, Hashable {
    /// What becomes of the objects that this one owns.
    enum Propagation: String, Sendable {
        case background = "Background"
        case foreground = "Foreground"
        case orphan = "Orphan"
    }

    var gracePeriodSeconds: Int?
    var propagation: Propagation?
    var uid: String?
    var resourceVersion: String?
    var isDryRun = false

    init() {}

    /// As upstream: the body says all, and without one the query does.
    init(body: ObjectBody, query: Query) throws(APIError) {
        try self.init(body.bytes.isEmpty ? Self.object(query) : SmallBody.parse(body, as: "DeleteOptions"))
    }

    /// The options of a query, as a body has them.
    private static func object(_ query: Query) throws(APIError) -> JSON {
        var object: JSON = [:]
        if let seconds = try query.integer("gracePeriodSeconds") { object["gracePeriodSeconds"] = .int(seconds) }
        for name in ["uid", "resourceVersion"] {
            if let text = query.text(name) { object["preconditions", name] = .string(text) }
        }
        if let text = query.text("dryRun") { object["dryRun"] = [.string(text)] }
        if let orphans = query.flag("orphanDependents") { object["orphanDependents"] = .bool(orphans) }
        if let text = query.text("propagationPolicy") { object["propagationPolicy"] = .string(text) }
        return object
    }

    init(_ object: JSON) throws(APIError) {
        gracePeriodSeconds = object["gracePeriodSeconds"]?.int
        // As upstream: less than nothing is the shortest that there is.
        if let seconds = gracePeriodSeconds { gracePeriodSeconds = seconds < 0 ? 1 : min(seconds, 1 << 31) }
        uid = object["preconditions", "uid"]?.string
        resourceVersion = object["preconditions", "resourceVersion"]?.string
        if let text = object["dryRun"]?[0]?.string {
            if text != "All" { throw .invalidOptions("DeleteOptions", [WriteOptions.dryRunFault(text)]) }
            isDryRun = true
        }
        let orphans = object["orphanDependents"]?.bool
        if let text = object["propagationPolicy"]?.string {
            if orphans != nil {
                throw Self.policyFault(
                    .invalid, "Invalid value: \"\(text)\": orphanDependents and deletionPropagation cannot be both set")
            }
            guard let propagation = Propagation(rawValue: text) else {
                let known = "\"Foreground\", \"Background\", \"Orphan\", \"nil\""
                throw Self.policyFault(.notSupported, "Unsupported value: \"\(text)\": supported values: \(known)")
            }
            self.propagation = propagation
        } else if let orphans {
            propagation = orphans ? .orphan : .background
        }
    }

    private static func policyFault(_ reason: FieldError.Reason, _ message: String) -> APIError {
        .invalidOptions("DeleteOptions", [FieldError(reason, field: "propagationPolicy", message: message)])
    }
}

extension Registry {
    /// What a deletion does to an object, as it stands.
    enum Deletion: Sendable, Hashable {
        /// It goes at once.
        case remove
        /// It stays, marked: those who hold it must let go of it first.
        case mark(JSON)
        /// It is marked already, and nothing changes.
        case wait
    }

    /// DELETE of one object. Answers with the object, or a Status when it is gone and its kind says so.
    func delete(_ target: Target, options: DeleteOptions) async throws(APIError) -> Answer {
        let strategy = Strategy.of(target.kind)
        for _ in 1...Limits.attempts {
            let pair = try await current(target)
            let object = try pair.object(as: target.kind)
            try Self.check(options, object, target)
            if let why = strategy.refusesDeletion(object) { throw .forbidden(target.subject, why) }
            var review = AdmissionReview(
                operation: .delete, target: target, identity: identity, object: object, old: nil)
            try await admit(&review)
            var transaction: Transaction
            var answer: Answer
            let decision = Self.deletion(of: object, strategy, options, now: world.wallTime())
            switch decision {
            case .wait: return .object(try pair.served(as: target.kind), kind: target.kind, code: 200)
            case .remove:
                transaction = Self.removal(of: pair, object: object, strategy)
                try await charge(&transaction, target, old: object, new: nil)
                answer =
                    strategy.returnsDeletedObject
                    ? .object(try pair.served(as: target.kind), kind: target.kind, code: 200)
                    : Self.success(object, target)
            case .mark(let marked):
                let stored = StoredObject(marked)
                transaction = Transaction(
                    when: [.modRevision(key: pair.key, is: pair.modRevision)],
                    then: [.put(key: pair.key, value: target.kind.bytesToStore(marked, stored))])
                answer = .object(stored.served(resourceVersion: pair.modRevision), kind: target.kind, code: 200)
            }
            if options.isDryRun { return answer }
            let result = try await storage.commit(transaction)
            guard result.succeeded else { continue }
            if case .mark(let marked) = decision {
                answer = .object(
                    StoredObject(marked).served(resourceVersion: result.revision), kind: target.kind, code: 200)
            }
            return answer
        }
        throw .modified(target.subject)
    }

    /// DELETE of a collection: each object that is selected, as it is met.
    /// - Parameters:
    ///   - renderer: how those that are deleted are shown.
    ///   - room: where the memory for them is taken from.
    func deleteCollection(
        _ target: Target, query: Query, options: DeleteOptions, renderer: Renderer, room: Admittance.Room?
    ) async throws(APIError) -> Answer {
        if target.kind.isNamespaced && target.namespace.isEmpty { throw .methodNotAllowed }
        let first = try await list(target, query: query, room: room)
        // Rows of a table and bare metadata are made of what is there before.
        let isPlain = renderer.representation == .json
        let shown = isPlain ? first : try await list(target, query: query, renderer: renderer, room: room)
        try await delete(first, target, options)
        if first.continuation == nil { return .list(shown) }
        if let limit = try query.integer("limit"), limit > 0, first.items.count >= limit { return .list(shown) }
        // So much that nobody is told of each.
        let selection = try Selection(target, query: query)
        var page = first
        while page.continuation != nil {
            try await turnPage(&page, selection, limit: .max, at: page.revision, .plain)
            try await delete(page, target, options)
        }
        return .document(Self.successStatus, code: 200)
    }

    /// Deletes every object of a kind, in all namespaces.
    /// - Returns: whether there is none left.
    func empty(_ kind: ResourceKind) async throws(APIError) -> Bool {
        let all = Target(kind: kind, namespace: "", name: "", subresource: "")
        let selection = try Selection(all, query: Query(""))
        var page = try await list(all, query: Query("limit=\(Limits.listChunk)"))
        if page.items.isEmpty { return true }
        try await delete(page, all, DeleteOptions())
        while page.continuation != nil {
            try await turnPage(&page, selection, limit: Limits.listChunk, at: page.revision, .plain)
            try await delete(page, all, DeleteOptions())
        }
        return try await list(all, query: Query("limit=1")).items.isEmpty
    }

    private func delete(_ page: ObjectList, _ target: Target, _ options: DeleteOptions) async throws(APIError) {
        for bytes in page.items {
            let object = try Renderer.parse(bytes)
            var one = target
            (one.namespace, one.name) = (object.namespace, object.name)
            do {
                _ = try await delete(one, options: options)
            } catch  where error.code == 404 {
                continue  // Somebody else was quicker, and the wish is fulfilled.
            }
        }
    }

    /// Decides a deletion. A pure function of the object and the request.
    static func deletion(of object: JSON, _ strategy: Strategy, _ options: DeleteOptions, now: WallTime) -> Deletion {
        var marked = object
        var finalizers = (object["metadata", "finalizers"]?.array ?? [])
        let isUndecided = !finalizers.contains("orphan") && !finalizers.contains("foregroundDeletion")
        let byKind = strategy.orphansByDefault && isUndecided ? DeleteOptions.Propagation.orphan : nil
        switch options.propagation ?? byKind {
        case .foreground, .orphan:
            let wanted: JSON = options.propagation == .foreground ? "foregroundDeletion" : "orphan"
            finalizers.removeAll { ["orphan", "foregroundDeletion"].contains($0) && $0 != wanted }
            if !finalizers.contains(wanted) { finalizers.append(wanted) }
        case .background: finalizers.removeAll { ["orphan", "foregroundDeletion"].contains($0) }
        case nil: break
        }
        marked["metadata", "finalizers"] = finalizers.isEmpty ? nil : .array(finalizers)
        let isHeld = !finalizers.isEmpty || strategy.holdsRemoval(object)
        let grace = remainingGrace(object, strategy, options)
        if grace == 0 && !isHeld { return .remove }
        let before = object["metadata", "deletionGracePeriodSeconds"]?.int
        if !object.isTerminating || grace < (before ?? 0) {
            let since = object.isTerminating ? begin(of: object) ?? now : now
            marked["metadata", "deletionTimestamp"] = .string((since + .seconds(grace)).rfc3339)
            marked["metadata", "deletionGracePeriodSeconds"] = .int(Int64(grace))
        }
        if !object.isTerminating {
            if object.generation > 0 { marked["metadata", "generation"] = .int(Int64(object.generation) + 1) }
            strategy.prepareForDelete(&marked)
        }
        return marked == object ? .wait : .mark(marked)
    }

    /// The seconds that the object gets, or has left when its deletion has begun: that may be shortened, never
    /// lengthened.
    private static func remainingGrace(_ object: JSON, _ strategy: Strategy, _ options: DeleteOptions) -> Int {
        guard let gracePeriod = strategy.gracePeriod else { return 0 }
        guard object.isTerminating else { return gracePeriod(object, options.gracePeriodSeconds) }
        let before = object["metadata", "deletionGracePeriodSeconds"]?.int ?? 0
        guard options.gracePeriodSeconds != nil else { return before }
        return min(before, gracePeriod(object, options.gracePeriodSeconds))
    }

    /// When the deletion of an object was asked for.
    private static func begin(of object: JSON) -> WallTime? {
        guard let end = WallTime(rfc3339: object["metadata", "deletionTimestamp"]?.string ?? "") else { return nil }
        return end + .seconds(-(object["metadata", "deletionGracePeriodSeconds"]?.int ?? 0))
    }

    static func check(_ options: DeleteOptions, _ object: JSON, _ target: Target) throws(APIError) {
        if let uid = options.uid, uid != object.uid {
            throw .conflict(
                target.subject, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(object.uid)")
        }
        if let wanted = options.resourceVersion, wanted != object.resourceVersion {
            throw .conflict(
                target.subject,
                "Precondition failed: ResourceVersion in precondition: \(wanted), "
                    + "ResourceVersion in object meta: \(object.resourceVersion)")
        }
    }

    private static func success(_ object: JSON, _ target: Target) -> Answer {
        var status = successStatus
        status["details"] = target.subject.details(("uid", .string(object.uid)))
        return .document(status, code: 200)
    }

    /// A Status that says: done.
    static let successStatus: JSON = ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success"]
}
