internal import MartletBase

/// An IP address as a record holds it: 4 or 16 bytes.
struct DNSAddress: Sendable, Hashable {
    var bytes: [UInt8]
    var type: UInt16 { bytes.count == 4 ? DNSType.a : DNSType.aaaa }

    /// From the usual text; nil when it is no address.
    init?(_ text: String) {
        guard let address = IPAddress(text) else { return nil }
        bytes = address.bytes
    }

    /// The name under `in-addr.arpa` or `ip6.arpa`.
    var reverse: DNSName? {
        if bytes.count == 4 { return DNSName(bytes.reversed().map { String($0) + "." }.joined() + "in-addr.arpa") }
        let digits = bytes.reversed().flatMap { [$0 & 15, $0 >> 4] }.map { String($0, radix: 16) + "." }
        return DNSName(digits.joined() + "ip6.arpa")
    }

    /// As a label: dots and colons as dashes, as CoreDNS writes it.
    static func label(_ text: String) -> String {
        String(decoding: text.utf8.map { $0 == 46 || $0 == 58 ? UInt8(ascii: "-") : $0 }, as: UTF8.self)
    }

    /// What a label of a pod's name says: `10-0-0-1`, or `fd00--1`.
    init?(label: ArraySlice<UInt8>) {
        guard label.count <= 45 else { return nil }
        let text = String(decoding: label, as: UTF8.self)
        let dashes = label.count { $0 == UInt8(ascii: "-") }
        let isFour = dashes == 3 && !text.contains("--")
        self.init(String(text.map { $0 == "-" ? (isFour ? "." : ":") : $0 }))
    }
}
