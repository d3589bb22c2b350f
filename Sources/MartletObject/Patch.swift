/// The patch kinds.
public enum PatchType: String, Sendable {
    /// RFC 6902
    case json = "application/json-patch+json"
    /// RFC 7386
    case merge = "application/merge-patch+json"
    /// Kubernetes' own
    case strategic = "application/strategic-merge-patch+json"
}

/// Applying patches.
public enum Patch {
    /// How many operations a JSON patch may have, as upstream.
    public static let maximumOperations = 10_000
    /// How many bytes the `copy` operations of one JSON patch may add together: as much as a request may carry.
    public static let maximumCopiedBytes = 3 << 20

    /// The object after `patch`. `kind` tells merge keys for a strategic merge patch.
    /// - Throws: ``PatchError``.
    public static func apply(_ patch: JSON, type: PatchType, to object: JSON, kind: ResourceKind) throws(PatchError)
        -> JSON
    {
        switch type {
        case .json: return try JSONPatch.apply(patch, to: object)
        case .merge:
            guard case .object = patch else { throw PatchError("error decoding patch: " + noObject(patch)) }
            return merge(patch, into: object)
        case .strategic:
            guard case .object(let members) = patch else { throw PatchError(noObject(patch)) }
            let tables = SchemaTables.all
            let place = tables.place(of: kind.kind, in: kind.apiVersion)
            return try StrategicPatch(tables: tables)
                .merge(members, into: object.object ?? [:], type: place.map { tables.types[$0] })
        }
    }

    private static func noObject(_ patch: JSON) -> String {
        "json: cannot unmarshal \(patch.goKind) into Go value of type map[string]interface {}"
    }

    /// RFC 7386: members of null delete, objects merge, all else replaces.
    public static func merge(_ patch: JSON, into target: JSON) -> JSON {
        guard case .object(let changes) = patch else { return patch }
        var members = target.object ?? [:]
        for (name, change) in changes {
            if change == .null {
                members[name] = nil
            } else {
                members[name] = merge(change, into: members[name] ?? .null)
            }
        }
        return .object(members)
    }
}

/// Why a patch cannot be applied; the text is for the Status message.
public struct PatchError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}

extension JSON {
    /// Whether nothing in it is nested `limit` deep or deeper; a number or a text is 0 deep.
    fileprivate func isShallower(than limit: Int) -> Bool {
        switch self {
        case .array(let elements): limit > 1 && elements.allSatisfy { $0.isShallower(than: limit - 1) }
        case .object(let members): limit > 1 && members.values.allSatisfy { $0.isShallower(than: limit - 1) }
        default: limit > 0
        }
    }
}

/// RFC 6902.
private enum JSONPatch {
    static func apply(_ patch: JSON, to object: JSON) throws(PatchError) -> JSON {
        guard case .array(let operations) = patch else {
            throw PatchError("json: cannot unmarshal \(patch.goKind) into Go value of type jsonpatch.Patch")
        }
        if operations.count > Patch.maximumOperations {
            throw PatchError(
                "The allowed maximum operations in a JSON patch is \(Patch.maximumOperations), "
                    + "got \(operations.count)")
        }
        var document = object
        var copied = 0
        for operation in operations { try apply(operation, to: &document, copied: &copied) }
        return document
    }

    /// - Parameter copied: how many bytes `copy` has added so far: a few operations that copy what was copied before
    ///   would else make a document of any size.
    private static func apply(
        _ operation: JSON, to document: inout JSON, copied: inout Int
    ) throws(PatchError) {
        let name = operation["op"]?.string ?? ""
        guard let path = operation["path"]?.string else { throw PatchError("missing path in operation \"\(name)\"") }
        let steps = try pointer(path)
        switch name {
        case "add": try add(value(operation), at: steps, path: path, to: &document)
        case "remove": _ = try remove(at: steps, path: path, operation: name, from: &document)
        case "replace":
            let value = try value(operation)
            if !steps.isEmpty { _ = try remove(at: steps, path: path, operation: name, from: &document) }
            try add(value, at: steps, path: path, to: &document)
        case "move", "copy":
            guard let from = operation["from"]?.string else {
                throw PatchError("missing from in operation \"\(name)\"")
            }
            let source = try pointer(from)
            if name == "move", steps.count > source.count, steps.starts(with: source) {
                throw PatchError("move operation does not apply: \"\(path)\" is inside \"\(from)\"")
            }
            let value: JSON
            if name == "move" {
                value = try remove(at: source, path: from, operation: name, from: &document)
            } else {
                guard let found = look(up: source, in: document) else { throw missing(from, in: name) }
                copied += found.encoded().count
                if copied > Patch.maximumCopiedBytes {
                    throw PatchError(
                        "Unable to complete the copy, the accumulated size increase of copy is \(copied), exceeding "
                            + "the limit \(Patch.maximumCopiedBytes)")
                }
                value = found
            }
            try add(value, at: steps, path: path, to: &document)
        case "test":
            let expected = operation["value"] ?? .null
            guard (look(up: steps, in: document) ?? .null) == expected else {
                throw PatchError("testing value \(path) failed: test failed")
            }
        default: throw PatchError("Unexpected kind: \(name)")
        }
    }

    private static func value(_ operation: JSON) throws(PatchError) -> JSON {
        guard let value = operation["value"] else {
            throw PatchError("missing value in operation \"\(operation["op"]?.string ?? "")\"")
        }
        return value
    }

    private static func missing(_ path: String, in operation: String) -> PatchError {
        PatchError("\(operation) operation does not apply: doc is missing path: \(path): missing value")
    }

    /// The steps of a pointer (RFC 6901).
    private static func pointer(_ text: String) throws(PatchError) -> [String] {
        if text.isEmpty { return [] }
        guard text.hasPrefix("/") else { throw PatchError("the path \"\(text)\" does not begin with \"/\"") }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { step in
            var plain = ""
            var isEscaped = false
            for scalar in step.unicodeScalars {
                if isEscaped {
                    plain.unicodeScalars.append(scalar == "1" ? "/" : "~")
                    if scalar != "0" && scalar != "1" { plain.unicodeScalars.append(scalar) }
                    isEscaped = false
                } else if scalar == "~" {
                    isEscaped = true
                } else {
                    plain.unicodeScalars.append(scalar)
                }
            }
            return isEscaped ? plain + "~" : plain
        }
    }

    private static func look(up steps: [String], in document: JSON) -> JSON? {
        steps.reduce(document) { value, step in
            if case .array? = value { return Int(step).flatMap { value?[$0] } }
            return value?[step]
        }
    }

    /// Calls `change` with the container of the last step.
    private static func withParent<Result>(
        of steps: some Collection<String>, path: String, operation: String, in document: inout JSON,
        _ change: (inout JSON, String) throws(PatchError) -> Result
    ) throws(PatchError) -> Result {
        guard let first = steps.first else { throw missing(path, in: operation) }
        if steps.count == 1 { return try change(&document, first) }
        let rest = steps.dropFirst()
        switch document {
        case .object(var members):
            document = .null  // so that `members` is uniquely referenced and changed in place; likewise below
            guard var child = members[first] else { throw missing(path, in: operation) }
            members[first] = .null
            let result = try withParent(of: rest, path: path, operation: operation, in: &child, change)
            members[first] = child
            document = .object(members)
            return result
        case .array(var elements):
            document = .null
            guard let index = Int(first), elements.indices.contains(index) else { throw missing(path, in: operation) }
            let result = try withParent(of: rest, path: path, operation: operation, in: &elements[index], change)
            document = .array(elements)
            return result
        default: throw missing(path, in: operation)
        }
    }

    private static func add(_ value: JSON, at steps: [String], path: String, to document: inout JSON)
        throws(PatchError)
    {
        guard value.isShallower(than: JSON.maximumDepth - steps.count) else {
            throw PatchError("add operation does not apply: \(path): the document is nested too deeply")
        }
        if steps.isEmpty {
            document = value
            return
        }
        try withParent(of: steps, path: path, operation: "add", in: &document) { parent, key throws(PatchError) in
            switch parent {
            case .object(var members):
                parent = .null
                members[key] = value
                parent = .object(members)
            case .array(var elements):
                parent = .null
                guard let index = key == "-" ? elements.count : Int(key), (0...elements.count).contains(index) else {
                    throw PatchError(
                        "add operation does not apply: doc is missing path: \"\(path)\": Unable to access invalid "
                            + "index: \(key): invalid index referenced")
                }
                elements.insert(value, at: index)
                parent = .array(elements)
            default: throw missing(path, in: "add")
            }
        }
    }

    private static func remove(at steps: [String], path: String, operation: String, from document: inout JSON)
        throws(PatchError) -> JSON
    {
        try withParent(of: steps, path: path, operation: operation, in: &document) { parent, key throws(PatchError) in
            switch parent {
            case .object(var members):
                parent = .null
                guard let value = members.removeValue(forKey: key) else { throw missing(path, in: operation) }
                parent = .object(members)
                return value
            case .array(var elements):
                parent = .null
                guard let index = Int(key), elements.indices.contains(index) else { throw missing(path, in: operation) }
                let value = elements.remove(at: index)
                parent = .array(elements)
                return value
            default: throw missing(path, in: operation)
            }
        }
    }
}
