public import MartletBase
public import MartletObject

/// What is done with the requests of a route, apart from sending them on. Everything is typed: what an annotation says
/// is read once, when the table is made.
public struct RoutePolicy: Sendable, Hashable {
    /// Answers every request so; nothing else is done then. For routes that cannot be carried out safely.
    public var failure: RouteFailure?
    /// Whether clients that came without TLS are sent to https.
    public var redirectsToSecure = true
    /// Where requests for `/` are sent.
    public var appRoot: String?
    /// What is done with fields, target and copies; also a redirect in place of an answer.
    public var filters = BackendFilters()
    /// The Host that backends see; nil for the client's.
    public var upstreamHost: String?
    /// How long what may take.
    public var timeouts = RouteTimeouts()
    /// The largest body of a request, in bytes; nil for no limit of the route's own.
    public var bodyLimit: Int?
    /// What the backends speak; nil to believe their Service.
    public var backendProtocol: BackendProtocol?
    /// What connections to the backends begin with; nil for nothing.
    public var preface: BackendPreface?
    /// Whether requests go to the Service's address instead of those of its pods.
    public var goesThroughService = false
    /// Answers to other origins' scripts.
    public var cors: CORSPolicy?
    /// Who may come.
    public var access: AccessRules?
    /// Who must say who they are.
    public var authentication: BasicAuthentication?
    /// How much one client may ask.
    public var limits = RouteLimits()
    /// Keeps a client with one endpoint.
    public var affinity: CookieAffinity?
    /// Take some of the requests away from the route's own backends; tried in this order.
    public var canaries: [Canary] = []

    init() {}

    /// Whether a request without a body is passed on by HTTP/1.1 and that is all. Of what may be said here, only what
    /// is named here makes no difference.
    var isPlain: Bool {
        var plain = RoutePolicy()
        plain.redirectsToSecure = redirectsToSecure
        plain.bodyLimit = bodyLimit
        plain.timeouts.send = timeouts.send
        plain.timeouts.read = timeouts.read
        plain.backendProtocol = backendProtocol == .http ? .http : nil
        return self == plain
    }
}

/// Versions of the PROXY protocol, by which backends are told who the client is.
public enum BackendPreface: String, Sendable, Hashable {
    /// A line of text.
    case one = "v1"
    /// Binary.
    case two = "v2"
}

/// An answer in place of a route that cannot be carried out.
public struct RouteFailure: Sendable, Hashable {
    /// The status.
    public var status: Int
    /// A sentence for the client's operator.
    public var text: String
}

/// How long what may take; nil for the forwarder's own limit.
public struct RouteTimeouts: Sendable, Hashable {
    /// Until a backend takes the connection.
    public var connect: Duration?
    /// Between two pieces of the request that a backend takes.
    public var send: Duration?
    /// Between two pieces of the answer.
    public var read: Duration?
    /// For all of a request, retries included.
    public var request: Duration?
    /// For one try of a request.
    public var backendRequest: Duration?

    /// No limits of the route's own.
    public init() {}
}

/// How much one client may ask of a route; 0 for as much as it likes.
public struct RouteLimits: Sendable, Hashable {
    /// Requests a second.
    public var perSecond = 0
    /// Requests a minute.
    public var perMinute = 0
    /// So many times the rate may come at once.
    public var burst = 5
    /// Requests at once.
    public var connections = 0
    /// Clients without limits.
    public var exempt: [IPRange] = []

    /// No limits.
    public init() {}
}

/// Changes of a message's fields, in the order in which Gateway API does them: set, add, remove.
public struct FieldChanges: Sendable, Hashable {
    /// A field.
    public struct Field: Sendable, Hashable {
        /// Its name; a token of RFC 9110.
        public var name: String
        /// Its value; without control characters.
        public var value: String
    }
    /// Take the place of those there are.
    public var set: [Field] = []
    /// Go beside those there are.
    public var add: [Field] = []
    /// Are taken away.
    public var remove: [String] = []

    /// Changes from their parts.
    public init(set: [Field] = [], add: [Field] = [], remove: [String] = []) {
        self.set = set
        self.add = add
        self.remove = remove
    }

    /// Whether nothing changes.
    public var isEmpty: Bool { self.set.isEmpty && add.isEmpty && remove.isEmpty }
}

/// Requests that go to another backend as well, whose answers nobody hears.
public struct Mirror: Sendable, Hashable {
    /// Its place in ``RouteTable/backends``.
    public var slot: Int
    /// Of `whole` requests so many are copied.
    public var part: UInt32 = 100
    /// See `part`.
    public var whole: UInt32 = 100

    /// Whether a request is copied.
    /// - Parameter draw: 64 random bits.
    public func takes(draw: UInt64) -> Bool { draw % UInt64(max(1, whole)) < UInt64(part) }
}

/// The hosts and addresses that may come.
public struct AccessRules: Sendable, Hashable {
    /// Who may come; nil for everybody.
    public var allowed: [IPRange]?
    /// Who may not, whatever the others say.
    public var denied: [IPRange] = []

    /// Whether a client may come. One whose address is not known may not, where it matters.
    public func admits(_ address: IPAddress?) -> Bool {
        guard let address else { return allowed == nil && denied.isEmpty }
        if denied.contains(where: { $0.contains(address) }) { return false }
        return allowed.map { $0.contains { $0.contains(address) } } ?? true
    }
}

/// Names and hashed passwords, out of a Secret (RFC 7617).
public struct BasicAuthentication: Sendable, Hashable {
    /// What the client is told to name itself for; without quotes and control characters.
    public var realm: String
    /// Hashes as htpasswd writes them, by name. None: nobody may come.
    public var hashes: [String: String]

    /// The challenge (WWW-Authenticate).
    public var challenge: String { "Basic realm=\"\(realm)\"" }

    /// The name and password in an Authorization field; nil when there are none.
    public static func credentials(in field: String?) -> (name: String, password: String)? {
        guard let field, field.utf8.count <= 4096 else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic",
            let bytes = Base64.decode(String(parts[1])), let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        return (
            String(decoding: bytes[..<colon], as: UTF8.self), String(decoding: bytes[(colon + 1)...], as: UTF8.self)
        )
    }

    /// Reads a file as htpasswd writes it: `name:hash` a line; empty lines and comments are skipped.
    static func hashes(inFile text: String) -> [String: String] {
        var result: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            // As in nginx, the first line of a name counts.
            if parts.count == 2, result[String(parts[0])] == nil {
                let hash = parts[1].prefix { $0 != ":" }
                result[String(parts[0])] = String(hash)
            }
        }
        return result
    }
}

/// Keeps a client with the endpoint that it came to first, by a cookie.
public struct CookieAffinity: Sendable, Hashable {
    /// The cookie's name; a token.
    public var name = "INGRESSCOOKIE"
    /// Its Path; nil for the rule's.
    public var path: String?
    /// Its Domain.
    public var domain: String?
    /// Its Max-Age in seconds.
    public var maxAge: Int?
    /// Its SameSite.
    public var sameSite: String?
    /// Whether it is Secure also for clients without TLS.
    public var isSecure = false
    /// Whether a client whose endpoint failed stays with the one that answered in its place.
    public var changesOnFailure = false
}

/// Another backend that takes some of a route's requests: by a field, a cookie, or a share, in this order.
public struct Canary: Sendable, Hashable {
    /// Its place in ``RouteTable/backends``; nil for one that there is not.
    public var slot: Int?
    /// The field that decides, in lower case.
    public var field: String?
    /// The value of the field that leads here; without it `always` does, and `never` leads away.
    public var value: String?
    /// An expression that values that lead here match.
    public var pattern: RegularExpression?
    /// The cookie that decides: `always` or `never`.
    public var cookie: String?
    /// Its share, of `total`.
    public var weight: UInt64 = 0
    /// See `weight`.
    public var total: UInt64 = 100

    /// Whether a request goes here.
    /// - Parameters:
    ///   - value: gives the value of a field, by its name in lower case.
    ///   - draw: 64 random bits.
    public func takes(draw: UInt64, field value: (String) -> String?) -> Bool {
        if let name = field, let sent = value(name) {
            if let wanted = self.value {
                if sent == wanted { return true }
            } else if let pattern {
                if pattern.matches(sent) { return true }
            } else if sent == "always" {
                return true
            } else if sent == "never" {
                return false
            }
        }
        if let cookie, let header = value("cookie"), let sent = Cookies.value(of: cookie, in: header) {
            if sent == "always" { return true }
            if sent == "never" { return false }
        }
        return draw % max(1, total) < weight
    }
}

/// Cookie fields (RFC 6265, section 4.2.1).
public enum Cookies {
    /// The value of the first cookie of that name.
    public static func value(of name: String, in field: String) -> String? {
        // Fields that came apart are joined with commas, which no cookie's value has.
        for pair in field.utf8.split(whereSeparator: { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: ",") }) {
            let pair = pair.drop { $0 == UInt8(ascii: " ") }
            guard pair.starts(with: name.utf8), pair.dropFirst(name.utf8.count).first == UInt8(ascii: "=") else {
                continue
            }
            return String(Substring(pair.dropFirst(name.utf8.count + 1)))
        }
        return nil
    }
}
