/// Percent encoding of paths, queries and texts (RFC 3986, section 2.1).
public enum PercentCoding {
    /// Text with `%41` replaced by the byte that it names; what is not well encoded stands for itself, and bytes that
    /// are no UTF-8 become U+FFFD.
    /// - Parameter plusIsSpace: whether `+` stands for a space, as in the query of a form
    ///   (application/x-www-form-urlencoded).
    public static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        let encoded = Array(text.utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encoded.count)
        var at = 0
        while at < encoded.count {
            let byte = encoded[at]
            if byte == UInt8(ascii: "%"), at + 2 < encoded.count, let high = digit(encoded[at + 1]),
                let low = digit(encoded[at + 2])
            {
                bytes.append(high << 4 | low)
                at += 3
            } else {
                bytes.append(byte == UInt8(ascii: "+") && plusIsSpace ? UInt8(ascii: " ") : byte)
                at += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Text with all but the unreserved characters (RFC 3986, section 2.3) encoded: safe as one segment of a path and
    /// as a name or value of a query.
    public static func encode(_ text: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if isUnreserved(byte) { bytes.append(byte) } else { append(byte, to: &bytes) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the three bytes that stand for one byte: `%41` for `A`, digits in upper case.
    public static func append(_ byte: UInt8, to bytes: inout [UInt8]) {
        let digits: StaticString = "0123456789ABCDEF"
        bytes.append(UInt8(ascii: "%"))
        bytes.append(digits.utf8Start[Int(byte >> 4)])
        bytes.append(digits.utf8Start[Int(byte & 15)])
    }

    /// Whether a byte is an unreserved character (RFC 3986, section 2.3): it stands for itself everywhere.
    public static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// What a hexadecimal digit counts, in either case; nil for any other byte.
    public static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
