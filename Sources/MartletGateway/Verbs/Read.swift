internal import MartletBase
internal import MartletObject
internal import MartletStore

/// What a list or watch is narrowed to.
struct Selection: Sendable {
    var labels: LabelSelector?
    var fields: FieldSelector?
    /// In whose form objects are looked at.
    let kind: ResourceKind
    /// The range of keys in which everything selected lies.
    var range: Keys.Range

    /// Reads `labelSelector` and `fieldSelector`.
    /// - Throws: 400.
    init(_ target: Target, query: Query) throws(APIError) {
        kind = target.kind
        do {
            labels = try query.text("labelSelector").map { text throws(SelectorError) in
                try LabelSelector(parsing: text)
            }
            fields = try query.text("fieldSelector").map { text throws(SelectorError) in
                try FieldSelector(parsing: text, kind: target.kind)
            }
        } catch {
            throw .badRequest(error.description)
        }
        var name = fields?.exactName ?? ""
        // A watch of one object by its path is one by its name. Who may watch by a selector may not use it to pass
        // by with another object's name.
        if !target.name.isEmpty {
            guard fields?.isEmpty ?? true || name == target.name else {
                throw .badRequest("both a name and a field selector provided; please provide one or the other")
            }
            name = target.name
        }
        range = Keys.collection(target.kind, namespace: target.namespace)
        // The one name that is allowed makes a list a single look-up.
        if Route.isSafe(name), !target.kind.isNamespaced || !target.namespace.isEmpty {
            range = Keys.single(Keys.object(target.kind, namespace: target.namespace, name: name))
        }
    }

    /// Whether all in the range is selected.
    var isEverything: Bool { labels == nil && fields == nil }

    /// Whether a stored object is selected, by what its bytes say.
    func admits(_ pair: KeyValue) -> Bool {
        var object = SelectableObject(StoredObject(stored: pair.value), as: kind)
        return admits(&object)
    }

    func admits(_ object: inout SelectableObject) -> Bool {
        if let labels, !labels.matches(object.labels) { return false }
        return fields?.matches(&object) ?? true
    }
}

extension Registry {
    /// GET of one object.
    func get(_ target: Target) async throws(APIError) -> [UInt8] { try await current(target).served(as: target.kind) }

    /// A page of a collection. All pages of one list show one revision. It ends with `limit` objects, or earlier when
    /// they are large.
    /// - Parameter room: what the page takes its memory from; nil for one that nobody waits to send.
    func list(
        _ target: Target, query: Query, renderer: Renderer = .plain, room: Admittance.Room? = nil
    ) async throws(APIError) -> ObjectList {
        let selection = try Selection(target, query: query)
        try Self.checkListOptions(query)
        let limit = try query.integer("limit").flatMap { $0 > 0 ? Int(min($0, 1 << 30)) : nil }
        let token = try query.text("continue").map { text throws(APIError) in try ContinueToken(parsing: text) }
        let revision: Int64?
        if let token {
            revision = token.revision
            if let revision { try await reach(revision) }
        } else {
            revision = try await listRevision(query)
        }
        var list = ObjectList(kind: target.kind, items: [], revision: revision ?? 0, continuation: token, room: room)
        try await turnPage(&list, selection, limit: limit ?? .max, at: revision, renderer)
        return list
    }

    /// Makes `list` the page that its token leads to; the first one when it has none.
    func turnPage(
        _ list: inout ObjectList, _ selection: Selection, limit: Int, at revision: Int64?, _ renderer: Renderer
    ) async throws(APIError) {
        var range = selection.range
        let token = list.continuation
        if let token {
            guard range.from.lexicographicallyPrecedes(token.from), token.from.lexicographicallyPrecedes(range.to)
            else {
                throw .badRequest("continue key is not valid: it is of another list")
            }
            range.from = token.from
        }
        (list.items, list.continuation, list.remaining) = ([], nil, nil)
        var walk = RangeWalk(storage, over: range, at: revision)
        do {
            try await collect(&list, &walk, selection, limit, renderer)
        } catch  where error.code == 410 && token != nil {
            var expired = APIError.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                    + "list without the continue parameter, or go on with the continue token of this answer: the rest "
                    + "of the list is then shown as it is now, and may not fit what was shown before.")
            expired.continuation = ContinueToken(from: range.from, revision: nil).text
            throw expired
        }
    }

    private func collect(
        _ list: inout ObjectList, _ walk: inout RangeWalk, _ selection: Selection, _ limit: Int, _ renderer: Renderer
    ) async throws(APIError) {
        var bytes = 0
        while let pair = try await walk.next() {
            if let revision = walk.revision { list.revision = revision }
            guard selection.admits(pair) else { continue }
            var item: [UInt8] = []
            try renderer.appendItem(pair, kind: list.kind, to: &item)
            bytes += item.count
            // They are held twice while the page is put together.
            if let room = list.room, !room.grow(by: 2 * item.count) { throw .tooManyRequests }
            list.items.append(item)
            if list.items.count >= limit || bytes >= Limits.page, !walk.isOver {
                let token = ContinueToken(from: Keys.after(pair.key), revision: list.revision)
                list.continuation = token
                // As upstream: not where a selector leaves some of them out.
                if selection.isEverything {
                    let rest = Keys.Range(from: token.from, to: selection.range.to)
                    list.remaining = await storage.count(rest, at: list.revision)
                }
                return
            }
        }
        if let revision = walk.revision { list.revision = revision }
    }

    /// The revision that a list without `continue` shows; nil: what is there now.
    func listRevision(_ query: Query) async throws(APIError) -> Int64? {
        let revision = try Self.revision(query)
        if let revision { try await reach(revision) } else { try await storage.confirm() }
        return query.text("resourceVersionMatch") == "Exact" ? revision : nil
    }

    /// Makes sure that reads see `revision`, which another gateway may have told of before it came here.
    /// - Throws: 504 when it has not happened.
    func reach(_ revision: Int64) async throws(APIError) {
        if await storage.revision() >= revision { return }
        try await storage.confirm()
        let current = await storage.revision()
        if current < revision { throw .tooNew(requested: revision, current: current) }
    }

    /// Refuses what has no meaning together (upstream's ValidateListOptions).
    static func checkListOptions(_ query: Query) throws(APIError) {
        _ = try query.integer("timeoutSeconds")
        let revision = query.text("resourceVersion")
        let goesOn = query.text("continue") != nil
        var faults: [FieldError] = []
        if let match = query.text("resourceVersionMatch") {
            if revision == nil {
                faults.forbidMatch("resourceVersionMatch is forbidden unless resourceVersion is provided")
            }
            if goesOn { faults.forbidMatch("resourceVersionMatch is forbidden when continue is provided") }
            if !["Exact", "NotOlderThan"].contains(match) {
                faults.unknownMatch(match, #""Exact", "NotOlderThan", """#)
            }
            if match == "Exact", revision == "0" {
                faults.forbidMatch("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
            }
        }
        if query["sendInitialEvents"] != nil {
            faults.append(
                FieldError(
                    .forbidden, field: "sendInitialEvents",
                    message: "Forbidden: sendInitialEvents is forbidden for list"))
        }
        if !faults.isEmpty { throw .invalidOptions("ListOptions", faults) }
        if goesOn, let revision, revision != "0" {
            throw .badRequest("specifying resource version is not allowed when using continue")
        }
    }

    /// The same for a watch.
    static func checkWatchOptions(_ query: Query) throws(APIError) {
        let match = query.text("resourceVersionMatch")
        let asksInitial = query["sendInitialEvents"] != nil
        var faults: [FieldError] = []
        if asksInitial, match != "NotOlderThan" {
            faults.forbidMatch("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        }
        if let match {
            if !asksInitial {
                faults.forbidMatch("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
            }
            if match != "NotOlderThan" { faults.unknownMatch(match, "\"NotOlderThan\"") }
        }
        if (asksInitial || match != nil), query.text("continue") != nil {
            faults.forbidMatch("resourceVersionMatch is forbidden when continue is provided")
        }
        if !faults.isEmpty { throw .invalidOptions("ListOptions", faults) }
    }

    /// `resourceVersion` of a query; nil for none and for `0`, which mean: whatever is there.
    static func revision(_ query: Query) throws(APIError) -> Int64? {
        guard let text = query.text("resourceVersion") else { return nil }
        guard let revision = Int64(text), revision >= 0 else {
            throw .badRequest("Invalid value: \"\(text)\": resourceVersion: must be a number that this server gave")
        }
        return revision == 0 ? nil : revision
    }
}

/// Where a list goes on: opaque to callers.
struct ContinueToken: Sendable, Hashable {
    /// The first key of the next page.
    var from: [UInt8]
    /// The revision that all pages show; nil: what is there now, when that of the first page is forgotten.
    var revision: Int64?

    init(from: [UInt8], revision: Int64?) {
        self.from = from
        self.revision = revision
    }

    init(parsing text: String) throws(APIError) {
        guard text.utf8.count <= 4096, let bytes = Base64.decodeForURL(text), let split = bytes.firstIndex(of: 0x20),
            let revision = Int64(String(decoding: bytes[..<split], as: UTF8.self)), revision > 0 || revision == Self.now
        else { throw .badRequest("continue key is not valid: it was not given by this server") }
        self.revision = revision == Self.now ? nil : revision
        from = Array(bytes[(split + 1)...])
    }

    var text: String { Base64.encodeForURL(Array("\(revision ?? Self.now) ".utf8) + from) }

    /// How a token says that it is not of one revision.
    private static let now: Int64 = -1
}

extension [FieldError] {
    fileprivate mutating func forbidMatch(_ why: String) {
        append(FieldError(.forbidden, field: "resourceVersionMatch", message: "Forbidden: \(why)"))
    }

    fileprivate mutating func unknownMatch(_ match: String, _ known: String) {
        let message = "Unsupported value: \"\(match)\": supported values: \(known)"
        append(FieldError(.notSupported, field: "resourceVersionMatch", message: message))
    }
}
