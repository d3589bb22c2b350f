internal import MartletBase
internal import MartletObject

/// What an Ingress says by the annotations of ingress-nginx, and by one of our own, read into typed values. A value that is none leaves what
/// holds without it and is a problem; one that says who may come and cannot be read closes the route.
struct IngressAnnotations {
    /// What the names begin with.
    static let prefix = "nginx.ingress.kubernetes.io/"
    /// Our own: which version of the PROXY protocol connections to the backends begin with. ingress-nginx has no such.
    static let prefaceAnnotation = "martlet.io/send-proxy-protocol"
    /// Say who may come, and are not carried out here: an Ingress that has them is closed rather than open to all.
    static let closing: Set<String> = [
        "auth-url", "auth-tls-secret", "auth-tls-verify-client", "auth-snippet", "enable-global-auth",
    ]

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
    private var permanent: (location: String, status: Int)?
    private var permanentStatus = 301
    private var temporalStatus = 302

    /// Reads all of an Ingress' annotations.
    init(_ annotations: [String: String]) {
        for (key, value) in annotations.sorted(by: { $0.key < $1.key }) where key.hasPrefix(Self.prefix) {
            let name = String(key.dropFirst(Self.prefix.count))
            if Self.closing.contains(name) {
                if name == "enable-global-auth" { continue }
                close("annotation \(key) is not supported, and it restricts who may come: the route is closed")
                continue
            }
            let isKnown =
                redirect(name, value) || proxying(name, value) || crossOrigin(name, value) || restriction(name, value)
                || canary(name, value) || stickiness(name, value)
            if !isKnown { problems.append("annotation \(key) is not supported") }
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

    /// Reads a value; one that is none is a problem, and changes nothing.
    private mutating func read<Value>(
        _ name: String, _ text: String, _ wanted: String, _ value: Value?, _ take: (inout Self, Value) -> Void
    ) {
        guard let value else {
            bad(name, text, wanted)
            return
        }
        take(&self, value)
    }

    private mutating func flag(_ name: String, _ text: String, _ take: (inout Self, Bool) -> Void) {
        read(name, text, "true or false", AnnotationValues.bool(text.trimmed), take)
    }

    private mutating func number(
        _ name: String, _ text: String, in range: ClosedRange<Int> = 0...Int.max, _ take: (inout Self, Int) -> Void
    ) {
        let value = AnnotationValues.count(text.trimmed).flatMap { range.contains($0) ? $0 : nil }
        read(name, text, "a whole number in its range", value, take)
    }
}

// MARK: Redirects and rewrites

extension IngressAnnotations {
    private mutating func redirect(_ name: String, _ value: String) -> Bool {
        switch name {
        case "ssl-redirect": flag(name, value) { $0.redirectsToSecure = $1 }
        case "force-ssl-redirect": flag(name, value) { $0.forcesSecure = $1 }
        case "from-to-www-redirect": flag(name, value) { $0.redirectsWWW = $1 }
        case "use-regex": flag(name, value) { $0.usesExpressions = $1 }
        case "rewrite-target":
            let isPath = value.hasPrefix("/") || value.hasPrefix("$")
            read(name, value, "a path", isPath && value.utf8.count <= 2048 ? value : nil) { $0.rewriteTarget = $1 }
        case "app-root":
            read(name, value, "a path", AnnotationValues.location(value).flatMap { $0.hasPrefix("/") ? $0 : nil }) {
                $0.policy.appRoot = $1
            }
        case "permanent-redirect":
            read(name, value, "a URL", AnnotationValues.location(value)) {
                // As in ingress-nginx, a temporal one goes first.
                if $0.policy.filters.redirect == nil {
                    $0.policy.filters.redirect = Redirect(location: $1, status: 301)
                }
            }
        case "temporal-redirect":
            read(name, value, "a URL", AnnotationValues.location(value)) {
                $0.policy.filters.redirect = Redirect(location: $1, status: 302)
            }
        case "permanent-redirect-code": number(name, value, in: 300...308) { $0.permanentStatus = $1 }
        case "temporal-redirect-code": number(name, value, in: 300...308) { $0.temporalStatus = $1 }
        default: return false
        }
        return true
    }

    // MARK: Backends

    private mutating func proxying(_ name: String, _ value: String) -> Bool {
        func seconds() -> Duration? { AnnotationValues.seconds(value.trimmed) }
        switch name {
        case "proxy-connect-timeout": read(name, value, "seconds", seconds()) { $0.policy.timeouts.connect = $1 }
        case "proxy-send-timeout": read(name, value, "seconds", seconds()) { $0.policy.timeouts.send = $1 }
        case "proxy-read-timeout": read(name, value, "seconds", seconds()) { $0.policy.timeouts.read = $1 }
        case "proxy-body-size":
            // Zero is without a limit.
            read(name, value, "a size", AnnotationValues.size(value.trimmed)) {
                $0.policy.bodyLimit = $1 == 0 ? nil : $1
            }
        case "backend-protocol":
            read(name, value, "HTTP, HTTPS, GRPC or GRPCS", Self.backendProtocol(value.trimmed)) {
                $0.policy.backendProtocol = $1
            }
        case "upstream-vhost":
            read(name, value, "a host", AnnotationValues.host(value)) { $0.policy.upstreamHost = $1 }
        case "service-upstream": flag(name, value) { $0.policy.goesThroughService = $1 }
        default: return false
        }
        return true
    }

    private static func backendProtocol(_ text: String) -> BackendProtocol? {
        switch text.uppercased() {
        case "AUTO_HTTP": .http
        case let name: BackendProtocol(rawValue: name).flatMap { $0 == .h2c ? nil : $0 }
        }
    }

    // MARK: Other origins

    private mutating func crossOrigin(_ name: String, _ value: String) -> Bool {
        switch name {
        case "enable-cors": flag(name, value) { $0.corsIsOn = $1 }
        case "cors-allow-origin":
            let origins = value.split(separator: ",").map { AnnotationValues.origin($0.trimmed) }
            let isGood = !origins.isEmpty && origins.count <= 256 && !origins.contains(nil)
            if !isGood {
                bad(name, value, "a list of origins")
                // Nobody rather than everybody.
                cors.origins = []
                return true
            }
            cors.origins = origins.compactMap(\.self)
        case "cors-allow-methods":
            read(name, value, "a list of methods", AnnotationValues.tokens(value)) { $0.cors.methods = $1 }
        case "cors-allow-headers":
            read(name, value, "a list of fields", AnnotationValues.tokens(value)) { $0.cors.headers = $1 }
        case "cors-expose-headers":
            read(name, value, "a list of fields", AnnotationValues.tokens(value)) { $0.cors.exposed = $1 }
        case "cors-allow-credentials":
            if AnnotationValues.bool(value.trimmed) == nil { cors.allowsCredentials = false }
            flag(name, value) { $0.cors.allowsCredentials = $1 }
        case "cors-max-age": number(name, value) { $0.cors.maxAge = $1 }
        default: return false
        }
        return true
    }

    // MARK: Who may come, and how often

    private mutating func restriction(_ name: String, _ value: String) -> Bool {
        switch name {
        case "whitelist-source-range", "allowlist-source-range":
            guard let ranges = AnnotationValues.ranges(value) else {
                close("annotation \(Self.prefix)\(name) is not a list of CIDRs: the route is closed")
                return true
            }
            var access = policy.access ?? AccessRules()
            access.allowed = (access.allowed ?? []) + ranges
            policy.access = access
        case "denylist-source-range", "blacklist-source-range":
            guard let ranges = AnnotationValues.ranges(value) else {
                close("annotation \(Self.prefix)\(name) is not a list of CIDRs: the route is closed")
                return true
            }
            var access = policy.access ?? AccessRules()
            access.denied += ranges
            policy.access = access
        case "auth-type": authenticationType = value.trimmed
        case "auth-secret": authenticationSecret = value.trimmed
        case "auth-secret-type":
            let isKnown = ["auth-file", "auth-map"].contains(value)
            if !isKnown { close("annotation \(Self.prefix)\(name) is neither auth-file nor auth-map: it is closed") }
            secretType = value
        case "auth-realm":
            let isGood = value.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
            read(name, value, "a text without quotes", isGood && value.utf8.count <= 256 ? value : nil) {
                $0.realm = $1
            }
        case "limit-rps": number(name, value) { $0.policy.limits.perSecond = $1 }
        case "limit-rpm": number(name, value) { $0.policy.limits.perMinute = $1 }
        case "limit-connections": number(name, value) { $0.policy.limits.connections = $1 }
        case "limit-burst-multiplier": number(name, value, in: 1...1000) { $0.policy.limits.burst = $1 }
        case "limit-whitelist", "limit-allowlist":
            read(name, value, "a list of CIDRs", AnnotationValues.ranges(value)) { $0.policy.limits.exempt = $1 }
        default: return false
        }
        return true
    }

    // MARK: Canaries

    private mutating func canary(_ name: String, _ value: String) -> Bool {
        switch name {
        case "canary": flag(name, value) { $0.isCanary = $1 }
        case "canary-by-header":
            read(name, value, "a field's name", AnnotationValues.token(value)) { $0.canary.field = $1.lowercased() }
        case "canary-by-header-value":
            read(name, value, "a field's value", AnnotationValues.fieldValue(value)) { $0.canary.value = $1 }
        case "canary-by-header-pattern":
            let pattern = value.utf8.count <= 1024 ? try? RegularExpression(value) : nil
            read(name, value, "a regular expression", pattern) { $0.canary.pattern = $1 }
        case "canary-by-cookie":
            read(name, value, "a cookie's name", AnnotationValues.token(value)) { $0.canary.cookie = $1 }
        case "canary-weight": number(name, value) { $0.canary.weight = UInt64($1) }
        case "canary-weight-total": number(name, value, in: 1...Int.max) { $0.canary.total = UInt64($1) }
        default: return false
        }
        return true
    }

    // MARK: One client, one endpoint

    private mutating func stickiness(_ name: String, _ value: String) -> Bool {
        switch name {
        case "affinity":
            read(name, value, "cookie", value == "cookie" ? true : nil) { $0.affinityIsOn = $1 }
        case "affinity-mode":
            let isMode = ["balanced", "persistent"].contains(value)
            read(name, value, "balanced or persistent", isMode ? true : nil) { _, _ in }
        case "session-cookie-name":
            read(name, value, "a cookie's name", AnnotationValues.token(value)) { $0.affinity.name = $1 }
        case "session-cookie-path":
            let isGood = value.hasPrefix("/") && !value.contains(";")
            read(name, value, "a path", isGood ? AnnotationValues.fieldValue(value) : nil) { $0.affinity.path = $1 }
        case "session-cookie-domain":
            read(name, value, "a domain", AnnotationValues.host(value)) { $0.affinity.domain = $1 }
        case "session-cookie-max-age": number(name, value) { $0.affinity.maxAge = $1 }
        // Max-Age, which goes before Expires (RFC 6265, section 5.3), is enough.
        case "session-cookie-expires": number(name, value) { $0.affinity.maxAge = $0.affinity.maxAge ?? $1 }
        case "session-cookie-samesite":
            let isMode = ["Strict", "Lax", "None"].contains(value)
            read(name, value, "Strict, Lax or None", isMode ? value : nil) { $0.affinity.sameSite = $1 }
        case "session-cookie-secure": flag(name, value) { $0.affinity.isSecure = $1 }
        case "session-cookie-change-on-failure": flag(name, value) { $0.affinity.changesOnFailure = $1 }
        default: return false
        }
        return true
    }
}
