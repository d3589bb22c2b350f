public import MartletBase

/// Where requests go: a table of typed values made from Ingresses, Gateways and their routes, Services and
/// EndpointSlices. It is swapped whole; no text of the API ever becomes configuration.
///
/// A request is looked up by its host, from the most exact to the least: by its own name, by `*.suffix`, by rules for
/// all hosts. At each step there are the rules of Ingresses, and those of the one listener of a Gateway that the host
/// belongs to: those go first whose object has named the host for longer. The first rule that matches has the request.
/// An Ingress that is only a default backend takes what is left.
public struct RouteTable: Sendable {
    /// The scope of Ingresses among the hosts; a listener's is its place, plus one.
    static let ingresses = 0

    /// The rules of each host.
    var rules = HostIndex<HostRules>()
    /// The listeners by their host names, plain (scope 0) and secure (scope 1): places in ``listeners``.
    var listenerHosts = HostIndex<Int>()
    var listeners: [RouteListener] = []
    /// Takes what no rule covers.
    var fallback: WebRoute?
    /// What serves the routes, by the places they name.
    public internal(set) var backends: [Backend] = []

    /// A table that knows no host.
    public init() {}

    /// Every host that an Ingress has a rule for; wildcards as `*.suffix`.
    public var hosts: [String] {
        let hosts = rules.hosts(of: Self.ingresses).filter { $0.form != .every }
        return hosts.filter { $0.form == .exact }.map(\.text).sorted()
            + hosts.filter { $0.form != .exact }.map(\.text).sorted()
    }

    /// Every endpoint that some route leads to.
    public var endpoints: Set<Endpoint> {
        var all: Set<Endpoint> = []
        for backend in backends {
            all.formUnion(backend.endpoints)
            if let endpoint = backend.serviceEndpoint { all.insert(endpoint) }
        }
        return all
    }

    /// Says of each backend whether a proxy that reaches these ranges reaches all its pods. Of those with some pods out
    /// of reach it reaches none: the others would get more than their share.
    public mutating func setReach(_ ranges: [IPRange]) {
        for slot in backends.indices {
            backends[slot].isWithinReach =
                !backends[slot].endpoints.isEmpty
                && backends[slot].endpoints.allSatisfy { endpoint in
                    guard case .ip(let text, _) = endpoint, let address = IPAddress(text) else { return false }
                    return ranges.contains { $0.contains(address) }
                }
        }
    }

    /// The route of a request, nil when no rule covers it. Allocates nothing, unless the path is not in its normal
    /// form, or a rule that the request may fall under looks at the query or has an expression.
    ///
    /// Where servers may read the path in ways that different rules cover (``PathReading``), it is refused: one rule
    /// would say who may come, and the pod would serve what another one guards.
    /// - Parameters:
    ///   - host: the Host field, with or without a port, in any case.
    ///   - target: the path as sent, with or without a query: the request's own.
    ///   - isSecure: whether the client came over TLS.
    public func route(
        host: String, target: String, isSecure: Bool, _ request: some RoutedRequest
    ) -> RouteMatch? {
        route(host: host.utf8.span, target: target.utf8.span, isSecure: isSecure, request)
    }

    /// As above.
    public func route(
        host: Span<UInt8>, target: Span<UInt8>, isSecure: Bool, _ request: some RoutedRequest
    ) -> RouteMatch? {
        let name = host.extracting(RequestHost.name(in: host))
        let path = target.extracting(0..<RequestPath.length(of: target))
        var parts = RequestParts()
        if RequestPath.isNormal(path) { return find(name, path, isSecure, request, &parts) }
        let sent = [UInt8](copying: path)
        let normal = RequestPath.normal(sent)
        guard let match = find(name, normal.span, isSecure, request, &parts) else { return nil }
        let refusal = "the path may be read in several ways, which different rules cover"
        switch RequestPath.clarity(of: sent) {
        case .plain: return match
        case .hopeless: return match.refused(refusal)
        case .ambiguous:
            var seen: Set<[UInt8]> = [normal]
            for reading in PathReading.others {
                let other = RequestPath.normal(sent, reading)
                guard seen.insert(other).inserted else { continue }
                parts.readAnew()
                let second = find(name, other.span, isSecure, request, &parts)
                guard let second, second.route.isLike(match.route) else { return match.refused(refusal) }
            }
            return match
        }
    }

    /// The route and the backend of a request that is passed on and that is all; nil for any other.
    /// - Parameters:
    ///   - host: as for ``route(host:target:isSecure:_:)``, and so are the others.
    ///   - draw: 64 random bits; asked for where backends share the requests.
    public func plainBackend(
        host: Span<UInt8>, target: Span<UInt8>, isSecure: Bool, _ request: some RoutedRequest,
        draw: @autoclosure () -> UInt64
    ) -> (route: WebRoute, backend: Backend)? {
        guard let route = route(host: host, target: target, isSecure: isSecure, request)?.route, route.isPlain,
            let slot = route.backend(draw: route.backends.count == 1 ? 0 : draw())?.slot
        else { return nil }
        let backend = backends[slot]
        guard backend.protocolHint == nil || backend.protocolHint == .http || route.policy.backendProtocol == .http
        else { return nil }
        return (route, backend)
    }

    private func find(
        _ host: Span<UInt8>, _ path: Span<UInt8>, _ isSecure: Bool, _ request: some RoutedRequest,
        _ parts: inout RequestParts
    ) -> RouteMatch? {
        let listener = listeners.isEmpty ? nil : self.listener(host, isSecure)
        func look(_ name: Span<UInt8>, _ ingressForm: HostForm?, _ form: HostForm) -> RouteMatch? {
            var own: HostRules?
            if let ingressForm { own = rules.find(scope: Self.ingresses, ingressForm, name) }
            var others: HostRules?
            if let listener { others = rules.find(scope: listener + 1, form, name) }
            var othersFirst = false
            if let listener, let own, let others { othersFirst = isOlder(others, of: listener, form, name, than: own) }
            if !othersFirst, let own, let match = first(of: own.rules, path, request, &parts, nil) { return match }
            if let others, let match = first(of: others.rules, path, request, &parts, listener) { return match }
            if othersFirst, let own { return first(of: own.rules, path, request, &parts, nil) }
            return nil
        }
        if let match = look(host, .exact, .exact) { return match }
        if rules.has(.oneLabel) || rules.has(.anyLabels) {
            var isFirst = true
            for index in host.indices where host[index] == UInt8(ascii: ".") {
                let parent = host.extracting((index + 1)...)
                if index > 0, let match = look(parent, isFirst ? .oneLabel : nil, .anyLabels) { return match }
                isFirst = false
            }
        }
        if let match = look(host.extracting(0..<0), .every, .every) { return match }
        return fallback.map { RouteMatch(route: $0, path: .prefix([]), listener: nil) }
    }

    /// Whether what is attached to a listener has a host for longer than the Ingresses. The host is the Gateway's where
    /// the listener itself has that name, and else the routes' that name it.
    private func isOlder(
        _ others: HostRules, of place: Int, _ form: HostForm, _ name: Span<UInt8>, than own: HostRules
    ) -> Bool {
        guard let ingress = own.age else { return true }
        let listener = listeners[place]
        // The listener's name covers this one or is it: of equal length they are the same.
        let isListeners = listener.host.form == form && listener.host.name.count == name.count
        return (isListeners ? listener.age : others.age ?? listener.age) < ingress
    }

    private func first(
        of rules: [RouteRule], _ path: Span<UInt8>, _ request: some RoutedRequest, _ parts: inout RequestParts,
        _ listener: Int?
    ) -> RouteMatch? {
        for rule in rules {
            let isMatch = rule.matches(path, request, &parts)
            if isMatch == false { continue }
            let match = RouteMatch(route: rule.route, path: rule.path, listener: listener.map { listeners[$0] })
            // Whom the rule would keep out must not come in by the next one.
            return isMatch == true ? match : match.refused("the request is too long for an expression of its rules")
        }
        return nil
    }

    /// The listener with the most exact name for this host.
    private func listener(_ host: Span<UInt8>, _ isSecure: Bool) -> Int? {
        let scope = isSecure ? 1 : 0
        if let place = listenerHosts.find(scope: scope, .exact, host) { return place }
        if listenerHosts.has(.anyLabels) {
            for index in host.indices where index > 0 && host[index] == UInt8(ascii: ".") {
                if let place = listenerHosts.find(scope: scope, .anyLabels, host.extracting((index + 1)...)) {
                    return place
                }
            }
        }
        return listenerHosts.find(scope: scope, .every, host.extracting(0..<0))
    }
}

/// What a request was found to fall under.
public struct RouteMatch: Sendable {
    /// Where it goes.
    public var route: WebRoute
    /// The rule's path, which rewrites refer to.
    public var path: PathMatch
    /// The listener of a Gateway that it came through; nil for an Ingress.
    public var listener: RouteListener?

    /// A refusal in place of the route.
    func refused(_ text: String) -> RouteMatch {
        var policy = RoutePolicy()
        policy.redirectsToSecure = route.policy.redirectsToSecure
        policy.failure = RouteFailure(status: 400, text: text)
        let refusal = WebRoute(origin: route.origin, backends: [], policy: policy)
        return RouteMatch(route: refusal, path: path, listener: listener)
    }
}

/// What routes need to know of a listener of a Gateway.
public struct RouteListener: Sendable, Hashable {
    /// Its port, which redirects name.
    public var port: Int
    /// Whether it ends TLS.
    public var isSecure: Bool
    /// Its host name.
    var host: HostPattern
    /// Of the oldest Gateway that has it.
    var age: ObjectAge
}

/// The rules of a host: those of Ingresses, or those of what is attached to one listener.
struct HostRules: Sendable {
    /// In the order in which they are tried.
    let rules: [RouteRule]
    /// Of the oldest object that has one of them; nil when they hold only where there are no others.
    let age: ObjectAge?

    /// Nil for no rules.
    init?(_ rules: [RouteRule]) {
        if rules.isEmpty { return nil }
        self.rules = rules
        age = rules.lazy.filter { $0.order.rank != RouteOrder.otherwise }.map(\.order.age).min()
    }
}
