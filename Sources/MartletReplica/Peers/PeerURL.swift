internal import MartletBase

/// Addresses of peers as members are told of them: `https://10.0.0.1:2380`, or without the scheme.
enum PeerURL {
    /// Where a peer's URL leads.
    /// - Throws: ``PeerError/badURL(_:)``: names are not resolved, so the host is an IP address.
    static func endpoint(_ text: String) throws(PeerError) -> Endpoint {
        var rest = Substring(text)
        for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]), port > 0 else {
            throw .badURL("\"\(text)\" is no peer's URL: it needs a port, as in https://10.0.0.1:2380")
        }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard isAddress(host) else {
            throw .badURL(
                "\"\(text)\" is no peer's URL: \"\(host)\" is not an IP address, and names are not resolved here")
        }
        return .ip(String(host), port: port)
    }

    /// The endpoints of the URLs that can be used, in their order.
    static func endpoints(_ urls: [String]) -> [Endpoint] { urls.compactMap { try? endpoint($0) } }

    /// Whether text has the shape of an IP address; the kernel has the last word.
    private static func isAddress(_ host: Substring) -> Bool {
        if host.utf8.contains(UInt8(ascii: ":")) {
            return host.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
        }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { $0.count <= 3 && UInt8($0) != nil }
    }
}
