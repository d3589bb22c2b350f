internal import MartletObject
internal import Synchronization

/// The OpenAPI documents' bytes, made when they are first asked for and kept. A catalog takes over from the one
/// before it what has not changed.
final class OpenAPIDocuments: Sendable {
    /// The kinds that a document is made of: the same kinds make the same document.
    private typealias Source = [String]

    private let catalog: KindCatalog
    /// By path under `/openapi/v3`.
    private let groupVersions: [String: (group: String, version: String, source: Source)]
    /// At most one entry for each form of each served group and version, one for each form of v2 and one for the index.
    private let made = Mutex<[String: TaggedDocument]>([:])

    init(catalog: KindCatalog, after old: OpenAPIDocuments?) {
        self.catalog = catalog
        var paths: [String: (group: String, version: String, source: Source)] = [:]
        for group in catalog.groups {
            for version in group.versions {
                let path = group.name.isEmpty ? "api/\(version.name)" : "apis/\(group.name)/\(version.name)"
                let source = version.kinds.map { "\($0.kind) \($0.custom?.identity ?? "")" }
                paths[path] = (group.name, version.name, source)
            }
        }
        groupVersions = paths
        guard let old else { return }
        let kept = old.made.withLock { $0 }.filter { path, _ in
            paths[path] != nil && paths[path]?.source == old.groupVersions[path]?.source
        }
        made.withLock { $0 = kept }
    }

    /// `/openapi/v2`
    func v2() -> TaggedDocument? { cached("v2") { OpenAPI.v2(catalog).encoded() } }

    /// `/openapi/v2` as a protocol buffer.
    func v2Protobuf() -> TaggedDocument? { cached("v2+protobuf") { OpenAPIProtobuf.encode(OpenAPI.v2(catalog)) } }

    /// `/openapi/v3`, or below it `api/v1` or `apis/GROUP/VERSION`; nil when that is not served.
    func v3(path: String) -> TaggedDocument? {
        if path.isEmpty { return cached("") { index().encoded() } }
        guard let (group, version, _) = groupVersions[path] else { return nil }
        return cached(path) { OpenAPI.v3(catalog, group: group, version: version)?.encoded() }
    }

    /// The same as a protocol buffer; nil for the index, which has no such form.
    func v3Protobuf(path: String) -> TaggedDocument? {
        guard !path.isEmpty, let (group, version, _) = groupVersions[path] else { return nil }
        return cached("\(path)+protobuf") {
            OpenAPI.v3(catalog, group: group, version: version).map(OpenAPIProtobuf.encode3)
        }
    }

    private func index() -> JSON {
        var paths: JSON = [:]
        for path in groupVersions.keys.sorted() {
            guard let document = v3(path: path) else { continue }
            paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(document.tag)")]
        }
        return ["paths": paths]
    }

    private func cached(_ key: String, make: () -> [UInt8]?) -> TaggedDocument? {
        if let known = made.withLock({ $0[key] }) { return known }
        guard let document = make().map(TaggedDocument.init) else { return nil }
        made.withLock { $0[key] = document }
        return document
    }
}
