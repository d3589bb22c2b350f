internal import MartletBase
internal import MartletObject

/// What one HTTPRoute says, apart from where it is attached.
struct CompiledHTTPRoute: Sendable {
    /// A rule without its host.
    var rules: [RouteRule] = []
    var hostnames: [String] = []
    var slots: [Int] = []
    var services: Set<String> = []
    var resolved = GatewayCondition("ResolvedRefs", true, "ResolvedRefs")
    /// Rules and matches that cannot be carried out, and why; they answer 500.
    var faults: [String] = []
    var ruleCount = 0
    /// How many rules have no match that can be carried out.
    var brokenRules = 0
    /// Whether another namespace's Service is named: a ReferenceGrant matters then.
    var crossesNamespaces = false
}

/// Reads one HTTPRoute.
struct HTTPRouteReader {
    private let route: JSON
    private let grants: ReferenceGrants
    private let origin: RouteOrigin
    private var result = CompiledHTTPRoute()
    private var place = 0

    private init(_ route: JSON, grants: ReferenceGrants) {
        self.route = route
        self.grants = grants
        origin = RouteOrigin(kind: "HTTPRoute", namespace: route.namespace, name: route.name)
    }

    static func read(_ route: JSON, grants: ReferenceGrants, _ slots: inout ServiceSlots) -> CompiledHTTPRoute {
        var reader = HTTPRouteReader(route, grants: grants)
        reader.result.hostnames = (route["spec", "hostnames"]?.array ?? []).compactMap(\.string)
        for rule in route["spec", "rules"]?.array ?? [] { reader.read(rule, &slots) }
        return reader.result
    }

    private mutating func read(_ rule: JSON, _ slots: inout ServiceSlots) {
        result.ruleCount += 1
        var policy = RoutePolicy()
        policy.redirectsToSecure = false
        let faults = result.faults.count
        policy.filters = filters(rule["filters"], &slots)
        policy.timeouts.request = duration(rule["timeouts", "request"])
        policy.timeouts.backendRequest = duration(rule["timeouts", "backendRequest"])
        let backends = (rule["backendRefs"]?.array ?? []).map { backend($0, &slots) }
        let isBroken = result.faults.count > faults
        var closed = RoutePolicy()
        closed.redirectsToSecure = false
        closed.failure = RouteFailure(status: 500, text: "the route's rule is not supported")
        let refusal = WebRoute(origin: origin, backends: [], policy: closed)
        let target = isBroken ? refusal : WebRoute(origin: origin, backends: backends, policy: policy)
        let matches = rule["matches"]?.array.flatMap { $0.isEmpty ? nil : $0 } ?? [.null]
        var refused = 0
        for (number, json) in matches.enumerated() {
            let faults = result.faults.count
            var compiled = match(json, number)
            compiled.route = target
            if result.faults.count > faults {
                compiled.route = refusal
                refused += 1
            }
            result.rules.append(compiled)
        }
        if isBroken || refused == matches.count { result.brokenRules += 1 }
    }

    private mutating func fault(_ text: String) { result.faults.append("rule \(result.ruleCount - 1): \(text)") }

    // MARK: Matches

    /// Reads a match. One that cannot be read is a fault, and covers what it may have meant: refused rather than
    /// answered by another rule.
    private mutating func match(_ json: JSON, _ number: Int) -> RouteRule {
        place += 1
        let value = json["path", "value"]?.string ?? "/"
        let path: PathMatch
        let rank: Int
        switch json["path", "type"]?.string ?? "PathPrefix" {
        case "Exact": (path, rank) = (.exact(of: value), 0)
        case "PathPrefix": (path, rank) = (.prefix(of: value), 2)
        case "RegularExpression":
            rank = 1
            if let expression = expression(value) {
                path = .pattern(expression, length: value.utf8.count)
            } else {
                fault("match \(number): path \"\(value.prefix(128))\" is not a regular expression")
                path = .unreadable(value)
            }
        case let other:
            fault("match \(number): path type \"\(other)\" is not supported")
            (path, rank) = (.prefix(of: value), 2)
        }
        let fields = pairs(json["headers"], lowercases: true, number)
        let parameters = pairs(json["queryParams"], lowercases: false, number)
        let method = json["method"]?.string
        let order = RouteOrder(
            rank: rank, length: path.length, hasMethod: method != nil, fields: fields.count,
            parameters: parameters.count, age: ObjectAge(of: route), place: place)
        return RouteRule(
            path: path, method: method, fields: fields, parameters: parameters, order: order,
            route: WebRoute(origin: origin, backends: []))
    }

    /// An expression for all of a text. `a)|(b` is none, though it would be within a group.
    private func expression(_ text: String) -> RegularExpression? {
        guard text.utf8.count <= 1024, (try? RegularExpression(text)) != nil else { return nil }
        return try? RegularExpression("^(?:" + text + ")$")
    }

    private mutating func pairs(_ json: JSON?, lowercases: Bool, _ number: Int) -> [ValueMatch] {
        var result: [ValueMatch] = []
        for pair in json?.array ?? [] {
            let name = pair["name"]?.string ?? ""
            let value = pair["value"]?.string ?? ""
            let key = lowercases ? name.lowercased() : name
            // Of equivalent names the first counts.
            if result.contains(where: { $0.name == key }) { continue }
            switch pair["type"]?.string ?? "Exact" {
            case "Exact": result.append(ValueMatch(name: key, test: .exact(value)))
            case "RegularExpression":
                if let expression = expression(value) {
                    result.append(ValueMatch(name: key, test: .pattern(expression)))
                } else {
                    fault("match \(number): \"\(value.prefix(128))\" is not a regular expression")
                    result.append(ValueMatch(name: key, test: .any))
                }
            case let other:
                fault("match \(number): match type \"\(other)\" is not supported")
                result.append(ValueMatch(name: key, test: .any))
            }
        }
        return result
    }

    private mutating func duration(_ json: JSON?) -> Duration? {
        guard let text = json?.string else { return nil }
        guard let duration = GatewayDuration.read(text) else {
            fault("\"\(text.prefix(32))\" is not a duration")
            return nil
        }
        // Zero is without a limit.
        return duration > .zero ? duration : nil
    }

    // MARK: Backends

    private mutating func unresolved(_ reason: String, _ message: String) {
        if result.resolved.isTrue { result.resolved = GatewayCondition("ResolvedRefs", false, reason, message) }
    }

    private mutating func backend(_ json: JSON, _ slots: inout ServiceSlots) -> WeightedBackend {
        let weight = UInt32(clamping: max(0, json["weight"]?.int ?? 1))
        let filters = filters(json["filters"], &slots)
        return WeightedBackend(slot: slot(json, &slots), weight: weight, filters: filters)
    }

    /// The slot of a backend; nil, with a condition, for one that may not or cannot be used.
    private mutating func slot(_ json: JSON, _ slots: inout ServiceSlots) -> Int? {
        let name = json["name"]?.string ?? ""
        guard json["group"]?.string ?? "" == "", json["kind"]?.string ?? "Service" == "Service" else {
            let kind = "\(json["group"]?.string ?? "")/\(json["kind"]?.string ?? "")"
            unresolved("InvalidKind", "backends of the kind \(kind) are not supported")
            return nil
        }
        let namespace = json["namespace"]?.string ?? route.namespace
        if namespace != route.namespace { result.crossesNamespaces = true }
        guard grants.allow("HTTPRoute", in: route.namespace, toName: "Service", name, in: namespace) else {
            unresolved("RefNotPermitted", "service \"\(namespace)/\(name)\" is not granted to this namespace")
            return nil
        }
        let service = "\(namespace)/\(name)"
        result.services.insert(service)
        guard let port = json["port"]?.int else {
            unresolved("UnsupportedValue", "service \"\(service)\" needs a port")
            return nil
        }
        let key = ServiceSlots.Key(service: service, port: .number(port))
        if let fault = slots.fault(key) {
            unresolved("BackendNotFound", fault)
            return nil
        }
        let slot = slots.take(key)
        result.slots.append(slot)
        return slot
    }

    // MARK: Filters

    private mutating func filters(_ json: JSON?, _ slots: inout ServiceSlots) -> BackendFilters {
        var filters = BackendFilters()
        for filter in json?.array ?? [] {
            switch filter["type"]?.string ?? "" {
            case "RequestHeaderModifier": filters.requestFields = changes(filter["requestHeaderModifier"])
            case "ResponseHeaderModifier": filters.responseFields = changes(filter["responseHeaderModifier"])
            case "RequestRedirect": filters.redirect = redirect(filter["requestRedirect"] ?? .null)
            case "URLRewrite":
                let wished = filter["urlRewrite"] ?? .null
                filters.rewrite = Rewrite(host: host(wished), path: path(wished["path"]))
            case "RequestMirror":
                let wished = filter["requestMirror"] ?? .null
                guard let slot = slot(wished["backendRef"] ?? .null, &slots) else { continue }
                var mirror = Mirror(slot: slot)
                if let percent = wished["percent"]?.int { mirror.part = UInt32(clamping: percent) }
                if let fraction = wished["fraction"] {
                    mirror.part = UInt32(clamping: fraction["numerator"]?.int ?? 0)
                    mirror.whole = UInt32(clamping: max(1, fraction["denominator"]?.int ?? 100))
                }
                filters.mirrors.append(mirror)
            case let other: fault("filter \"\(other)\" is not supported")
            }
        }
        return filters
    }

    private mutating func changes(_ json: JSON?) -> FieldChanges {
        var changes = FieldChanges()
        func fields(_ name: String) -> [FieldChanges.Field]? {
            var result: [FieldChanges.Field] = []
            for field in json?[name]?.array ?? [] {
                guard let name = field["name"]?.string, AnnotationValues.token(name) != nil,
                    let value = field["value"]?.string, AnnotationValues.fieldValue(value) != nil
                else { return nil }
                // Of equivalent names the first counts.
                if !result.contains(where: { $0.name.lowercased() == name.lowercased() }) {
                    result.append(.init(name: name, value: value))
                }
            }
            return result
        }
        let removed = (json?["remove"]?.array ?? []).map { $0.string.flatMap { AnnotationValues.token($0) } }
        guard let set = fields("set"), let add = fields("add"), !removed.contains(nil) else {
            fault("a field of a header modifier is not a field")
            return changes
        }
        changes.set = set
        changes.add = add
        changes.remove = removed.compactMap(\.self)
        return changes
    }

    private mutating func host(_ json: JSON) -> String? {
        guard let name = json["hostname"]?.string else { return nil }
        if AnnotationValues.host(name) == nil { fault("\"\(name.prefix(64))\" is not a host name") }
        return AnnotationValues.host(name)
    }

    private mutating func path(_ json: JSON?) -> PathRewrite? {
        guard let json else { return nil }
        switch json["type"]?.string {
        case "ReplaceFullPath": return .whole(json["replaceFullPath"]?.string ?? "/")
        case "ReplacePrefixMatch": return .prefix(json["replacePrefixMatch"]?.string ?? "/")
        case let other:
            fault("path modifier \"\(other ?? "")\" is not supported")
            return nil
        }
    }

    private mutating func redirect(_ json: JSON) -> Redirect {
        var redirect = Redirect(
            host: host(json), port: json["port"]?.int, path: path(json["path"]), status: json["statusCode"]?.int ?? 302)
        if let scheme = json["scheme"]?.string {
            if scheme == "http" || scheme == "https" {
                redirect.scheme = scheme
            } else {
                fault("scheme \"\(scheme.prefix(16))\" is not supported")
            }
        }
        if ![301, 302, 303, 307, 308].contains(redirect.status) { fault("status \(redirect.status) is no redirect") }
        return redirect
    }
}

/// Durations of Gateway API (GEP-2257): one to four numbers with units `h`, `m`, `s` and `ms`.
enum GatewayDuration {
    static func read(_ text: String) -> Duration? {
        let units: [(name: String, milliseconds: Int)] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        var rest = text[...]
        var total = 0
        var parts = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            guard (1...5).contains(digits.count), parts < 4, let number = Int(digits),
                let unit = units.first(where: { rest.hasPrefix($0.name) })
            else { return nil }
            rest = rest.dropFirst(unit.name.count)
            total += number * unit.milliseconds
            parts += 1
        }
        return parts > 0 ? .milliseconds(total) : nil
    }
}
