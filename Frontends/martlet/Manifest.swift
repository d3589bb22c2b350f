import ArgumentParser
import Foundation
import Martlet

/// Reading manifests: YAML or JSON, several objects in one file.
enum Manifest {
    /// The objects in a file, `-` for the standard input.
    /// - Throws: `ValidationError` that names the file and line.
    static func read(_ path: String) throws -> [JSON] {
        let data =
            path == "-"
            ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: path)
        guard let data else { throw ValidationError("\(path) cannot be read") }
        let documents: [JSON]
        do { documents = try JSON.documents(yaml: data) } catch { throw ValidationError("\(path): \(error)") }
        let objects = documents.filter { $0 != .null }
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
}
