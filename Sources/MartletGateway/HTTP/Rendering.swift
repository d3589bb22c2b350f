internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletStore

/// What a verb answers, before it takes the form that the caller asked for.
enum Answer: Sendable {
    /// An object of the tables: its stored bytes' served form.
    case object([UInt8], kind: ResourceKind, code: Int)
    /// A list of objects at one revision.
    case list(ObjectList)
    /// A document that has one form only.
    case document(JSON, code: Int)
    /// Anything else, ready to send.
    case response(Response)
}

/// A page of a list: objects read at one revision.
struct ObjectList: Sendable {
    var kind: ResourceKind
    /// Each in the form that was asked for.
    var items: [[UInt8]]
    var revision: Int64
    /// For the next page; nil on the last.
    var continuation: ContinueToken?
    /// How many follow on later pages, where that is known without looking at them.
    var remaining: Int?
    /// The room that they take until they are sent.
    var room: Admittance.Room?
}

/// What a table's rows carry beside the cells (`includeObject`).
enum IncludedObject: String, Sendable {
    case none = "None"
    case metadata = "Metadata"
    case object = "Object"
}

/// Turns answers into bytes.
struct Renderer: Sendable {
    var representation: Representation
    var includes: IncludedObject
    var isPretty: Bool
    /// What ages are counted to.
    var now: WallTime

    /// Objects just as they are served.
    static let plain = Renderer(
        representation: .json, includes: .none, isPretty: false, now: WallTime(nanoseconds: 0))

    /// Whether a Table is asked for.
    var isTable: Bool { if case .table = representation { true } else { false } }

    /// The `apiVersion` of the forms that are no object's own.
    var metaVersion: String {
        switch representation {
        case .table(let version), .metadata(let version): "meta.k8s.io/\(version)"
        case .json, .discovery: "meta.k8s.io/v1"
        }
    }

    func response(_ answer: Answer) throws(APIError) -> Response {
        switch answer {
        case .object(let bytes, let kind, let code): return send(try object(bytes, kind: kind), code: code)
        case .list(let list):
            var response = send(self.list(list), code: 200)
            response.hold(list.room)
            return response
        case .document(let document, let code):
            return send((isTable ? table(ofScale: document) : document).encoded(), code: code)
        case .response(let response): return response
        }
    }

    func send(_ bytes: [UInt8], code: Int) -> Response {
        let body = isPretty ? PrettyPrinter.indented(bytes) : bytes
        return Response(status: .init(code: code), contentType: "application/json", bytes: body)
    }

    /// One object in the form asked for.
    func object(_ bytes: [UInt8], kind: ResourceKind) throws(APIError) -> [UInt8] {
        switch representation {
        case .json, .discovery: return bytes
        case .metadata: return metadataOnly(try Self.parse(bytes)).encoded()
        case .table:
            let object = try Self.parse(bytes)
            return table(
                [object], kind: kind, metadata: ["resourceVersion": .string(object.resourceVersion)], headings: true
            ).encoded()
        }
    }

    private func list(_ list: ObjectList) -> [UInt8] {
        var bytes = listHead(
            list.kind, revision: list.revision, continuation: list.continuation, remaining: list.remaining)
        bytes.reserveCapacity(list.items.reduce(bytes.count) { $0 + $1.count + 1 } + Self.listEnd.count)
        for (index, item) in list.items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += item
        }
        bytes += Self.listEnd
        return bytes
    }

    /// A list up to its first item.
    func listHead(
        _ kind: ResourceKind, revision: Int64, continuation: ContinueToken? = nil, remaining: Int? = nil
    ) -> [UInt8] {
        var metadata: JSON = ["resourceVersion": .string(String(revision))]
        if let continuation { metadata["continue"] = .string(continuation.text) }
        if let remaining { metadata["remainingItemCount"] = .int(Int64(remaining)) }
        let head: JSON =
            switch representation {
            case .json, .discovery:
                [
                    "kind": .string("\(kind.kind)List"), "apiVersion": .string(kind.apiVersion), "metadata": metadata,
                    "items": [],
                ]
            case .metadata:
                [
                    "kind": "PartialObjectMetadataList", "apiVersion": .string(metaVersion), "metadata": metadata,
                    "items": [],
                ]
            case .table: table([], kind: kind, metadata: metadata, headings: true)
            }
        return Array(head.encoded().dropLast(Self.listEnd.count))
    }

    /// What ends a list after its last item.
    static let listEnd = Array("]}".utf8)

    /// Appends a stored object as an item of a list.
    func appendItem(_ pair: KeyValue, kind: ResourceKind, to bytes: inout [UInt8]) throws(APIError) {
        switch representation {
        case .json, .discovery: try kind.appendServed(pair.value, revision: pair.modRevision, to: &bytes)
        case .metadata: bytes += metadataOnly(try pair.object(as: kind)).encoded()
        case .table: bytes += row(try pair.object(as: kind), kind: kind).encoded()
        }
    }

    /// A Table (meta.k8s.io) of `objects`. Later events of a watch leave the headings out, as upstream's do.
    func table(_ objects: [JSON], kind: ResourceKind, metadata: JSON, headings: Bool) -> JSON {
        let rows = objects.map { row($0, kind: kind) }
        let columns: JSON = .array(
            Table.columns(of: kind).map {
                [
                    "name": .string($0.name), "type": .string($0.type), "format": .string($0.format),
                    "description": .string($0.about), "priority": .int(Int64($0.priority)),
                ]
            })
        return [
            "kind": "Table", "apiVersion": .string(metaVersion), "metadata": metadata,
            "columnDefinitions": headings ? columns : nil, "rows": .array(rows),
        ]
    }

    private func row(_ object: JSON, kind: ResourceKind) -> JSON {
        var row: JSON = ["cells": .array(Table.cells(of: object, kind: kind, now: now))]
        switch includes {
        case .none: row["object"] = .null
        case .metadata: row["object"] = metadataOnly(object)
        case .object: row["object"] = object
        }
        return row
    }

    /// The Table of a Scale; other documents have none and are sent as they are.
    private func table(ofScale document: JSON) -> JSON {
        guard document.kind == "Scale" else { return document }
        return table(
            [document], kind: .scale, metadata: ["resourceVersion": .string(document.resourceVersion)], headings: true)
    }

    private func metadataOnly(_ object: JSON) -> JSON {
        [
            "kind": "PartialObjectMetadata", "apiVersion": .string(metaVersion),
            "metadata": object["metadata"] ?? [:],
        ]
    }

    static func parse(_ bytes: [UInt8]) throws(APIError) -> JSON {
        do {
            return try JSON(parsing: bytes)
        } catch {
            throw .internalError("an object in the store is not JSON: \(error)")
        }
    }
}
