/// A route of the host (IPv4), as far as the pods' network depends on it.
struct HostRoute: Sendable, Hashable {
    /// Where the kernel lists them, see proc_pid_net(5).
    static let table = "/proc/net/route"

    /// The interface it goes through.
    var interface: String
    /// Where it leads.
    var range: AddressRange

    /// The routes in the text of ``table``; lines that are none are left out.
    static func parse(_ text: String) -> [HostRoute] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 8, let address = UInt32(words[1], radix: 16), let mask = UInt32(words[7], radix: 16)
            else { return nil }
            // The kernel prints the bytes as they are in memory; these machines have the lowest first.
            return HostRoute(
                interface: String(words[0]),
                range: AddressRange(
                    address: address.byteSwapped,
                    bits: mask.byteSwapped.leadingZeroBitCount == 0
                        ? (~mask.byteSwapped).leadingZeroBitCount : 0))
        }
    }

    /// Why pods cannot have a range, in one line: another interface has it, or a part of it. A wider route does no
    /// harm, as the narrower one wins.
    static func conflict(of podCIDR: String, bridge: String, with routes: [HostRoute]) -> String? {
        guard let range = AddressRange(podCIDR),
            let other = routes.first(where: {
                $0.interface != bridge && $0.range.bits >= range.bits && range.contains($0.range.address)
            })
        else { return nil }
        return "the pods' range \(podCIDR) is in use on this host: interface \(other.interface) has a route to "
            + "\(other.range); give this cluster another range with --pod-cidr"
    }
}

/// A range of IPv4 addresses.
struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    /// Its first address, in host order.
    var address: UInt32
    /// How many leading bits all its addresses share, 0 to 32.
    var bits: Int

    init(address: UInt32, bits: Int) {
        self.bits = min(max(bits, 0), 32)
        self.address = address & Self.mask(self.bits)
    }

    /// Reads `10.244.0.0/24`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let bits = UInt8(parts[1]), bits <= 32 else { return nil }
        let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        guard numbers.count == 4 else { return nil }
        var address: UInt32 = 0
        for number in numbers {
            guard let number else { return nil }
            address = address << 8 | UInt32(number)
        }
        self.init(address: address, bits: Int(bits))
    }

    private static func mask(_ bits: Int) -> UInt32 { bits == 0 ? 0 : ~0 << UInt32(32 - bits) }

    func contains(_ other: UInt32) -> Bool { other & Self.mask(bits) == address }

    var description: String {
        let numbers = [24, 16, 8, 0].map { String(address >> $0 & 0xff) }
        return "\(numbers.joined(separator: "."))/\(bits)"
    }
}
