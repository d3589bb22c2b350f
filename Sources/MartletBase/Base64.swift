/// Base64 (RFC 4648), as Go's encoding/json reads and writes it: the standard alphabet with padding (section 4); and
/// the URL's alphabet without padding (section 5).
public enum Base64 {
    /// The text of some bytes, on one line.
    public static func encode(_ bytes: some Collection<UInt8>) -> String { encode(bytes, standard, isPadded: true) }

    /// The text of some bytes in the URL's alphabet, without padding.
    public static func encodeForURL(_ bytes: some Collection<UInt8>) -> String {
        encode(bytes, forURLs, isPadded: false)
    }

    /// The bytes of a text; nil when it is not base64. Line breaks are skipped; padding must be there.
    public static func decode(_ text: String) -> [UInt8]? { bytes(read(text.utf8, values, isPadded: true)) }

    /// The same for a text given as ASCII bytes.
    public static func decode(_ text: [UInt8]) -> [UInt8]? { bytes(read(text, values, isPadded: true)) }

    /// The offset of the first byte that is wrong; nil when ``decode(_:)-(String)`` reads the text.
    public static func fault(_ text: String) -> Int? {
        if case .fault(let offset) = read(text.utf8, values, isPadded: true) { offset } else { nil }
    }

    /// The bytes of a text in the URL's alphabet; nil when it is not in it, or padded.
    public static func decodeForURL(_ text: String) -> [UInt8]? { bytes(read(text.utf8, urlValues, isPadded: false)) }

    // MARK: Writing

    private static func encode(_ bytes: some Collection<UInt8>, _ digits: [UInt8], isPadded: Bool) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var group: UInt32 = 0
        var count = 0
        func write() {
            for place in 0...count { text.append(digits[Int(group >> UInt32(18 - 6 * place)) & 63]) }
            if isPadded { for _ in count..<3 { text.append(padding) } }
            (group, count) = (0, 0)
        }
        for byte in bytes {
            group |= UInt32(byte) << UInt32(16 - 8 * count)
            count += 1
            if count == 3 { write() }
        }
        if count > 0 { write() }
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: Reading

    private enum Outcome {
        case bytes([UInt8])
        case fault(Int)
    }

    private static func bytes(_ outcome: Outcome) -> [UInt8]? {
        if case .bytes(let bytes) = outcome { bytes } else { nil }
    }

    private static func read(_ text: some Collection<UInt8>, _ values: [UInt8], isPadded: Bool) -> Outcome {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3 + 2)
        var group: UInt32 = 0
        var count = 0
        var padded = 0
        var offset = 0
        for byte in text {
            defer { offset += 1 }
            if isPadded && (byte == 0x0A || byte == 0x0D) { continue }
            if isPadded && byte == padding {
                padded += 1
                if count < 2 || count + padded > 4 { return .fault(offset) }
                continue
            }
            let value = values[Int(byte)]
            if padded > 0 || value > 63 { return .fault(offset) }
            group = group << 6 | UInt32(value)
            count += 1
            if count == 4 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 16))
                bytes.append(UInt8(truncatingIfNeeded: group >> 8))
                bytes.append(UInt8(truncatingIfNeeded: group))
                (group, count) = (0, 0)
            }
        }
        switch (count, padded) {
        case (0, 0): break
        case (2, isPadded ? 2 : 0): bytes.append(UInt8(truncatingIfNeeded: group >> 4))
        case (3, isPadded ? 1 : 0):
            bytes.append(UInt8(truncatingIfNeeded: group >> 10))
            bytes.append(UInt8(truncatingIfNeeded: group >> 2))
        default: return .fault(offset)
        }
        return .bytes(bytes)
    }

    // MARK: Alphabets

    private static let padding = UInt8(ascii: "=")
    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let forURLs = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    /// The value of each byte; 255 for those that are no digit.
    private static let values = values(of: standard)
    private static let urlValues = values(of: forURLs)

    private static func values(of digits: [UInt8]) -> [UInt8] {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, digit) in digits.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }
}
