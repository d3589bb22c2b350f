internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

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

/// Objects read at one revision.
struct ObjectList: Sendable {
    var kind: ResourceKind
    /// The served bytes of each.
    var items: [[UInt8]]
    var revision: Int64
    /// For the next page; nil on the last.
    var continuation: String?
    /// How many follow on later pages, where that is known without looking at them.
    var remaining: Int?
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

    /// Whether objects are sent just as they are served.
    var isPlain: Bool { representation == .json && !isPretty }

    func response(_ answer: Answer) throws(APIError) -> Response {
        switch answer {
        case .object(let bytes, let kind, let code): return send(try object(bytes, kind: kind), code: code)
        case .list(let list): return send(try self.list(list), code: 200)
        case .document(let document, let code):
            return send((representation == .table ? table(ofScale: document) : document).encoded(), code: code)
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
        case .metadata: return Self.metadataOnly(try Self.parse(bytes)).encoded()
        case .table:
            let object = try Self.parse(bytes)
            return table(
                [object], kind: kind, metadata: ["resourceVersion": .string(object.resourceVersion)], headings: true
            ).encoded()
        }
    }

    private func list(_ list: ObjectList) throws(APIError) -> [UInt8] {
        var metadata: JSON = ["resourceVersion": .string(String(list.revision))]
        if let continuation = list.continuation { metadata["continue"] = .string(continuation) }
        if let remaining = list.remaining { metadata["remainingItemCount"] = .int(Int64(remaining)) }
        switch representation {
        case .json, .discovery:
            return Self.envelope("\(list.kind.kind)List", list.kind.apiVersion, metadata, list.items)
        case .metadata:
            var items: [[UInt8]] = []
            for bytes in list.items { items.append(Self.metadataOnly(try Self.parse(bytes)).encoded()) }
            return Self.envelope("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, items)
        case .table:
            var objects: [JSON] = []
            for bytes in list.items { objects.append(try Self.parse(bytes)) }
            return table(objects, kind: list.kind, metadata: metadata, headings: true).encoded()
        }
    }

    /// A Table (meta.k8s.io/v1) of `objects`. Later events of a watch leave the headings out, as upstream's do.
    func table(_ objects: [JSON], kind: ResourceKind, metadata: JSON, headings: Bool) -> JSON {
        let rows = objects.map { object -> JSON in
            var row: JSON = ["cells": .array(Table.cells(of: object, kind: kind, now: now))]
            switch includes {
            case .none: row["object"] = .null
            case .metadata: row["object"] = Self.metadataOnly(object)
            case .object: row["object"] = object
            }
            return row
        }
        let columns: JSON = .array(
            Table.columns(of: kind).map {
                [
                    "name": .string($0.name), "type": .string($0.type), "format": .string($0.format),
                    "description": .string($0.about), "priority": .int(Int64($0.priority)),
                ]
            })
        return [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": headings ? columns : nil, "rows": .array(rows),
        ]
    }

    /// The Table of a Scale; other documents have none and are sent as they are.
    private func table(ofScale document: JSON) -> JSON {
        guard document.kind == "Scale" else { return document }
        return table(
            [document], kind: .scale, metadata: ["resourceVersion": .string(document.resourceVersion)], headings: true)
    }

    static func metadataOnly(_ object: JSON) -> JSON {
        [
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"] ?? [:],
        ]
    }

    private static func envelope(
        _ kind: String, _ apiVersion: String, _ metadata: JSON, _ items: [[UInt8]]
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(items.reduce(160) { $0 + $1.count + 1 })
        bytes += "{\"kind\":\"\(kind)\",\"apiVersion\":\"\(apiVersion)\",\"metadata\":".utf8
        bytes += metadata.encoded()
        bytes += ",\"items\":[".utf8
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += item
        }
        bytes += "]}".utf8
        return bytes
    }

    static func parse(_ bytes: [UInt8]) throws(APIError) -> JSON {
        do {
            return try JSON(parsing: bytes)
        } catch {
            throw .internalError("an object in the store is not JSON: \(error)")
        }
    }
}

/// Lays canonical JSON out over lines, for people (`pretty=true`).
enum PrettyPrinter {
    static func indented(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 2)
        var depth = 0
        var inText = false
        var escaped = false
        func newline() {
            out.append(UInt8(ascii: "\n"))
            out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * max(depth, 0)))
        }
        for (index, byte) in bytes.enumerated() {
            if inText {
                out.append(byte)
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                out.append(byte)
                let next = index + 1 < bytes.count ? bytes[index + 1] : 0
                depth += 1
                if next != UInt8(ascii: "}") && next != UInt8(ascii: "]") { newline() }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                let before = index > 0 ? bytes[index - 1] : 0
                if before != UInt8(ascii: "{") && before != UInt8(ascii: "[") { newline() }
                out.append(byte)
            case UInt8(ascii: ","):
                out.append(byte)
                newline()
            case UInt8(ascii: ":"): out += [byte, UInt8(ascii: " ")]
            case UInt8(ascii: "\""):
                inText = true
                out.append(byte)
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\n"))
        return out
    }
}
