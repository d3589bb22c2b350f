/// Which other origins' scripts may ask, and what for (Fetch, section 3.2).
public struct CORSPolicy: Sendable, Hashable {
    /// `*`, origins, and origins with `*.`, one label, before the host; lower case.
    public var origins = ["*"]
    /// Access-Control-Allow-Methods.
    public var methods = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
    /// Access-Control-Allow-Headers.
    public var headers =
        "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
    /// Access-Control-Expose-Headers.
    public var exposed: String?
    /// Access-Control-Allow-Credentials.
    public var allowsCredentials = true
    /// Access-Control-Max-Age, in seconds.
    public var maxAge = 1_728_000

    /// What Access-Control-Allow-Origin says to a request with this Origin; nil for one that may not ask. Where all may
    /// ask it is `*`, and then browsers keep back what was asked for with credentials (Fetch, section 3.2.5): what a
    /// visitor reads who has logged in is for origins that are named, as in ingress-nginx.
    public func allowed(_ origin: String?) -> String? {
        if origins.contains("*") { return "*" }
        guard let origin, Self.isOrigin(origin) else { return nil }
        let text = origin.lowercased()
        return origins.contains { Self.covers($0, text) } ? origin : nil
    }

    /// The fields of an answer.
    /// - Parameter isPreflight: whether it answers what a browser asks beforehand.
    public func fields(for origin: String?, isPreflight: Bool) -> [FieldChanges.Field] {
        guard let allowed = allowed(origin) else { return [] }
        var fields = [FieldChanges.Field(name: "access-control-allow-origin", value: allowed)]
        if allowsCredentials && allowed != "*" {
            fields.append(.init(name: "access-control-allow-credentials", value: "true"))
        }
        if allowed != "*" { fields.append(.init(name: "vary", value: "Origin")) }
        if isPreflight {
            fields.append(.init(name: "access-control-allow-methods", value: methods))
            fields.append(.init(name: "access-control-allow-headers", value: headers))
            fields.append(.init(name: "access-control-max-age", value: String(maxAge)))
        } else if let exposed {
            fields.append(.init(name: "access-control-expose-headers", value: exposed))
        }
        return fields
    }

    private static func covers(_ pattern: String, _ origin: String) -> Bool {
        guard let star = pattern.range(of: "*.") else { return pattern == origin }
        let scheme = pattern[..<star.lowerBound]
        let suffix = pattern[pattern.index(after: star.lowerBound)...]
        guard origin.hasPrefix(scheme), origin.hasSuffix(suffix) else { return false }
        let label = origin.dropFirst(scheme.count).dropLast(suffix.count)
        return !label.isEmpty && label.utf8.allSatisfy { $0.isLabelByte }
    }

    /// A scheme and a host, maybe a port, or `null`: what may be echoed into an answer.
    private static func isOrigin(_ text: String) -> Bool {
        text.utf8.count <= 512 && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ",") }
    }
}

extension UInt8 {
    /// Whether it may stand in a label of a host name.
    fileprivate var isLabelByte: Bool {
        switch self {
        case 0x30...0x39, 0x61...0x7A, UInt8(ascii: "-"): true
        default: false
        }
    }
}

extension String {
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
