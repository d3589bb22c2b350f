import ArgumentParser
import Foundation
import Martlet
import Yams

/// Reading manifests: YAML or JSON, several objects in one file.
enum Manifest {
    /// The objects in a file, `-` for the standard input.
    /// - Throws: `ValidationError` that names the file and line.
    static func read(_ path: String) throws -> [JSON] {
        let data =
            path == "-"
            ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: path)
        guard let data else { throw ValidationError("\(path) cannot be read") }
        let documents: [Node]
        do { documents = Array(try Yams.compose_all(yaml: String(decoding: data, as: UTF8.self))) } catch {
            throw ValidationError("\(path): \(error)")
        }
        let objects = documents.map(json).filter { $0 != .null }
        return objects.flatMap { object in object.kind == "List" ? object["items"]?.array ?? [] : [object] }
    }

    /// An object with its kind, which the cluster is asked for when it is no built-in one.
    /// - Throws: `ValidationError` when the cluster does not serve the kind.
    static func placed(_ object: JSON, by client: Client) async throws -> (kind: ResourceKind, object: JSON) {
        guard let kind = try await client.kind(apiVersion: object.apiVersion, kind: object.kind) else {
            throw ValidationError("no matches for kind \"\(object.kind)\" in version \"\(object.apiVersion)\"")
        }
        var object = object
        if kind.isNamespaced && object.namespace.isEmpty { object["metadata", "namespace"] = "default" }
        return (kind, object)
    }

    /// A YAML node as JSON, by YAML 1.2's core schema.
    static func json(_ node: Node) -> JSON {
        switch node {
        case .mapping(let mapping):
            JSON(members: mapping.map { (key: $0.key.string ?? "", value: json($0.value)) })
        case .sequence(let sequence): .array(sequence.map(json))
        case .scalar(let scalar):
            switch scalar.style {
            case .plain:
                if let null = node.null {
                    null as NSNull? == nil ? .string(scalar.string) : .null
                } else if ["true", "True", "TRUE"].contains(scalar.string) {
                    .bool(true)
                } else if ["false", "False", "FALSE"].contains(scalar.string) {
                    .bool(false)
                } else if let int = Int64(scalar.string) {
                    .int(int)
                } else if let double = node.float {
                    .double(double)
                } else {
                    .string(scalar.string)
                }
            default: .string(scalar.string)
            }
        case .alias: .null
        }
    }
}
