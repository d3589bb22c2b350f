internal import MartletHTTP
internal import MartletObject
internal import Synchronization

/// A document's bytes with the tag by which clients know that theirs is still good.
final class TaggedDocument: Sendable {
    let bytes: [UInt8]
    /// FNV-1a of the bytes, 64 bits, in hexadecimal digits.
    let tag: String
    private let deflated = Mutex<[UInt8]?>(nil)

    /// The bytes in gzip, made when they are first asked for and kept.
    var gzip: [UInt8] {
        deflated.withLock { deflated in
            if let deflated { return deflated }
            var deflater = Deflater(.gzip, level: .usual)
            let made = deflater.deflate(bytes[...], then: .end)
            deflated = made
            return made
        }
    }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let hash = bytes.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        tag = String(hash, radix: 16, uppercase: true)
    }
}

/// The aggregated discovery documents of one catalog, made once and kept.
final class DiscoveryDocuments: Sendable {
    private let discovery: Discovery
    /// At most one for each root and version of the form.
    private let made = Mutex<[String: TaggedDocument]>([:])

    init(_ discovery: Discovery) { self.discovery = discovery }

    /// A document in its plain form.
    func plain(_ document: DiscoveryDocument, address: String) -> JSON? {
        discovery.document(document, .json, address: address)
    }

    /// A root in the aggregated form of that version.
    func aggregated(_ document: DiscoveryDocument, version: String) -> TaggedDocument? {
        let key = "\(document == .coreVersions ? "api" : "apis")/\(version)"
        if let known = made.withLock({ $0[key] }) { return known }
        guard let json = discovery.document(document, .discovery(version: version), address: "") else { return nil }
        let tagged = TaggedDocument(json.encoded())
        made.withLock { $0[key] = tagged }
        return tagged
    }
}
