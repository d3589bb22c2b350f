public import MartletObject

/// Another path in place of a request's.
public enum PathRewrite: Sendable, Hashable {
    /// This one for all.
    case whole(String)
    /// This one in place of the part that the rule's prefix covered.
    case prefix(String)
    /// A text with the groups of an expression put in: `$0` to `$9`.
    case template(RegularExpression, [Piece])

    /// A part of a template.
    public enum Piece: Sendable, Hashable {
        /// Stands as it is.
        case text(String)
        /// What a group of the expression took.
        case group(Int)
    }

    /// Reads a template: `$` and a digit is a group, all else stands for itself.
    static func pieces(of text: String) -> [Piece] {
        var pieces: [Piece] = []
        var plain = ""
        var rest = Substring(text)
        while let character = rest.popFirst() {
            guard character == "$", let digit = rest.first, let group = digit.wholeNumberValue, digit.isASCII else {
                plain.append(character)
                continue
            }
            rest.removeFirst()
            if !plain.isEmpty { pieces.append(.text(plain)) }
            plain = ""
            pieces.append(.group(group))
        }
        if !plain.isEmpty { pieces.append(.text(plain)) }
        return pieces
    }

    /// The new target of a request: a path in normal form that begins with a slash, and the query. As in nginx, what
    /// follows a question mark in the new one goes before the request's own query. Nil when an expression takes too
    /// long for this path.
    /// - Parameters:
    ///   - path: the request's, in normal form.
    ///   - query: the request's, with its `?`.
    ///   - rule: what it matched.
    func apply(to path: String, _ query: String, matched rule: PathMatch) -> String? {
        switch self {
        case .whole(let text): return Self.target(text, query)
        case .prefix(let text):
            guard case .prefix(let covered) = rule else { return Self.safe(text) + query }
            let rest = path.utf8.dropFirst(covered.count)
            let start = text.hasSuffix("/") ? text.dropLast() : text[...]
            return Self.safe(String(start) + String(decoding: rest, as: UTF8.self)) + query
        case .template(let expression, let pieces):
            guard let groups = expression.firstMatch(in: path, steps: RequestParts.mostGroupSteps) else { return nil }
            var text = ""
            for piece in pieces {
                switch piece {
                case .text(let plain): text += plain
                case .group(let group): if group < groups.count, let part = groups[group] { text += part }
                }
            }
            return Self.target(text, query)
        }
    }

    private static func target(_ text: String, _ query: String) -> String {
        guard let mark = text.utf8.firstIndex(of: UInt8(ascii: "?")) else { return safe(text) + query }
        let first = RequestTarget.query(text[mark...])
        return safe(String(text[..<mark])) + first + (query.isEmpty ? "" : "&" + query.dropFirst())
    }

    /// What goes into a request line or a Location: a path that begins with one slash.
    private static func safe(_ text: String) -> String {
        String(decoding: RequestPath.normal(text.utf8), as: UTF8.self)
    }
}

/// Another host or path in place of a request's.
public struct Rewrite: Sendable, Hashable {
    /// The Host that backends see.
    public var host: String?
    /// The path that they see.
    public var path: PathRewrite?

    /// The new target of a request: its path anew, its query as it was. Nil when that takes too long to find.
    public func target(_ target: String, matched rule: PathMatch) -> String? {
        guard let path else { return target }
        let (old, query) = RequestTarget.parts(of: target)
        return path.apply(to: old, query, matched: rule)
    }
}

/// An answer that sends the client elsewhere.
public struct Redirect: Sendable, Hashable {
    /// `http` or `https`; nil for the request's.
    public var scheme: String?
    /// The host; nil for the request's.
    public var host: String?
    /// The port; nil for the scheme's own when that is given, else the listener's.
    public var port: Int?
    /// The path; nil for the request's, with its query.
    public var path: PathRewrite?
    /// All of the location, in place of the parts above.
    public var location: String?
    /// The status.
    public var status = 302

    /// A redirect to another path of the same host.
    public init(path: PathRewrite, status: Int = 302) {
        self.path = path
        self.status = status
    }

    init(
        scheme: String? = nil, host: String? = nil, port: Int? = nil, path: PathRewrite? = nil, status: Int = 302
    ) {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
        self.status = status
    }

    /// A redirect to this location.
    init(location: String, status: Int) {
        self.location = location
        self.status = status
    }

    /// Where a request is sent.
    /// - Parameters:
    ///   - host: the request's Host, with its port when it has one.
    ///   - isSecure: whether it came over TLS.
    ///   - listener: what it came through.
    public func location(
        host: String, target: String, isSecure: Bool, matched rule: PathMatch, listener: RouteListener?
    ) -> String {
        if let location { return location }
        let sent = RequestHost(host)
        let scheme = scheme ?? (isSecure ? "https" : "http")
        let standard = scheme == "https" ? 443 : 80
        let given = self.scheme == nil ? listener?.port ?? sent.port.map(Int.init) : nil
        let port = port ?? given ?? standard
        let name = self.host ?? sent.name
        let (old, query) = RequestTarget.parts(of: target)
        let new = path?.apply(to: old, query, matched: rule) ?? old + query
        return "\(scheme)://\(name)\(port == standard ? "" : ":\(port)")\(new)"
    }
}

/// A request's target in its two parts.
enum RequestTarget {
    /// The path in normal form, and the query with its `?`; without bytes that may not stand in a field.
    static func parts(of target: String) -> (path: String, query: String) {
        let bytes = target.utf8.span
        let length = RequestPath.length(of: bytes)
        let path = bytes.extracting(0..<length)
        let query = query(Substring(target.utf8.dropFirst(length)))
        if RequestPath.isNormal(path) { return (String(target.utf8.prefix(length)) ?? "/", query) }
        return (String(decoding: RequestPath.normal(target.utf8.prefix(length)), as: UTF8.self), query)
    }

    /// A query without what may not stand in a request line.
    static func query(_ text: Substring) -> String {
        String(decoding: text.utf8.lazy.filter { (0x21...0x7E).contains($0) }, as: UTF8.self)
    }
}
