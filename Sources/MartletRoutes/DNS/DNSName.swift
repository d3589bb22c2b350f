/// A domain name as it is on the wire, whole and in lower case: its labels, each after its length, and a zero.
public struct DNSName: Sendable, Hashable, CustomStringConvertible {
    /// The bytes, 1 to 255 of them.
    public internal(set) var wire: [UInt8]

    /// The name of all names.
    public static let root = DNSName(unchecked: [0])

    init(unchecked wire: [UInt8]) { self.wire = wire }

    /// From text with or without the last dot; nil when a label is empty or too long, or all of it is. Text has no
    /// escapes here: names of Kubernetes need none.
    public init?(_ text: String) {
        wire = []
        let bytes = Array(text.utf8)
        let body = bytes.last == UInt8(ascii: ".") ? bytes.dropLast() : bytes[...]
        if !body.isEmpty {
            for label in body.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
                guard 1...DNSLimits.label ~= label.count else { return nil }
                wire.append(UInt8(label.count))
                wire.append(contentsOf: label.lazy.map(Self.lower))
            }
        }
        wire.append(0)
        if wire.count > DNSLimits.name { return nil }
    }

    /// One label more, in front; nil when that is no name.
    public func under(_ label: String) -> DNSName? {
        guard 1...DNSLimits.label ~= label.utf8.count, wire.count + 1 + label.utf8.count <= DNSLimits.name else {
            return nil
        }
        return DNSName(unchecked: [UInt8(label.utf8.count)] + label.utf8.map(Self.lower) + wire)
    }

    /// The name without its first label; nil for the root.
    public var parent: DNSName? { wire[0] == 0 ? nil : DNSName(unchecked: Array(wire[(Int(wire[0]) + 1)...])) }

    /// Whether this is `zone`, or under it.
    public func isWithin(_ zone: DNSName) -> Bool { labelsOver(zone) != nil }

    /// Where the labels in front of `zone` begin, the last three of them at most; nil when this is not within it.
    func labelsOver(_ zone: DNSName) -> (count: Int, last: Int, second: Int, third: Int)? {
        let end = wire.count - zone.wire.count
        guard end >= 0, wire[end...].elementsEqual(zone.wire) else { return nil }
        var (at, count, last, second, third) = (0, 0, 0, 0, 0)
        while at < end {
            (third, second, last) = (second, last, at)
            count += 1
            at += Int(wire[at]) + 1
        }
        // Else the zone's bytes begin in the middle of a label.
        return at == end ? (count, last, second, third) : nil
    }

    /// The label that begins there.
    func label(at offset: Int) -> ArraySlice<UInt8> { wire[(offset + 1)...(offset + Int(wire[offset]))] }

    /// A letter in lower case; other bytes as they are (RFC 4343).
    @inline(__always)
    static func lower(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }

    /// Bytes as one, which is what makes a look-up cheap.
    public func hash(into hasher: inout Hasher) { wire.withUnsafeBytes { hasher.combine(bytes: $0) } }

    /// With a dot after each label; bytes that are no plain letters as `\DDD`.
    public var description: String {
        if wire.count == 1 { return "." }
        var (text, at) = ("", 0)
        while wire[at] != 0 {
            for byte in label(at: at) {
                let isPlain = 33...126 ~= byte && byte != UInt8(ascii: ".") && byte != UInt8(ascii: "\\")
                let digits = String(byte)
                text +=
                    isPlain
                    ? String(UnicodeScalar(byte)) : "\\" + String(repeating: "0", count: 3 - digits.count) + digits
            }
            text += "."
            at += Int(wire[at]) + 1
        }
        return text
    }
}
