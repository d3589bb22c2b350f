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

    /// Whether a path in its normal form falls under it.
    func matches(_ path: Span<UInt8>) -> Bool {
        switch self {
        case .exact(let wanted): return wanted.count == path.count && Self.begins(path, wanted)
        case .prefix(let wanted):
            guard path.count >= wanted.count, Self.begins(path, wanted) else { return false }
            return path.count == wanted.count || path[wanted.count] == UInt8(ascii: "/")
        case .pattern(let expression, _):
            let text = String(decoding: path.indices.map { path[$0] }, as: UTF8.self)
            return expression.matches(text)
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
    }
    /// Lower case for fields, which are matched in any case.
    var name: String
    var test: Test

    func matches(_ value: String) -> Bool {
        switch test {
        case .exact(let wanted): value == wanted
        case .pattern(let expression): expression.matches(value)
        }
    }
}

/// What matching looks at in a request beside host and path.
public protocol RoutedRequest {
    /// The method, as sent.
    var method: String { get }
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

    func matches(_ path: Span<UInt8>, _ request: some RoutedRequest, target: String) -> Bool {
        guard self.path.matches(path) else { return false }
        if let method, request.method != method { return false }
        for field in fields {
            guard let value = request.field(field.name), field.matches(value) else { return false }
        }
        if parameters.isEmpty { return true }
        let query = Query(target)
        return parameters.allSatisfy { wanted in query[wanted.name].map { wanted.matches($0) } ?? false }
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
    /// RFC 3339 in UTC, which sorts as time does.
    var created: String
    var name: String
    var place: Int

    static func < (a: RouteOrder, b: RouteOrder) -> Bool {
        if a.host != b.host { return a.host > b.host }
        if a.rank != b.rank { return a.rank < b.rank }
        if a.length != b.length { return a.length > b.length }
        if a.hasMethod != b.hasMethod { return a.hasMethod }
        if a.fields != b.fields { return a.fields > b.fields }
        if a.parameters != b.parameters { return a.parameters > b.parameters }
        return (a.created, a.name, a.place) < (b.created, b.name, b.place)
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
