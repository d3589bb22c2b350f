public import HTTPTypes

/// The fields that belong to one connection, and that nobody passes on (RFC 9110, section 7.6.1).
public enum HopByHop {
    private static let names: [HTTPField.Name] = [
        .connection, .te, .trailer, .transferEncoding, .upgrade, .proxyAuthenticate, .proxyAuthorization,
        HTTPField.Name("Keep-Alive")!, HTTPField.Name("Proxy-Connection")!,
    ]

    /// Takes off what belongs to one connection only, and what the Connection field names.
    public static func strip(_ fields: inout HTTPFields) {
        let named = options(of: fields).compactMap { HTTPField.Name(String($0)) }
        for name in names + named where fields.contains(name) { fields[name] = nil }
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
