public import MartletBase

/// Which endpoint a client keeps. Its cookie holds a number drawn for it and the mark of the backend; of the endpoints
/// the one whose hash with that number is the highest is its own (rendezvous hashing). So nothing is kept here, the
/// cookie tells nothing of pods, and one that goes moves only the clients it had.
public struct StickyChoice: Sendable, Hashable {
    /// The number.
    public var key: UInt64
    /// The backend that it was drawn for: a client stays with a canary, or away from it.
    public var mark: UInt32

    /// A choice for one who has none.
    public init(key: UInt64, backend: Backend) {
        self.key = key
        mark = Self.mark(of: backend)
    }

    /// Reads a cookie's value; nil for what is none.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].count == 16, parts[1].count == 8,
            let key = UInt64(String(Substring(parts[0])), radix: 16),
            let mark = UInt32(String(Substring(parts[1])), radix: 16)
        else { return nil }
        self.key = key
        self.mark = mark
    }

    /// The cookie's value.
    public var text: String { Self.hex(key, 16) + "-" + Self.hex(UInt64(mark), 8) }

    /// Whether it was drawn for this backend.
    public func isFor(_ backend: Backend) -> Bool { mark == Self.mark(of: backend) }

    /// The endpoints, the client's own first, then those that it would move to in turn.
    public func order(_ endpoints: [Endpoint]) -> [Endpoint] {
        endpoints.map { (Self.hash($0.description, key), $0) }.sorted { $0.0 > $1.0 }.map(\.1)
    }

    /// A choice that leads to this one of the endpoints; nil when none was found in reasonable time.
    /// - Parameter draw: 64 random bits.
    public static func leading(
        to endpoint: Endpoint, among endpoints: [Endpoint], of backend: Backend, draw: UInt64
    ) -> StickyChoice? {
        let texts = endpoints.map(\.description)
        let wanted = endpoint.description
        var choice = StickyChoice(key: draw, backend: backend)
        for _ in 0..<min(1024, 8 * endpoints.count + 8) {
            if texts.max(by: { hash($0, choice.key) < hash($1, choice.key) }) == wanted { return choice }
            choice.key = choice.key &* 0x5851_f42d_4c95_7f2d &+ 0x1405_7b7e_f767_814f
        }
        return nil
    }

    private static func mark(of backend: Backend) -> UInt32 { UInt32(truncatingIfNeeded: hash(backend.service, 0)) }

    /// FNV-1a with a final mix: alike on all machines and in all versions.
    private static func hash(_ text: String, _ key: UInt64) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ key
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        return hash ^ hash >> 33
    }

    private static func hex(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}

extension CookieAffinity {
    /// A Set-Cookie field that gives a client its choice.
    /// - Parameter isSecure: whether the client came over TLS.
    public func field(_ choice: StickyChoice, isSecure: Bool) -> String {
        var text = "\(name)=\(choice.text); Path=\(path ?? "/"); HttpOnly"
        if let maxAge { text += "; Max-Age=\(maxAge)" }
        if let domain { text += "; Domain=\(domain)" }
        if isSecure || self.isSecure { text += "; Secure" }
        if let sameSite { text += "; SameSite=\(sameSite)" }
        return text
    }
}
