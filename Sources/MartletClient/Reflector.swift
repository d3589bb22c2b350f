internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// Takes the lines out of a watch's body: each is one JSON object, however the body was cut. A pure value.
struct WatchLines: Sendable {
    private var partial: [UInt8] = []

    /// Adds a piece and takes out the lines that are whole.
    /// - Throws: ``HTTPError/bodyTooLarge(limit:)`` for a line over ``ClientBounds/line``.
    mutating func push(_ piece: [UInt8]) throws(HTTPError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = piece.startIndex
        while let end = piece[start...].firstIndex(of: 10) {
            let line = partial + piece[start..<end]
            partial = []
            start = end + 1
            if !line.isEmpty { lines.append(line) }
        }
        partial += piece[start...]
        if partial.count > ClientBounds.line { throw .bodyTooLarge(limit: ClientBounds.line) }
        return lines
    }
}

/// What the follower of a kind holds, and the changes that make it so: a pure value.
struct Reflection: Sendable {
    /// Where an object is, within one kind.
    struct Key: Sendable, Hashable {
        var namespace: String
        var name: String
        init(_ object: JSON) {
            namespace = object.namespace
            name = object.name
        }
    }
    /// What a line of a watch was.
    enum Line: Sendable, Hashable {
        /// An event that was taken in.
        case taken
        /// The server cannot resume from where we are: list anew.
        case expired
        /// The server says that the watch has failed.
        case failed(String)
    }

    private let keep: (@Sendable (JSON) -> JSON)?
    private var known: [Key: JSON] = [:]
    private var listed: Set<Key> = []
    private var isSynced = false
    /// What is to be told next; bounded by a page of a list or a piece of a watch, and what a new list removes.
    private(set) var changes: [Change] = []
    /// From where a watch resumes; empty before the first list has ended.
    private(set) var resourceVersion = ""

    /// - Parameter keeping: what is kept of each object; nil for all of it.
    init(keeping: (@Sendable (JSON) -> JSON)? = nil) { keep = keeping }

    /// Takes out what is to be told.
    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    /// A list begins, again or for the first time.
    mutating func beginList() { listed = [] }

    /// A page of the list. What is known already in this version is not told again.
    mutating func take(_ page: ListPage) {
        for item in page.items {
            listed.insert(Key(item))
            put(item)
        }
        guard page.token == nil else { return }
        for (key, object) in known.sorted(by: { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) })
        where !listed.contains(key) {
            known[key] = nil
            changes.append(.removed(object))
        }
        listed = []
        resourceVersion = page.resourceVersion
        if !isSynced { changes.append(.synced) }
        isSynced = true
    }

    /// A line of a watch.
    /// - Throws: `JSONError`.
    mutating func take(line: [UInt8], kind: ResourceKind) throws -> Line {
        let event = try JSON(parsing: line)
        guard let type = event["type"]?.string, let object = event["object"] else {
            return .failed("a line of the watch is no event")
        }
        switch type {
        case "ADDED", "MODIFIED": put(Client.typed(object, kind))
        case "DELETED":
            if known.removeValue(forKey: Key(object)) != nil {
                let typed = Client.typed(object, kind)
                changes.append(.removed(keep?(typed) ?? typed))
            }
        case "BOOKMARK": break
        case "ERROR":
            let error = APIError(status: object, code: 500)
            return error.code == 410 ? .expired : .failed("\(error)")
        default: return .failed("an event of type \(type)")
        }
        if !object.resourceVersion.isEmpty { resourceVersion = object.resourceVersion }
        return .taken
    }

    private mutating func put(_ object: JSON) {
        let key = Key(object)
        if let old = known[key], old.resourceVersion == object.resourceVersion, old.uid == object.uid { return }
        let kept = keep?(object) ?? object
        known[key] = kept
        changes.append(.put(kept))
    }
}

/// Follows a kind: lists, watches, resumes. It works only while somebody waits for the next change.
actor Reflector {
    private enum Phase {
        case list(after: String?)
        case watch
        case watching(body: RequestBody, until: MonotonicTime)
    }

    private let client: Client
    private let scope: ListScope
    private let logger: Logger
    private var reflection: Reflection
    private var lines = WatchLines()
    private var phase = Phase.list(after: nil)
    private var told: [Change] = []
    private var nextTold = 0
    private var failures = 0
    /// The kind of the fault that was logged last; empty since something was read.
    private var fault = ""
    private var watchBegan = MonotonicTime(nanoseconds: 0)

    init(_ client: Client, _ scope: ListScope, keeping: (@Sendable (JSON) -> JSON)?, logger: Logger) {
        reflection = Reflection(keeping: keeping)
        self.client = client
        self.scope = scope
        self.logger = logger
    }

    /// The next change; nil when the task is cancelled.
    func next() async -> Change? {
        while !Task.isCancelled {
            if nextTold < told.count {
                defer { nextTold += 1 }
                return told[nextTold]
            }
            do {
                try await advance()
            } catch {
                guard await recover(from: error) else { return nil }
            }
            told = reflection.takeChanges()
            nextTold = 0
        }
        return nil
    }

    /// One step: a page of the list, the beginning of a watch, or a piece of it.
    private func advance() async throws {
        switch phase {
        case .list(let token):
            if token == nil { reflection.beginList() }
            let page = try await client.page(of: scope, after: token)
            reflection.take(page)
            fault = ""
            phase = page.token.map { .list(after: $0) } ?? .watch
        case .watch: try await beginWatch()
        case .watching(let body, let deadline): try await readWatch(body, until: deadline)
        }
    }

    private func beginWatch() async throws {
        let seconds = ClientBounds.watchSeconds + client.world.random() % ClientBounds.watchSeconds
        let query =
            scope.query + [
                URLQuery("watch", "true"), URLQuery("allowWatchBookmarks", "true"),
                URLQuery("resourceVersion", reflection.resourceVersion),
                URLQuery("timeoutSeconds", String(seconds)),
            ]
        let request = Client.request(.get, URLQuery.append(query, to: scope.path))
        let transport = client.transport
        let response = try await client.world.limited(to: ClientBounds.call, "the watch of \(scope.path)") {
            try await transport.send(request, body: [])
        }
        let status = response.head.status.code
        guard status == 200 else {
            let body = try await response.body.collect(limit: ClientBounds.line)
            throw APIError(status: status, body: body)
        }
        watchBegan = client.world.now()
        lines = WatchLines()
        phase = .watching(
            body: response.body, until: watchBegan + .seconds(Int64(seconds)) + ClientBounds.watchGrace)
    }

    private func readWatch(_ body: RequestBody, until deadline: MonotonicTime) async throws {
        let piece: [UInt8]?
        switch body {
        case .bytes(let bytes):
            piece = bytes
            phase = .watching(body: .bytes([]), until: deadline)
        case .stream(let next):
            let left = max(.zero, deadline - client.world.now())
            piece = try await client.world.limited(to: left, "the watch of \(scope.path)") { try await next() ?? [] }
        }
        guard let piece, !piece.isEmpty else { return try await endWatch() }
        for line in try lines.push(piece) {
            switch try reflection.take(line: line, kind: scope.kind) {
            case .taken: (failures, fault) = (0, "")
            case .expired: throw APIError(code: 410, reason: "Expired", message: "the watch cannot be resumed")
            case .failed(let why): throw APIError(code: 500, reason: "", message: why)
            }
        }
    }

    /// The server has ended the watch, as it does every few minutes. One that ends at once is not begun again at once.
    private func endWatch() async throws {
        phase = .watch
        if client.world.now() - watchBegan < .seconds(1) { try await pause() }
    }

    /// After a failure: decides where to go on, and waits. False when the task is cancelled.
    private func recover(from error: any Error) async -> Bool {
        if error is CancellationError || Task.isCancelled { return false }
        switch phase {
        case .list: phase = .list(after: nil)
        case .watch, .watching: phase = .watch
        }
        if let error = error as? APIError, error.code == 410 {
            phase = .list(after: nil)
            if failures == 0 {
                failures = 1
                return true
            }
        }
        if error is JSONError || error is HTTPError { phase = .list(after: nil) }
        // While there is no leader everybody who follows anything would say so again and again.
        let kind = (error as? APIError).map { "\($0.code)" } ?? "\(type(of: error))"
        if kind != fault { logger.warning("following \(scope.path): \(error); it is tried again and again") }
        fault = kind
        return (try? await pause()) != nil
    }

    /// Waits, longer after each failure, and by chance up to half as long again, so that many do not come at once.
    private func pause() async throws {
        let doubled = ClientBounds.firstPause * (1 << min(failures, 20))
        failures += 1
        let base = min(doubled, ClientBounds.longestPause)
        let jitter = base * Double(client.world.random() % 1024) / 2048
        try await client.world.sleep(for: min(base + jitter, ClientBounds.longestPause))
    }
}
