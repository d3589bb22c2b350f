/// An IPv4 or IPv6 address.
public struct IPAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Which of the two kinds of addresses it is.
    public enum Family: UInt8, Sendable, Hashable, CaseIterable {
        /// IPv4; the number is Linux' AF_INET.
        case ipv4 = 2
        /// IPv6; the number is Linux' AF_INET6.
        case ipv6 = 10

        /// How many bits an address has.
        public var bits: Int { self == .ipv4 ? 32 : 128 }
    }

    /// Its kind.
    public let family: Family
    /// The upper and the lower half; an IPv4 address is in the lower.
    private let high, low: UInt64

    /// An IPv4 address by its number in host order.
    public init(ipv4: UInt32) {
        family = .ipv4
        high = 0
        low = UInt64(ipv4)
    }

    private init(ipv6 high: UInt64, _ low: UInt64) {
        family = .ipv6
        self.high = high
        self.low = low
    }

    /// Its 4 or 16 bytes in the order of the network; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        func number(_ part: some Sequence<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: self.init(ipv4: UInt32(truncatingIfNeeded: number(bytes)))
        case 16: self.init(ipv6: number(bytes.prefix(8)), number(bytes.dropFirst(8)))
        default: return nil
        }
    }

    /// Reads `10.1.2.3` or `fd00::1`; nil for anything else, a zone (`%eth0`) included.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let groups = Self.groups(of: String(text)) else { return nil }
            self.init(bytes: groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] })
        } else {
            guard let number = Self.ipv4Number(text) else { return nil }
            self.init(ipv4: number)
        }
    }

    /// The bytes in the order of the network: 4 or 16.
    public var bytes: [UInt8] {
        let halves = family == .ipv4 ? [] : stride(from: 56, through: 0, by: -8).map { UInt8(high >> $0 & 255) }
        let start = family == .ipv4 ? 24 : 56
        return halves + stride(from: start, through: 0, by: -8).map { UInt8(low >> UInt64($0) & 255) }
    }

    /// The sum of this address and a number that is counted in units of the bit at `bits`.
    fileprivate func advanced(by count: UInt64, bits: Int) -> IPAddress {
        if family == .ipv4 { return IPAddress(ipv4: UInt32(truncatingIfNeeded: low &+ count << UInt64(32 - bits))) }
        if bits <= 64 { return IPAddress(ipv6: high &+ count << UInt64(64 - bits), low) }
        let (sum, carries) = low.addingReportingOverflow(count << UInt64(128 - bits))
        return IPAddress(ipv6: high &+ (count >> UInt64(bits - 64)) &+ (carries ? 1 : 0), sum)
    }

    /// The address with all bits after the first `length` set to zero.
    public func masked(_ length: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits)) }
        if family == .ipv4 { return IPAddress(ipv4: UInt32(low & mask(length + 32) & 0xFFFF_FFFF)) }
        return IPAddress(ipv6: high & mask(length), low & mask(length - 64))
    }

    /// Whether it is good on one link only (RFC 3927, RFC 4291): many machines may have the same.
    public var isLinkLocal: Bool {
        let range = family == .ipv4 ? IPRange("169.254.0.0/16") : IPRange("fe80::/10")
        return range?.contains(self) ?? false
    }

    /// Whether it may be one machine's among others: no group's, not loopback's, not that of nobody (RFC 6890).
    public var isUnicast: Bool {
        let special =
            family == .ipv4 ? ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"] : ["::/127", "ff00::/8"]
        return !special.contains { IPRange($0)?.contains(self) ?? false }
    }

    /// Orders IPv4 before IPv6, then by number.
    public static func < (one: IPAddress, other: IPAddress) -> Bool {
        (one.family.rawValue, one.high, one.low) < (other.family.rawValue, other.high, other.low)
    }

    /// The address as people write it (RFC 5952 for IPv6).
    public var description: String {
        if family == .ipv4 { return bytes.map(String.init).joined(separator: ".") }
        let all = bytes
        let groups = (0..<8).map { UInt16(all[$0 * 2]) << 8 | UInt16(all[$0 * 2 + 1]) }
        guard let zeros = Self.longestZeros(groups) else { return Self.joined(groups[...]) }
        return Self.joined(groups[..<zeros.lowerBound]) + "::" + Self.joined(groups[zeros.upperBound...])
    }

    private static func joined(_ groups: ArraySlice<UInt16>) -> String {
        groups.map { String($0, radix: 16) }.joined(separator: ":")
    }

    /// The first of the longest runs of zeros, when it has two or more.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var best = 0..<0
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start > best.count { best = start..<end }
            start = max(end, start + 1)
        }
        return best.count >= 2 ? best : nil
    }

    private static func ipv4Number(_ text: some StringProtocol) -> UInt32? {
        var (number, dots, digits): (UInt32, Int, Int) = (0, 0, 0)
        var part: UInt32 = 0
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                // No zero stands before other digits.
                if digits > 0 && part == 0 { return nil }
                part = part * 10 + UInt32(byte - 48)
                digits += 1
                if part > 255 { return nil }
            case UInt8(ascii: "."):
                guard digits > 0, dots < 3 else { return nil }
                number = number << 8 | part
                (dots, digits, part) = (dots + 1, 0, 0)
            default: return nil
            }
        }
        return dots == 3 && digits > 0 ? number << 8 | part : nil
    }

    private static func groups(of text: String) -> [UInt16]? {
        func read(_ part: Substring) -> [UInt16]? {
            if part.isEmpty { return [] }
            let words = part.split(separator: ":", omittingEmptySubsequences: false)
            var groups: [UInt16] = []
            for (index, word) in words.enumerated() {
                if word.utf8.contains(UInt8(ascii: ".")), index == words.count - 1, let four = ipv4Number(word) {
                    groups += [UInt16(four >> 16), UInt16(four & 0xFFFF)]
                } else if (1...4).contains(word.utf8.count), word.allSatisfy(\.isHexDigit),
                    let group = UInt16(word, radix: 16)
                {
                    groups.append(group)
                } else {
                    return nil
                }
            }
            return groups
        }
        let halves = Self.halves(of: text)
        if halves.count == 1 {
            guard let groups = read(halves[0]), groups.count == 8 else { return nil }
            return groups
        }
        guard halves.count == 2, !halves[0].contains("."), let front = read(halves[0]), let back = read(halves[1]),
            front.count + back.count <= 7
        else { return nil }
        return front + Array(repeating: 0, count: 8 - front.count - back.count) + back
    }

    /// What stands around each `::`.
    private static func halves(of text: String) -> [Substring] {
        var halves: [Substring] = []
        var rest = text[...]
        while let colons = rest.utf8.indices.first(where: { at in
            let next = rest.utf8.index(after: at)
            return next < rest.utf8.endIndex && rest.utf8[at] == 58 && rest.utf8[next] == 58
        }) {
            halves.append(rest[..<colons])
            rest = rest[rest.utf8.index(colons, offsetBy: 2)...]
        }
        return halves + [rest]
    }
}

/// A range of addresses: those whose first bits are alike.
public struct IPRange: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Its first address.
    public let base: IPAddress
    /// How many leading bits all its addresses share.
    public let length: Int

    /// The range of that length around an address; a length out of bounds is brought into them.
    public init(_ address: IPAddress, length: Int) {
        self.length = min(max(length, 0), address.family.bits)
        base = address.masked(self.length)
    }

    /// A single address.
    public init(_ address: IPAddress) { self.init(address, length: address.family.bits) }

    /// Reads `10.244.0.0/16` or `fd00::/64`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), (1...3).contains(parts[1].utf8.count),
            parts[1].utf8.allSatisfy({ (48...57).contains($0) }), let length = Int(parts[1]),
            length <= address.family.bits
        else { return nil }
        self.init(address, length: length)
    }

    /// The kind of its addresses.
    public var family: IPAddress.Family { base.family }

    /// Whether the address is in it.
    public func contains(_ address: IPAddress) -> Bool {
        address.family == base.family && address.masked(length) == base
    }

    /// The address that lies so far behind the first one, which may be beyond the range's end.
    public func address(_ offset: UInt64) -> IPAddress { base.advanced(by: offset, bits: family.bits) }

    /// The piece of that length number `index`, which may be beyond the range's end.
    public func piece(_ index: Int, length: Int) -> IPRange {
        IPRange(base.advanced(by: UInt64(max(0, index)), bits: length), length: length)
    }

    /// Reads ranges with commas between them; nil when one of them is none.
    public static func list(_ text: some StringProtocol) -> [IPRange]? {
        let ranges = text.split(separator: ",", omittingEmptySubsequences: false).map { IPRange($0) }
        return ranges.contains(nil) ? nil : ranges.compactMap { $0 }
    }

    /// Whether two ranges have an address in common.
    public func overlaps(_ other: IPRange) -> Bool { contains(other.base) || other.contains(base) }

    /// By the first address, then by length.
    public static func < (one: IPRange, other: IPRange) -> Bool {
        (one.base, one.length) < (other.base, other.length)
    }

    /// As `10.244.0.0/16`.
    public var description: String { "\(base)/\(length)" }
}
