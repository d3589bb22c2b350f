/// The query of a request's path, decoded.
struct Query: Sendable, Hashable {
    private var values: [String: [String]] = [:]

    /// Reads `a=b&c=d`. Text that is not well encoded stands for itself.
    init(_ text: Substring) {
        for pair in text.split(separator: "&").prefix(Limits.queryParameters) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = PercentCoding.decode(parts[0], plusIsSpace: true)
            values[name, default: []].append(parts.count == 2 ? PercentCoding.decode(parts[1], plusIsSpace: true) : "")
        }
    }

    /// The first value; nil when absent.
    subscript(_ name: String) -> String? { values[name]?.first }
    /// The first value if it has any text.
    func text(_ name: String) -> String? { self[name].flatMap { $0.isEmpty ? nil : $0 } }
    /// The value as upstream reads truth: `false` and `0` are false, any other text is true.
    func flag(_ name: String) -> Bool? { self[name].map { !["false", "0"].contains($0.lowercased()) } }
    /// A whole number.
    /// - Throws: 400 when there is text that is none.
    func integer(_ name: String) throws(APIError) -> Int64? {
        guard let text = text(name) else { return nil }
        guard let number = Int64(text) else {
            throw .badRequest("unable to read query parameter \(name): \"\(text)\" is not a whole number")
        }
        return number
    }
}

/// Percent encoding of paths and queries (RFC 3986).
enum PercentCoding {
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let high = hex(rest[rest.startIndex]),
                let low = hex(rest[rest.startIndex + 1])
            {
                bytes.append(high << 4 | low)
                rest.removeFirst(2)
            } else if byte == UInt8(ascii: "+"), plusIsSpace {
                bytes.append(UInt8(ascii: " "))
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Encodes all but the unreserved characters.
    static func encode(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
