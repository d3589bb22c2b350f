public import HTTPTypes

/// The fields that belong to one connection, and that nobody passes on (RFC 9110, section 7.6.1).
public enum HopByHop {
    static let names: [HTTPField.Name] = [
        .connection, .te, .trailer, .transferEncoding, .upgrade, .proxyAuthenticate, .proxyAuthorization,
        HTTPField.Name("Keep-Alive")!, HTTPField.Name("Proxy-Connection")!,
    ]

    /// The same, for plain heads.
    static let plainNames = PlainNames(names)

    /// Belongs to no connection, and yet nobody passes it on: a client's `Proxy` field would become HTTP_PROXY in a CGI
    /// program behind us ("httpoxy").
    public static let httpoxy = HTTPField.Name("Proxy")!

    /// Takes off what belongs to one connection only, and what the Connection field names.
    public static func strip(_ fields: inout HTTPFields) {
        // Most messages have none; and without a Connection field, nothing else is named.
        guard fields.contains(where: { isOne($0.name) }) else { return }
        let named = options(of: fields).compactMap { HTTPField.Name(String($0)) }
        fields.removeAll { isOne($0.name) || named.contains($0.name) }
    }

    /// A bit for each length that a name of ours has: most fields are told by theirs.
    private static let lengths: UInt32 = names.reduce(0) { $0 | 1 << UInt32($1.canonicalName.utf8.count) }

    private static func isOne(_ name: HTTPField.Name) -> Bool {
        lengths >> UInt32(name.canonicalName.utf8.count) & 1 == 1 && names.contains(name)
    }

    /// What the Connection field lists, in lower case.
    private static func options(of fields: HTTPFields) -> [Substring] {
        guard let list = fields[.connection] else { return [] }
        return list.lowercased().filter { $0 != " " && $0 != "\t" }.split(separator: ",")
    }

    /// The protocol a client wants to switch to, nil for a plain request. Never HTTP/2: a backend that speaks it
    /// would take further requests on the connection, past every rule.
    public static func upgrade(of fields: HTTPFields) -> String? {
        guard options(of: fields).contains("upgrade"), let wish = fields[.upgrade] else { return nil }
        return wish.lowercased().contains("h2c") ? nil : wish
    }
}
