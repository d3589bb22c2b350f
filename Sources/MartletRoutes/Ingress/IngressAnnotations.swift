internal import MartletBase
internal import MartletObject

/// What an Ingress says by the annotations of ingress-nginx, and by one of our own, read into typed values. A value
/// that is none leaves what holds without it and is a problem; one that says who may come and cannot be read closes the
/// route.
struct IngressAnnotations {
    /// What the names begin with.
    static let prefix = "nginx.ingress.kubernetes.io/"
    /// Our own: which version of the PROXY protocol connections to the backends begin with. ingress-nginx has no such.
    static let prefaceAnnotation = "martlet.io/send-proxy-protocol"
    /// Where a Secret with names and passwords is.
    struct AuthenticationSource {
        var secret: String
        /// Whether each key of the Secret is a name, in place of one file.
        var isMap: Bool
        var realm: String
    }

    var policy = RoutePolicy()
    /// Whether paths of type ImplementationSpecific and Prefix are expressions.
    var usesExpressions = false
    var rewriteTarget: String?
    /// This Ingress is a canary of others with the same hosts and paths.
    var isCanary = false
    var canary = Canary(slot: nil)
    var redirectsWWW = false
    var authentication: AuthenticationSource?
    var problems: [String] = []

    private var redirectsToSecure: Bool?
    private var forcesSecure = false
    private var corsIsOn = false
    private var cors = CORSPolicy()
    private var affinityIsOn = false
    private var affinity = CookieAffinity()
    private var authenticationType: String?
    private var authenticationSecret: String?
    private var secretType = "auth-file"
    private var realm = "Authentication Required"
    private var permanentStatus = 301
    private var temporalStatus = 302

    /// Reads all of an Ingress' annotations.
    init(_ annotations: [String: String]) {
        for (key, value) in annotations.sorted(by: { $0.key < $1.key }) where key.hasPrefix(Self.prefix) {
            let name = String(key.dropFirst(Self.prefix.count))
            if let row = Self.rows[name] {
                row.read(&self, name, value)
            } else {
                problems.append("annotation \(key) is not supported")
            }
        }
        if let value = annotations[Self.prefaceAnnotation] {
            policy.preface = BackendPreface(rawValue: value.trimmed)
            if policy.preface == nil { bad(Self.prefaceAnnotation, value, "v1 or v2") }
        }
        finish()
    }

    /// Puts together what several annotations say.
    private mutating func finish() {
        policy.redirectsToSecure = forcesSecure || redirectsToSecure ?? true
        if corsIsOn { policy.cors = cors }
        if affinityIsOn { policy.affinity = affinity }
        if var redirect = policy.filters.redirect {
            redirect.status = redirect.status == 301 ? permanentStatus : temporalStatus
            policy.filters.redirect = redirect
        }
        guard let authenticationType else { return }
        guard authenticationType == "basic" else {
            close("annotation \(Self.prefix)auth-type: \"\(authenticationType)\" is not supported: the route is closed")
            return
        }
        guard let authenticationSecret else {
            close("annotation \(Self.prefix)auth-secret is missing: the route is closed")
            return
        }
        authentication = AuthenticationSource(
            secret: authenticationSecret, isMap: secretType == "auth-map", realm: realm)
    }

    mutating func close(_ problem: String) {
        problems.append(problem)
        policy.failure = RouteFailure(status: 503, text: "the route is closed: its rules of access cannot be read")
    }

    private mutating func bad(_ name: String, _ value: String, _ wanted: String) {
        let shown = String(value.unicodeScalars.prefix(64).map { $0.value < 0x20 ? "?" : Character($0) })
        let key = name == Self.prefaceAnnotation ? name : Self.prefix + name
        problems.append("annotation \(key): \"\(shown)\" is not \(wanted)")
    }
}

// MARK: The table

extension IngressAnnotations {
    /// What one annotation does.
    private struct Row: Sendable {
        /// Takes a value in, by the annotation's name without what all begin with.
        let read: @Sendable (inout IngressAnnotations, _ name: String, _ value: String) -> Void
    }

    /// What each annotation does, by its name.
    private static let rows: [String: Row] = [redirects, backends, origins, restrictions, canaries, stickiness]
        .reduce(into: [:]) { all, some in all.merge(some) { first, _ in first } }

    /// A value of a kind; one that is none is a problem, and changes nothing.
    private static func value<Value>(
        _ wanted: String, _ parse: @escaping @Sendable (String) -> Value?,
        _ take: @escaping @Sendable (inout Self, Value) -> Void
    ) -> Row {
        Row { annotations, name, text in
            guard let value = parse(text) else { return annotations.bad(name, text, wanted) }
            take(&annotations, value)
        }
    }

    private static func flag(_ take: @escaping @Sendable (inout Self, Bool) -> Void) -> Row {
        value("true or false", { AnnotationValues.bool($0.trimmed) }, take)
    }

    private static func number(
        in range: ClosedRange<Int> = 0...Int.max, _ take: @escaping @Sendable (inout Self, Int) -> Void
    ) -> Row {
        let parse: @Sendable (String) -> Int? = { text in
            AnnotationValues.count(text.trimmed).flatMap { range.contains($0) ? $0 : nil }
        }
        return value("a whole number in its range", parse, take)
    }

    private static func seconds(_ take: @escaping @Sendable (inout Self, Duration) -> Void) -> Row {
        value("seconds", { AnnotationValues.seconds($0.trimmed) }, take)
    }

    private static func choice(
        _ wanted: String, _ choices: Set<String>, _ take: @escaping @Sendable (inout Self, String) -> Void
    ) -> Row {
        value(wanted, { choices.contains($0) ? $0 : nil }, take)
    }

    /// Who may come, by their addresses. A list that cannot be read closes the route.
    private static func ranges(_ take: @escaping @Sendable (inout AccessRules, [IPRange]) -> Void) -> Row {
        Row { annotations, name, text in
            guard let ranges = AnnotationValues.ranges(text) else {
                return annotations.close("annotation \(prefix)\(name) is not a list of CIDRs: the route is closed")
            }
            var access = annotations.policy.access ?? AccessRules()
            take(&access, ranges)
            annotations.policy.access = access
        }
    }

    private static let allowed = ranges { $0.allowed = ($0.allowed ?? []) + $1 }
    private static let denied = ranges { $0.denied += $1 }

    /// Says who may come, and is not carried out here: the route is closed rather than open to all.
    private static let closing = Row { annotations, name, _ in
        annotations.close(
            "annotation \(prefix)\(name) is not supported, and it restricts who may come: the route is closed")
    }

    // MARK: Redirects and rewrites

    private static let redirects: [String: Row] = [
        "ssl-redirect": flag { $0.redirectsToSecure = $1 },
        "force-ssl-redirect": flag { $0.forcesSecure = $1 },
        "from-to-www-redirect": flag { $0.redirectsWWW = $1 },
        "use-regex": flag { $0.usesExpressions = $1 },
        "rewrite-target": value("a path", rewritten) { $0.rewriteTarget = $1 },
        "app-root": value("a path", ownPath) { $0.policy.appRoot = $1 },
        // As in ingress-nginx, a temporal one goes first.
        "permanent-redirect": value("a URL", AnnotationValues.location) { annotations, location in
            if annotations.policy.filters.redirect != nil { return }
            annotations.policy.filters.redirect = Redirect(location: location, status: 301)
        },
        "temporal-redirect": value("a URL", AnnotationValues.location) {
            $0.policy.filters.redirect = Redirect(location: $1, status: 302)
        },
        "permanent-redirect-code": number(in: 300...308) { $0.permanentStatus = $1 },
        "temporal-redirect-code": number(in: 300...308) { $0.temporalStatus = $1 },
    ]

    @Sendable private static func ownPath(_ text: String) -> String? {
        text.hasPrefix("/") ? AnnotationValues.location(text) : nil
    }

    @Sendable private static func rewritten(_ text: String) -> String? {
        (text.hasPrefix("/") || text.hasPrefix("$")) && text.utf8.count <= 2048 ? text : nil
    }

    // MARK: Backends

    private static let backends: [String: Row] = [
        "proxy-connect-timeout": seconds { $0.policy.timeouts.connect = $1 },
        "proxy-send-timeout": seconds { $0.policy.timeouts.send = $1 },
        "proxy-read-timeout": seconds { $0.policy.timeouts.read = $1 },
        "proxy-body-size": value("a size", { AnnotationValues.size($0.trimmed) }) { annotations, size in
            // Zero is without a limit.
            annotations.policy.bodyLimit = size > 0 ? size : nil
        },
        "backend-protocol": value("HTTP, HTTPS, GRPC or GRPCS", backendProtocol) { $0.policy.backendProtocol = $1 },
        "upstream-vhost": value("a host", AnnotationValues.host) { $0.policy.upstreamHost = $1 },
        "service-upstream": flag { $0.policy.goesThroughService = $1 },
    ]

    @Sendable private static func backendProtocol(_ text: String) -> BackendProtocol? {
        switch text.trimmed.uppercased() {
        case "AUTO_HTTP": .http
        case let name: BackendProtocol(rawValue: name).flatMap { $0 == .h2c ? nil : $0 }
        }
    }

    // MARK: Other origins

    private static let origins: [String: Row] = [
        "enable-cors": flag { $0.corsIsOn = $1 },
        "cors-allow-origin": Row { annotations, name, text in
            let origins = text.split(separator: ",").map { AnnotationValues.origin($0.trimmed) }
            let isGood = !origins.isEmpty && origins.count <= 256 && !origins.contains(nil)
            // Nobody rather than everybody.
            annotations.cors.origins = isGood ? origins.compactMap(\.self) : []
            if !isGood { annotations.bad(name, text, "a list of origins") }
        },
        "cors-allow-methods": value("a list of methods", AnnotationValues.tokens) { $0.cors.methods = $1 },
        "cors-allow-headers": value("a list of fields", AnnotationValues.tokens) { $0.cors.headers = $1 },
        "cors-expose-headers": value("a list of fields", AnnotationValues.tokens) { $0.cors.exposed = $1 },
        "cors-allow-credentials": Row { annotations, name, text in
            let isOn = AnnotationValues.bool(text.trimmed)
            annotations.cors.allowsCredentials = isOn ?? false
            if isOn == nil { annotations.bad(name, text, "true or false") }
        },
        "cors-max-age": number { $0.cors.maxAge = $1 },
    ]

    // MARK: Who may come, and how often

    private static let restrictions: [String: Row] = [
        "whitelist-source-range": allowed, "allowlist-source-range": allowed,
        "denylist-source-range": denied, "blacklist-source-range": denied,
        "auth-type": Row { annotations, _, text in annotations.authenticationType = text.trimmed },
        "auth-secret": Row { annotations, _, text in annotations.authenticationSecret = text.trimmed },
        "auth-secret-type": Row { annotations, name, text in
            annotations.secretType = text
            if text == "auth-file" || text == "auth-map" { return }
            annotations.close("annotation \(prefix)\(name) is neither auth-file nor auth-map: it is closed")
        },
        "auth-realm": value("a text without quotes", unquoted) { $0.realm = $1 },
        "limit-rps": number { $0.policy.limits.perSecond = $1 },
        "limit-rpm": number { $0.policy.limits.perMinute = $1 },
        "limit-connections": number { $0.policy.limits.connections = $1 },
        "limit-burst-multiplier": number(in: 1...1000) { $0.policy.limits.burst = $1 },
        "limit-whitelist": value("a list of CIDRs", AnnotationValues.ranges) { $0.policy.limits.exempt = $1 },
        "limit-allowlist": value("a list of CIDRs", AnnotationValues.ranges) { $0.policy.limits.exempt = $1 },
        "auth-url": closing, "auth-tls-secret": closing, "auth-tls-verify-client": closing, "auth-snippet": closing,
        // Whether one of the other kind, which there is not, holds here.
        "enable-global-auth": Row { _, _, _ in },
    ]

    @Sendable private static func unquoted(_ text: String) -> String? {
        let isGood = text.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
        return isGood && text.utf8.count <= 256 ? text : nil
    }

    // MARK: Canaries

    private static let canaries: [String: Row] = [
        "canary": flag { $0.isCanary = $1 },
        "canary-by-header": value("a field's name", AnnotationValues.token) { $0.canary.field = $1.lowercased() },
        "canary-by-header-value": value("a field's value", AnnotationValues.fieldValue) { $0.canary.value = $1 },
        "canary-by-header-pattern": value("a regular expression", expression) { $0.canary.pattern = $1 },
        "canary-by-cookie": value("a cookie's name", AnnotationValues.token) { $0.canary.cookie = $1 },
        "canary-weight": number { $0.canary.weight = UInt64($1) },
        "canary-weight-total": number(in: 1...Int.max) { $0.canary.total = UInt64($1) },
    ]

    @Sendable private static func expression(_ text: String) -> RegularExpression? {
        text.utf8.count <= 1024 ? try? RegularExpression(text) : nil
    }

    // MARK: One client, one endpoint

    private static let stickiness: [String: Row] = [
        "affinity": choice("cookie", ["cookie"]) { annotations, _ in annotations.affinityIsOn = true },
        "affinity-mode": choice("balanced or persistent", ["balanced", "persistent"]) { _, _ in },
        "session-cookie-name": value("a cookie's name", AnnotationValues.token) { $0.affinity.name = $1 },
        "session-cookie-path": value("a path", cookiePath) { $0.affinity.path = $1 },
        "session-cookie-domain": value("a domain", AnnotationValues.host) { $0.affinity.domain = $1 },
        "session-cookie-max-age": number { $0.affinity.maxAge = $1 },
        // Max-Age, which goes before Expires (RFC 6265, section 5.3), is enough.
        "session-cookie-expires": number { annotations, age in
            if annotations.affinity.maxAge == nil { annotations.affinity.maxAge = age }
        },
        "session-cookie-samesite": choice("Strict, Lax or None", ["Strict", "Lax", "None"]) {
            $0.affinity.sameSite = $1
        },
        "session-cookie-secure": flag { $0.affinity.isSecure = $1 },
        "session-cookie-change-on-failure": flag { $0.affinity.changesOnFailure = $1 },
    ]

    @Sendable private static func cookiePath(_ text: String) -> String? {
        text.hasPrefix("/") && !text.contains(";") ? AnnotationValues.fieldValue(text) : nil
    }
}
