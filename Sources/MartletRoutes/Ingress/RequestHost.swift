/// What a request's Host field says (RFC 9110, section 7.2): a name or address, and a port when one is given.
public struct RequestHost: Sendable, Hashable {
    /// Lower case, without the root's dot; an IPv6 address stays in its brackets. What rules are matched with.
    public var name: String
    /// As given; nil when there is none, or what stands in its place is no port.
    public var port: UInt16?

    /// Reads a Host field. Any text is taken; what is no host simply matches no rule.
    public init(_ field: String) {
        let text = field.lowercased()
        var host = text[...]
        // The colons inside an IPv6 address's brackets are its own.
        let afterAddress = host.hasPrefix("[") ? host.firstIndex(of: "]") ?? host.startIndex : host.startIndex
        if let colon = host[afterAddress...].lastIndex(of: ":") {
            port = UInt16(host[host.index(after: colon)...])
            host = host[..<colon]
        }
        if host.hasSuffix(".") { host = host.dropLast() }
        name = String(host)
    }
}
