internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletRoutes

/// One request on its way through a route: what becomes of it before and after it is sent on.
struct Passage {
    var request: Request
    var visitor: Visitor
    var match: RouteMatch

    var policy: RoutePolicy { match.route.policy }
    private var host: String { request.head.authority ?? "" }
    private var target: String { request.head.path ?? "/" }

    /// Who answers a request.
    struct Choice {
        /// Nil for one that there is not.
        var backend: Backend?
        var filters: BackendFilters
        /// What keeps the client with its endpoint; nil without affinity.
        var sticky: StickyChoice?
        /// Whether the client does not know it yet.
        var isNew = false
    }

    // MARK: Who answers

    /// Chooses the backend: that of the client's cookie, a canary's, or one by weight.
    /// - Parameter draw: 64 random bits.
    func choose(draw: UInt64, _ table: RouteTable) -> Choice {
        if let begun = begunBackend(table) { return Choice(backend: begun, filters: policy.filters) }
        let known = sticky
        for canary in policy.canaries {
            let backend = canary.slot.map { table.backends[$0] }
            if let known, let backend, known.isFor(backend) { return stick(to: backend, known, draw) }
        }
        let head = RoutedHead(head: request.head)
        let isBound = known.map { known in
            match.route.backends.contains { $0.slot.map { known.isFor(table.backends[$0]) } ?? false }
        }
        if isBound != true, let canary = policy.canaries.first(where: { $0.takes(draw: draw, field: head.field) }) {
            return stick(to: canary.slot.map { table.backends[$0] }, nil, draw)
        }
        guard let chosen = match.route.backend(draw: draw >> 8) else {
            return Choice(backend: nil, filters: policy.filters)
        }
        var choice = stick(to: chosen.slot.map { table.backends[$0] }, known, draw)
        choice.filters = chosen.filters
        return choice
    }

    /// The one that a short cut has asked already.
    private func begunBackend(_ table: RouteTable) -> Backend? {
        guard let endpoint = request.begun?.endpoint, match.route.isPlain else { return nil }
        return match.route.backends.lazy.compactMap { $0.slot.map { table.backends[$0] } }
            .first { $0.endpoints.contains(endpoint) }
    }

    private var sticky: StickyChoice? {
        guard let affinity = policy.affinity, let field = request.head.headerFields[.cookie] else { return nil }
        return Cookies.value(of: affinity.name, in: field).flatMap { StickyChoice($0) }
    }

    private func stick(to backend: Backend?, _ known: StickyChoice?, _ draw: UInt64) -> Choice {
        guard policy.affinity != nil, let backend else { return Choice(backend: backend, filters: BackendFilters()) }
        if let known, known.isFor(backend) {
            return Choice(backend: backend, filters: BackendFilters(), sticky: known)
        }
        let new = StickyChoice(key: draw, backend: backend)
        return Choice(backend: backend, filters: BackendFilters(), sticky: new, isNew: true)
    }

    /// Where the choice's pods are.
    func endpoints(_ choice: Choice) -> [Endpoint] {
        guard let backend = choice.backend else { return [] }
        if policy.goesThroughService, let service = backend.serviceEndpoint { return [service] }
        return choice.sticky?.order(backend.endpoints) ?? backend.endpoints
    }

    // MARK: On the way

    /// The answer that sends the client elsewhere.
    func redirect(_ redirect: Redirect) -> Response {
        let location = redirect.location(
            host: host, target: target, isSecure: visitor.isSecure, matched: match.path, listener: match.listener)
        var response = Response.plain(.init(code: redirect.status), "see \(location)")
        response.head.headerFields[.location] = location
        return response
    }

    /// The head that goes on to the pod; nil for a path that takes too long to rewrite.
    func onward(_ choice: Choice, requestID: @autoclosure () -> String) -> HTTPRequest? {
        var head = ProxyHeaders.onward(request, isTrusted: visitor.isTrusted, requestID: requestID())
        for filters in [policy.filters, choice.filters] {
            if let rewrite = filters.rewrite {
                guard let target = rewrite.target(head.path ?? "/", matched: match.path) else { return nil }
                head.path = target
                if let host = rewrite.host { head.authority = host }
            }
            head.headerFields.change(filters.requestFields)
        }
        if let host = policy.upstreamHost { head.authority = host }
        return head
    }

    /// What a connection to a pod begins with that is to be told of the client. Its port is known only of one that
    /// came here by itself: edges do not say it.
    var preface: (@Sendable (Endpoint) -> [UInt8])? {
        guard let version = policy.preface else { return nil }
        let source = visitor.address
        var port: UInt16 = 0
        if !visitor.isTrusted, case .ip(_, let own)? = request.peer.endpoint { port = own }
        return { [port] target in
            ProxyPreface.written(version == .one ? .one : .two, source: source, port: port, target: target)
        }
    }

    /// The answer as the client gets it.
    /// - Parameters:
    ///   - endpoint: who gave it; nil for nobody.
    ///   - endpoints: those that were asked, in their order.
    func finish(
        _ answer: Response, _ choice: Choice, by endpoint: Endpoint?, of endpoints: [Endpoint]
    ) -> Response {
        var answer = answer
        for filters in [choice.filters, policy.filters] { answer.head.headerFields.change(filters.responseFields) }
        if let cors = policy.cors {
            let origin = request.head.headerFields[.origin]
            answer.head.headerFields.change(FieldChanges(set: cors.fields(for: origin, isPreflight: false)))
        }
        if let affinity = policy.affinity, let sticky = told(choice, by: endpoint, of: endpoints) {
            let field = affinity.field(sticky, isSecure: visitor.isSecure)
            answer.head.headerFields.append(HTTPField(name: .setCookie, value: field))
        }
        return answer
    }

    /// The choice that the client is told of; nil when it knows it.
    private func told(_ choice: Choice, by endpoint: Endpoint?, of endpoints: [Endpoint]) -> StickyChoice? {
        guard let sticky = choice.sticky else { return nil }
        if policy.affinity?.changesOnFailure == true, let backend = choice.backend, let endpoint,
            endpoint != endpoints.first,
            let moved = StickyChoice.leading(to: endpoint, among: endpoints, of: backend, draw: sticky.key &+ 1)
        {
            return moved
        }
        return choice.isNew ? sticky : nil
    }
}

extension HTTPFields {
    /// Sets, adds and removes, in this order. What frames a message is not changed by anybody's wish.
    mutating func change(_ changes: FieldChanges) {
        if changes.isEmpty { return }
        for field in changes.set {
            guard let name = HTTPField.Name(field.name), !Self.framing.contains(name) else { continue }
            if name == .vary, let before = self[name] {
                self[name] = before + ", " + field.value
            } else {
                self[name] = field.value
            }
        }
        for field in changes.add {
            guard let name = HTTPField.Name(field.name), !Self.framing.contains(name) else { continue }
            append(HTTPField(name: name, value: field.value))
        }
        for text in changes.remove {
            guard let name = HTTPField.Name(text), !Self.framing.contains(name) else { continue }
            self[name] = nil
        }
    }

    private static let framing: Set<HTTPField.Name> = [
        .contentLength, .transferEncoding, .connection, .upgrade, .te, .trailer,
    ]
}
