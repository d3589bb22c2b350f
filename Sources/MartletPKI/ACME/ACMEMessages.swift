internal import MartletBase
internal import MartletObject

/// Bounds for what a certificate authority sends.
public enum ACMELimits {
    /// Bytes of one answer.
    public static let answer = 256 * 1024
    /// Names of one certificate, and so authorizations of one order.
    public static let names = 100
    /// Characters of a URL.
    static let url = 2048
    /// Characters of a challenge's token.
    static let token = 256
    /// How long it is waited between two looks, whatever the server asks for.
    static let pause: ClosedRange<Duration> = .seconds(1) ... .seconds(30)
    /// How often one thing is looked at before it is given up.
    static let looks = 40
}

/// An answer of a certificate authority, as far as ACME reads it.
public struct ACMEAnswer: Sendable, Hashable {
    /// The status of HTTP.
    public var status: Int
    /// The field `Location`.
    public var location: String?
    /// The field `Retry-After`, counted from now.
    public var retryAfter: Duration?
    /// The body.
    public var body: [UInt8]

    /// An answer from its parts.
    public init(status: Int, location: String? = nil, retryAfter: Duration? = nil, body: [UInt8] = []) {
        self.status = status
        self.location = location
        self.retryAfter = retryAfter
        self.body = body
    }

    /// The body as JSON; nil for anything else.
    var json: JSON? { body.count <= ACMELimits.answer ? try? JSON(parsing: body) : nil }
    /// Whether it was done.
    var isGood: Bool { (200..<300).contains(status) }
}

/// Why a certificate authority refuses (RFC 8555, 6.7; RFC 9457).
public struct ACMEProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The last word of the type: `rateLimited`, `badNonce`, `unauthorized`; empty for one without a type of ACME's.
    public var type: String
    /// The server's own words.
    public var detail: String
    /// How long the server asks to be left alone.
    public var retryAfter: Duration?

    /// A problem from its parts.
    public init(type: String, detail: String, retryAfter: Duration? = nil) {
        self.type = type
        self.detail = detail
        self.retryAfter = retryAfter
    }

    /// Reads a problem document; whatever else an answer is becomes a problem that says so.
    public init(refusal answer: ACMEAnswer) {
        self.init(answer.json ?? .null, status: answer.status)
        retryAfter = answer.retryAfter
    }

    init(_ json: JSON, status: Int) {
        let prefix = "urn:ietf:params:acme:error:"
        let urn = json["type"]?.string ?? ""
        type = urn.hasPrefix(prefix) ? String(urn.dropFirst(prefix.count).prefix(64)) : ""
        var words = [json["detail"]?.string ?? "the authority answers with status \(status)"]
        for part in (json["subproblems"]?.array ?? []).prefix(8) {
            let name = part["identifier", "value"]?.string
            words.append([name, part["detail"]?.string].compactMap { $0 }.joined(separator: ": "))
        }
        // Others' words go into logs and Events.
        detail = String(
            String.UnicodeScalarView(
                words.joined(separator: "; ").unicodeScalars.prefix(800).map { $0.properties.isControl ? " " : $0 }))
    }

    /// The nonce was used or is too old: the same request is good with a new one (RFC 8555, 6.5).
    public var isBadNonce: Bool { type == "badNonce" }
    /// Too much was asked for (RFC 8555, 6.6).
    public var isRateLimit: Bool { type == "rateLimited" }
    /// The account is not known (any more).
    public var isAccountUnknown: Bool { type == "accountDoesNotExist" }

    public var description: String { type.isEmpty ? detail : "\(type): \(detail)" }
}

extension Unicode.Scalar.Properties {
    fileprivate var isControl: Bool { generalCategory == .control }
}

/// Where the operations of a certificate authority are (RFC 8555, 7.1.1).
public struct ACMEDirectory: Sendable, Hashable {
    /// Where nonces, accounts and orders come from.
    public var newNonce: String
    /// As above.
    public var newAccount: String
    /// As above.
    public var newOrder: String

    /// Reads a directory. All of it must be at the origin (`https://host:port`) that it was read from: nobody leads us
    /// elsewhere.
    /// - Throws: ``ACMEProblem``.
    public init(_ answer: ACMEAnswer, origin: String) throws(ACMEProblem) {
        guard answer.isGood, let json = answer.json else { throw ACMEProblem(refusal: answer) }
        func url(_ name: String) throws(ACMEProblem) -> String {
            guard let url = ACMEURL.checked(json[name], origin: origin) else {
                throw ACMEProblem(type: "", detail: "the directory names no \(name) at \(origin)")
            }
            return url
        }
        newNonce = try url("newNonce")
        newAccount = try url("newAccount")
        newOrder = try url("newOrder")
        if json["meta", "externalAccountRequired"]?.bool == true {
            throw ACMEProblem(
                type: "externalAccountRequired",
                detail: "the authority wants accounts bound to others, which is not supported")
        }
    }
}

/// URLs of a certificate authority.
public enum ACMEURL {
    /// The origin (`https://host:port`, or without the port), host and port of an https URL; nil for anything else.
    public static func parts(_ url: String) -> (origin: String, host: String, port: UInt16)? {
        let scheme = "https://"
        guard url.hasPrefix(scheme), url.utf8.count <= ACMELimits.url, url.utf8.allSatisfy({ (33...126).contains($0) })
        else { return nil }
        let authority = url.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var (host, port) = (authority, UInt16(443))
        if let colon = authority.lastIndex(of: ":"), authority.last != "]" {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
            (host, port) = (authority[..<colon], number)
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, !host.contains(where: { "@[]\\".contains($0) }) else { return nil }
        return (scheme + authority, String(host), port)
    }

    /// The path, with its query, of a URL of this origin.
    public static func path(_ url: String, origin: String) -> String {
        let path = url.dropFirst(origin.count).prefix { $0 != "#" }
        return path.hasPrefix("/") ? String(path) : "/" + path
    }

    /// A URL that a message names, when it is at this origin.
    static func checked(_ json: JSON?, origin: String) -> String? {
        guard let url = json?.string, parts(url)?.origin == origin else { return nil }
        return url
    }
}

/// An order for a certificate (RFC 8555, 7.1.3).
struct ACMEOrder: Sendable, Hashable {
    enum Status: String { case pending, ready, processing, valid, invalid }
    var status: Status
    var authorizations: [String]
    var finalize: String
    var certificate: String?
    var problem: ACMEProblem?

    init(_ answer: ACMEAnswer, origin: String) throws(ACMEProblem) {
        guard answer.isGood, let json = answer.json else { throw ACMEProblem(refusal: answer) }
        let list = json["authorizations"]?.array ?? []
        let urls = list.compactMap { ACMEURL.checked($0, origin: origin) }
        guard let status = json["status"]?.string.flatMap(Status.init), list.count <= ACMELimits.names,
            urls.count == list.count, let finalize = ACMEURL.checked(json["finalize"], origin: origin)
        else { throw ACMEProblem(type: "", detail: "the authority's answer is no order") }
        self.status = status
        authorizations = urls
        self.finalize = finalize
        certificate = ACMEURL.checked(json["certificate"], origin: origin)
        problem = json["error"].map { ACMEProblem($0, status: answer.status) }
    }
}

/// What an authority knows of our control over one name (RFC 8555, 7.1.4), with its challenge by HTTP.
struct ACMEAuthorization: Sendable, Hashable {
    enum Status: String { case pending, valid, invalid, deactivated, expired, revoked }
    var status: Status
    var name: String
    /// Where the challenge `http-01` is, and its token; nil when none is offered.
    var challenge: (url: String, token: String)? {
        guard let url, let token else { return nil }
        return (url, token)
    }
    private var url: String?
    private var token: String?
    var problem: ACMEProblem?

    init(_ answer: ACMEAnswer, origin: String) throws(ACMEProblem) {
        guard answer.isGood, let json = answer.json else { throw ACMEProblem(refusal: answer) }
        guard let status = json["status"]?.string.flatMap(Status.init),
            let name = json["identifier", "value"]?.string, name.utf8.count <= 253
        else { throw ACMEProblem(type: "", detail: "the authority's answer is no authorization") }
        self.status = status
        self.name = name
        let challenge = (json["challenges"]?.array ?? []).prefix(32).first { $0["type"]?.string == "http-01" }
        url = ACMEURL.checked(challenge?["url"], origin: origin)
        token = challenge?["token"]?.string.flatMap { ACMEChallenge.isToken($0) ? $0 : nil }
        problem = challenge?["error"].map { ACMEProblem($0, status: answer.status) }
    }
}

/// The challenge by HTTP (RFC 8555, 8.3).
public enum ACMEChallenge {
    /// Whether a text may be a token: base64 of the URL's alphabet, of some length.
    public static func isToken(_ text: String) -> Bool {
        (1...ACMELimits.token).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
