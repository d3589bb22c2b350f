internal import MartletObject
internal import Synchronization

/// The OpenAPI documents' bytes, made once and kept.
final class OpenAPIDocuments: Sendable {
    private let catalog: KindCatalog
    /// At most one entry for each served group and version, one for each form of v2 and one for the index.
    private let made = Mutex<[String: [UInt8]]>([:])

    init(catalog: KindCatalog) { self.catalog = catalog }

    /// `/openapi/v2`
    func v2() -> [UInt8] { cached("v2") { OpenAPI.v2(catalog).encoded() } ?? [] }

    /// `/openapi/v2` as a protocol buffer.
    func v2Protobuf() -> [UInt8] { cached("v2+protobuf") { OpenAPIProtobuf.encode(OpenAPI.v2(catalog)) } ?? [] }

    /// `/openapi/v3`, or below it `api/v1` or `apis/GROUP/VERSION`; nil when that is not served.
    func v3(path: String) -> [UInt8]? {
        if path.isEmpty { return cached("") { index().encoded() } }
        guard let (group, version) = groupVersions()[path] else { return nil }
        return cached(path) { OpenAPI.v3(catalog, group: group, version: version)?.encoded() }
    }

    private func groupVersions() -> [String: (group: String, version: String)] {
        var paths: [String: (group: String, version: String)] = [:]
        for kind in catalog.kinds {
            let path = kind.group.isEmpty ? "api/\(kind.version)" : "apis/\(kind.group)/\(kind.version)"
            paths[path] = (kind.group, kind.version)
        }
        return paths
    }

    private func index() -> JSON {
        var paths: JSON = [:]
        for path in groupVersions().keys.sorted() {
            guard let document = v3(path: path) else { continue }
            paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(Self.hash(document))")]
        }
        return ["paths": paths]
    }

    private func cached(_ key: String, make: () -> [UInt8]?) -> [UInt8]? {
        if let bytes = made.withLock({ $0[key] }) { return bytes }
        guard let bytes = make() else { return nil }
        made.withLock { $0[key] = bytes }
        return bytes
    }

    /// FNV-1a, 64 bits: tells clients whether their copy is still good.
    private static func hash(_ bytes: [UInt8]) -> String {
        String(
            bytes.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }, radix: 16,
            uppercase: true)
    }
}
