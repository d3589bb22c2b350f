/// The forms of names, with Kubernetes' sentences for what is wrong with one.
public enum Names {
    private static let labelForm = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    private static let qualifiedForm = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

    private static func isLower(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isWord(_ byte: UInt8) -> Bool { isLower(byte) || isUpper(byte) || isDigit(byte) }

    private static func isLabel(_ text: Substring.UTF8View) -> Bool {
        guard let first = text.first, let last = text.last else { return false }
        return first != UInt8(ascii: "-") && last != UInt8(ascii: "-")
            && text.allSatisfy { isLower($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isQualifiedPart(_ text: Substring.UTF8View) -> Bool {
        guard let first = text.first, let last = text.last else { return false }
        return isWord(first) && isWord(last)
            && text.allSatisfy {
                isWord($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
            }
    }

    /// Labels joined by dots.
    private static func isSubdomain(_ text: Substring.UTF8View) -> Bool {
        let (dot, hyphen) = (UInt8(ascii: "."), UInt8(ascii: "-"))
        var previous = dot
        for byte in text {
            switch byte {
            case dot: if previous == dot || previous == hyphen { return false }
            case hyphen: if previous == dot { return false }
            default: if !isLower(byte) && !isDigit(byte) { return false }
            }
            previous = byte
        }
        return previous != dot && previous != hyphen
    }

    /// An RFC 1123 subdomain: the names of most kinds. Nil when it is one.
    public static func subdomainFault(_ text: String) -> String? { subdomainFault(Substring(text).utf8) }

    private static func subdomainFault(_ text: Substring.UTF8View) -> String? {
        if text.count > 253 { return "must be no more than 253 bytes" }
        if isSubdomain(text) { return nil }
        return
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            + "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            + "'\(labelForm)(\\.\(labelForm))*')"
    }

    /// An RFC 1123 label: the names of namespaces, containers, volumes. Nil when it is one.
    public static func labelFault(_ text: String) -> String? {
        if text.utf8.count > 63 { return "must be no more than 63 bytes" }
        if isLabel(Substring(text).utf8) { return nil }
        return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
            + "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            + "'\(labelForm)')"
    }

    /// An RFC 1035 label: the names of services. Nil when it is one.
    public static func dns1035LabelFault(_ text: String) -> String? {
        if text.utf8.count > 63 { return "must be no more than 63 bytes" }
        if isLabel(Substring(text).utf8), text.utf8.first.map(isLower) == true { return nil }
        return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            + "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            + "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
    }

    /// A segment of a URL's path: the names of roles. Nil when it is one.
    public static func pathSegmentFault(_ text: String) -> String? {
        if text == "." || text == ".." { return "may not be '\(text)'" }
        for character in ["/", "%"] where text.contains(character) { return "may not contain '\(character)'" }
        return nil
    }

    /// A label's or annotation's key: `name` or `prefix/name`. Nil when it is one.
    public static func qualifiedNameFault(_ text: String) -> String? {
        var name = Substring(text).utf8
        if let slash = name.firstIndex(of: UInt8(ascii: "/")) {
            let prefix = name[..<slash]
            name = name[name.index(after: slash)...]
            if name.contains(UInt8(ascii: "/")) {
                return "a qualified name \(qualifiedSentence) with an optional DNS subdomain prefix and '/' (e.g. "
                    + "'example.com/MyName')"
            }
            if prefix.isEmpty { return "prefix part must be non-empty" }
            if let fault = subdomainFault(prefix) { return "prefix part \(fault)" }
        }
        if name.isEmpty { return "name part must be non-empty" }
        if name.count > 63 { return "name part must be no more than 63 bytes" }
        return isQualifiedPart(name) ? nil : "name part \(qualifiedSentence)"
    }

    private static let qualifiedSentence =
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
        + "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '\(qualifiedForm)')"

    /// A label's value. Nil when it is one.
    public static func labelValueFault(_ text: String) -> String? {
        if text.utf8.count > 63 { return "must be no more than 63 bytes" }
        if text.isEmpty || isQualifiedPart(Substring(text).utf8) { return nil }
        return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            + "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
            + "for validation is '(\(qualifiedForm))?')"
    }

    /// An environment variable's name: any printable ASCII but `=`. Nil when it is one.
    public static func environmentNameFault(_ text: String) -> String? {
        if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "=") }) { return nil }
        return "a valid environment variable name must consist only of printable ASCII characters other than '='"
    }

    /// A key of a ConfigMap or Secret. Nil when it is one.
    public static func dataKeyFault(_ text: String) -> String? {
        if text.utf8.count > 253 { return "must be no more than 253 bytes" }
        let isPlain: (UInt8) -> Bool = {
            isWord($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
        }
        guard !text.isEmpty, text.utf8.allSatisfy(isPlain) else {
            return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                + "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        }
        if text == "." { return "must not be '.'" }
        if text == ".." { return "must not be '..'" }
        return text.hasPrefix("..") ? "must not start with '..'" : nil
    }

    /// A port's name (IANA_SVC_NAME). Empty when it is one; else each sentence on its own.
    public static func portNameFaults(_ text: String) -> [String] {
        var faults: [String] = []
        if text.utf8.count > 15 { faults.append("must be no more than 15 characters long") }
        let bytes = Array(text.utf8)
        if !bytes.allSatisfy({ isLower($0) || isDigit($0) || $0 == UInt8(ascii: "-") }) || bytes.isEmpty {
            faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        if !bytes.contains(where: isLower) { faults.append("must contain at least one letter (a-z)") }
        if text.contains("--") { faults.append("must not contain consecutive hyphens") }
        if bytes.first == UInt8(ascii: "-") || bytes.last == UInt8(ascii: "-") {
            faults.append("must not begin or end with a hyphen")
        }
        return faults
    }

    /// A host name of an Ingress rule that begins with `*.`. Nil when it is one.
    public static func wildcardSubdomainFault(_ text: String) -> String? {
        if text.hasPrefix("*."), subdomainFault(String(text.dropFirst(2))) == nil { return nil }
        return "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
            + "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
            + "'*.example.com', regex used for validation is '\\*\\.\(labelForm)(\\.\(labelForm))*')"
    }

    /// Whether the text is an IPv4 address of four decimal parts.
    public static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                part.utf8.allSatisfy(isDigit) && part.utf8.count <= 3 && (part == "0" || part.first != "0")
                    && Int(part).map { $0 < 256 } == true
            }
    }
    /// Whether the text is an IPv6 address (RFC 4291), perhaps with an IPv4 tail.
    public static func isIPv6(_ text: String) -> Bool {
        let halves = text.split(separator: ":", omittingEmptySubsequences: false)
        guard halves.count >= 3, halves.count <= 9 else { return false }
        var groups = 0
        var gaps = 0
        for (index, part) in halves.enumerated() {
            let isEdge = index == 0 || index == halves.count - 1
            if part.isEmpty {
                let twin = index == 0 ? halves[1] : halves[index - 1]
                if isEdge, !twin.isEmpty { return false }
                if !isEdge { gaps += 1 }
            } else if index == halves.count - 1, part.contains(".") {
                if !isIPv4(String(part)) { return false }
                groups += 2
            } else {
                guard part.utf8.count <= 4, Int(part, radix: 16) != nil, part.utf8.allSatisfy(isWord) else {
                    return false
                }
                groups += 1
            }
        }
        if gaps > 1 { return text == "::" }
        return gaps == 1 ? groups < 8 : groups == 8
    }
}
