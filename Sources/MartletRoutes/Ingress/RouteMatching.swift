internal import MartletBase
public import MartletObject

/// What a rule asks of a request's path.
public enum PathMatch: Sendable, Hashable {
    /// It is this one, byte for byte.
    case exact([UInt8])
    /// It begins with these elements; kept without a slash at the end, so that `/` is empty.
    case prefix([UInt8])
    /// The expression matches from the path's first byte on.
    case pattern(RegularExpression, length: Int)

    /// A Prefix or PathPrefix as it is written.
    static func prefix(of text: String) -> PathMatch {
        var path = RequestPath.normal(text.utf8)
        if path.last == UInt8(ascii: "/") { path.removeLast() }
        return .prefix(path)
    }

    /// An Exact path as it is written.
    static func exact(of text: String) -> PathMatch { .exact(RequestPath.normal(text.utf8)) }

    /// How much of a path it names: what is longer goes first.
    var length: Int {
        switch self {
        case .exact(let path), .prefix(let path): path.count
        case .pattern(_, let length): length
        }
    }

    /// What an expression that cannot be read may have meant, at most: all paths that begin as it does, in any case.
    /// It goes before and after the same others as the expression would have.
    static func unreadable(_ text: String) -> PathMatch {
        let start = literalStart(of: text.utf8.first == UInt8(ascii: "^") ? text.utf8.dropFirst() : text.utf8[...])
        guard let expression = try? RegularExpression("(?i)^" + start) else { return .prefix([]) }
        return .pattern(expression, length: text.utf8.count)
    }

    /// The letters with which every match of an expression begins, as far as that is plain to see.
    private static func literalStart(of text: Substring.UTF8View) -> String {
        // What is behind a bar is another beginning, unless the bar is a group's own.
        var depth = 0
        var isPlain = true
        for byte in text {
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            case UInt8(ascii: "["), UInt8(ascii: "\\"): isPlain = false
            case UInt8(ascii: "|"): if depth <= 0 || !isPlain { return "" }
            default: break
            }
        }
        let start = text.prefix { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "/-_~!&',;=:@".utf8.contains(byte)
            }
        }
        let next = text[start.endIndex...].first
        let mayLackTheLast = next.map { "*?{".utf8.contains($0) } ?? false
        return String(Substring(mayLackTheLast ? start.dropLast() : start))
    }

    /// Whether a path falls under it; nil when that cannot be found out.
    func matches(_ path: Span<UInt8>, _ parts: inout RequestParts) -> Bool? {
        switch self {
        case .exact(let wanted): return wanted.count == path.count && Self.begins(path, wanted)
        case .prefix(let wanted):
            guard path.count >= wanted.count, Self.begins(path, wanted) else { return false }
            return path.count == wanted.count || path[wanted.count] == UInt8(ascii: "/")
        case .pattern(let expression, _): return expression.test(parts.text(of: path), steps: RequestParts.mostSteps)
        }
    }

    private static func begins(_ path: Span<UInt8>, _ wanted: [UInt8]) -> Bool {
        // From the end on: paths of one host differ there.
        var index = wanted.count
        while index > 0 {
            index -= 1
            if path[index] != wanted[index] { return false }
        }
        return true
    }
}

/// What a rule asks of a field or of a parameter of the query.
struct ValueMatch: Sendable, Hashable {
    enum Test: Sendable, Hashable {
        case exact(String)
        case pattern(RegularExpression)
        /// Whatever it is, as long as it is there.
        case any
    }
    /// Lower case for fields, which are matched in any case.
    var name: String
    var test: Test

    /// Whether a value passes; nil when that cannot be found out.
    func matches(_ value: String) -> Bool? {
        switch test {
        case .exact(let wanted): value == wanted
        case .pattern(let expression): expression.test(value, steps: RequestParts.mostSteps)
        case .any: true
        }
    }
}

/// What rules look at in a request that costs something to make: made once, when the first rule asks for it.
struct RequestParts {
    /// How many steps a match may take: what takes more is refused, before it has held a thread for long.
    static let mostSteps = 300_000
    /// How many a match with groups may take, each of which costs more.
    static let mostGroupSteps = 300_000

    private var path: String?
    private var parameters: Query?

    /// The path as a text. It is that of one reading, until ``readAnew()``.
    mutating func text(of bytes: Span<UInt8>) -> String {
        if let path { return path }
        let text = bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
        path = text
        return text
    }

    /// From now on the path is another.
    mutating func readAnew() { path = nil }

    /// The parameters of the query.
    mutating func query(of request: some RoutedRequest) -> Query {
        if let parameters { return parameters }
        let query = Query(request.target)
        parameters = query
        return query
    }
}

/// What matching looks at in a request beside host and path.
public protocol RoutedRequest {
    /// The method, as sent.
    var method: String { get }
    /// The path as sent, with the query.
    var target: String { get }
    /// The value of a field; of several their values with commas between them.
    /// - Parameter name: in lower case.
    func field(_ name: String) -> String?
}

/// One way to fall under a route.
struct RouteRule: Sendable {
    var path: PathMatch
    var method: String?
    var fields: [ValueMatch] = []
    var parameters: [ValueMatch] = []
    var order: RouteOrder
    var route: WebRoute

    /// Whether the rule has a request; nil when that cannot be found out.
    func matches(_ path: Span<UInt8>, _ request: some RoutedRequest, _ parts: inout RequestParts) -> Bool? {
        if let method, request.method != method { return false }
        let isCovered = self.path.matches(path, &parts)
        if isCovered != true { return isCovered }
        for field in fields {
            guard let value = request.field(field.name) else { return false }
            let isWanted = field.matches(value)
            if isWanted != true { return isWanted }
        }
        if parameters.isEmpty { return true }
        let query = parts.query(of: request)
        for parameter in parameters {
            guard let value = query[parameter.name] else { return false }
            let isWanted = parameter.matches(value)
            if isWanted != true { return isWanted }
        }
        return true
    }
}

/// Which of two rules that both match goes first. By networking.k8s.io/v1: the longer path, an Exact before a Prefix,
/// the older Ingress. By Gateway API v1: the host name as the route writes it, Exact, then the longest prefix, the
/// method, the number of fields, then of parameters, the oldest route, its name, and the place within it.
struct RouteOrder: Sendable, Hashable, Comparable {
    /// How exactly the route names the host, by ``HostPattern/exactness``; 0 for an Ingress, whose hosts lie apart.
    var host = 0
    /// 0 for Exact, 1 for expressions of Gateway API, 2 for all else, 3 for an Ingress' default backend.
    var rank: Int
    var length: Int
    var hasMethod = false
    var fields = 0
    var parameters = 0
    /// Of the Ingress or HTTPRoute that the rule is of.
    var age: ObjectAge
    var place: Int

    static func < (a: RouteOrder, b: RouteOrder) -> Bool {
        if a.host != b.host { return a.host > b.host }
        if a.rank != b.rank { return a.rank < b.rank }
        if a.length != b.length { return a.length > b.length }
        if a.hasMethod != b.hasMethod { return a.hasMethod }
        if a.fields != b.fields { return a.fields > b.fields }
        if a.parameters != b.parameters { return a.parameters > b.parameters }
        return (a.age, a.place) < (b.age, b.place)
    }
}

/// The parameters of a target's query, percent-decoded; of one given twice the first counts.
struct Query {
    /// So many are looked at.
    static let most = 256
    private var values: [String: String] = [:]

    init(_ target: String) {
        guard let start = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return }
        let text = target.utf8[target.utf8.index(after: start)...]
        for pair in text.split(separator: UInt8(ascii: "&"), maxSplits: Self.most) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decode(parts[0])
            if values[name] == nil { values[name] = parts.count > 1 ? Self.decode(parts[1]) : "" }
        }
    }

    subscript(name: String) -> String? { values[name] }

    private static func decode(_ text: Substring.UTF8View) -> String {
        PercentCoding.decode(Substring(text), plusIsSpace: true)
    }
}
