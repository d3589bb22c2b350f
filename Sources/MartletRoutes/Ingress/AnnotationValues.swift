internal import MartletBase

/// Readers of the values that annotations have. Each gives nil for what is no such value.
enum AnnotationValues {
    /// `true` and `false`, in the ways in which Go reads them.
    static func bool(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// A whole number from zero to a billion.
    static func count(_ text: String) -> Int? {
        guard (1...10).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = Int(text), number <= 1_000_000_000
        else { return nil }
        return number
    }

    /// Seconds, with or without `s`, at least one.
    static func seconds(_ text: String) -> Duration? {
        guard let number = count(text.hasSuffix("s") ? String(text.dropLast()) : text), number > 0 else { return nil }
        return .seconds(number)
    }

    /// Bytes as nginx reads them: `8m`, `512k`, `1g`, `1024`.
    static func size(_ text: String) -> Int? {
        var text = text.lowercased()
        var unit = 1
        switch text.last {
        case "k": unit = 1 << 10
        case "m": unit = 1 << 20
        case "g": unit = 1 << 30
        default: break
        }
        if unit > 1 { text.removeLast() }
        return count(text).map { $0 * unit }
    }

    /// Addresses and ranges with commas between them.
    static func ranges(_ text: String) -> [IPRange]? {
        let parts = text.split(separator: ",").map { $0.trimmed }
        guard !parts.isEmpty, parts.count <= mostRanges else { return nil }
        var ranges: [IPRange] = []
        for part in parts {
            guard let range = IPRange(part) ?? IPAddress(part).map({ IPRange($0) }) else { return nil }
            ranges.append(range)
        }
        return ranges
    }

    /// So many ranges one list may have.
    static let mostRanges = 4096

    /// A token of RFC 9110: the name of a field or a cookie.
    static func token(_ text: String) -> String? {
        guard (1...256).contains(text.utf8.count) else { return nil }
        return text.utf8.allSatisfy(isTokenByte) ? text : nil
    }

    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// The value of a field: printable, without a space at either end.
    static func fieldValue(_ text: String) -> String? {
        guard text.utf8.count <= 4096, text.trimmed == text else { return nil }
        return text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 } ? text : nil
    }

    /// Tokens, or `*`, with commas between them: methods, names of fields.
    static func tokens(_ text: String) -> String? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmed)
        return parts.allSatisfy { token($0) != nil } && text.utf8.count <= 4096 ? parts.joined(separator: ", ") : nil
    }

    /// A host name with or without a port, as it stands in a Host field.
    static func host(_ text: String) -> String? {
        guard (1...255).contains(text.utf8.count) else { return nil }
        let isGood = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "-._:[]".utf8.contains(byte)
            }
        }
        return isGood ? text : nil
    }

    /// A location to redirect to: an absolute URL or path, of bytes that may stand in a field.
    static func location(_ text: String) -> String? {
        guard (1...2048).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            !text.contains("$"),
            text.hasPrefix("http://") || text.hasPrefix("https://") || text.hasPrefix("/")
        else { return nil }
        return text
    }

    /// An origin of CORS: `*`, or a scheme and a host, with `*.` before it or not.
    static func origin(_ text: String) -> String? {
        if text == "*" { return text }
        let text = text.lowercased()
        for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
            let host = text.dropFirst(scheme.count)
            return Self.host(String(host.hasPrefix("*.") ? host.dropFirst(2) : host)) == nil ? nil : text
        }
        return nil
    }
}

extension StringProtocol {
    /// Without spaces and tabs at its ends.
    var trimmed: String {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
        var bytes = Array(utf8)[...]
        while let first = bytes.first, isSpace(first) { bytes.removeFirst() }
        while let last = bytes.last, isSpace(last) { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
