internal import OrderedCollections

extension StructuralSchema {
    /// Members of an object that are of every object's form, and not the schema's.
    private static let headMembers = ["apiVersion", "kind", "metadata"]

    /// Fills in absent values that have a default, as upstream's structural defaulting does: also for `null` where
    /// that is no value.
    public func fillDefaults(of value: inout JSON) {
        guard hasDefaults else { return }
        switch value {
        case .object(var members):
            value = .null  // so that `members` is changed in place
            for (name, schema) in properties {
                if let standard = schema.defaultValue, schema.isAbsent(members[name]) { members[name] = standard }
            }
            for index in members.indices {
                let (name, _) = members[index]
                let schema: StructuralSchema
                if let known = properties[name] {
                    schema = known
                } else if case .values(let values) = additional {
                    schema = values
                } else {
                    continue
                }
                if let standard = schema.defaultValue, schema.isAbsent(members[valueAt: index]) {
                    members[valueAt: index] = standard
                }
                schema.fillDefaults(of: &members[valueAt: index])
            }
            value = .object(members)
        case .array(var elements):
            guard let items else { return }
            value = .null
            for index in elements.indices {
                if let standard = items.defaultValue, items.isAbsent(elements[index]) { elements[index] = standard }
                items.fillDefaults(of: &elements[index])
            }
            value = .array(elements)
        default: return
        }
    }

    private func isAbsent(_ value: JSON?) -> Bool { value == nil || (value == .null && !isNullable) }

    /// The value without members that the schema does not have, members in the order of names; the paths of those
    /// taken away are added to `unknown`.
    func pruned(_ value: JSON, isRoot: Bool, unknown: inout [String]) -> JSON {
        var pruner = Pruner()
        let result = pruner.prune(value, self, isRoot: isRoot)
        unknown += pruner.unknown
        return result
    }

    /// Walks a value along the schema.
    private struct Pruner {
        private(set) var unknown: [String] = []
        private var path: [String] = []

        mutating func prune(_ value: JSON, _ schema: StructuralSchema?, isRoot: Bool) -> JSON {
            switch value {
            case .object(let members): return prune(members, schema, isRoot: isRoot)
            case .array(let elements):
                var result: [JSON] = []
                result.reserveCapacity(elements.count)
                for (index, element) in elements.enumerated() {
                    path.append("[\(index)]")
                    // Below a schema that preserves unknown fields nothing is taken away for want of one.
                    let isKept = schema?.preservesUnknownFields == true && schema?.items == nil
                    result.append(isKept ? element.sorted : prune(element, schema?.items, isRoot: false))
                    path.removeLast()
                }
                return .array(result)
            default: return value
            }
        }

        private mutating func prune(
            _ members: JSON.Members, _ schema: StructuralSchema?, isRoot: Bool
        ) -> JSON {
            var result: [(String, JSON)] = []
            result.reserveCapacity(members.count)
            let hasHead = isRoot || schema?.isEmbeddedResource == true
            for (name, value) in members {
                path.append(path.isEmpty ? name : ".\(name)")
                defer { path.removeLast() }
                if hasHead, StructuralSchema.headMembers.contains(name) {
                    result.append((name, isRoot ? value : value.sorted))
                } else if let known = schema?.properties[name] {
                    result.append((name, prune(value, known, isRoot: false)))
                } else if case .values(let values) = schema?.additional {
                    result.append((name, prune(value, values, isRoot: false)))
                } else if case .any = schema?.additional {
                    result.append((name, prune(value, nil, isRoot: false)))
                } else if schema?.preservesUnknownFields == true {
                    result.append((name, value.sorted))
                } else {
                    unknown.append(path.joined())
                }
            }
            result.sort { $0.0 < $1.0 }
            return .object(JSON.Members(unique: result))
        }
    }
}

extension JSON {
    /// The same value with the members of all objects in the order of their names.
    var sorted: JSON {
        switch self {
        case .object(let members):
            let pairs = members.map { ($0.key, $0.value.sorted) }.sorted { $0.0 < $1.0 }
            return .object(JSON.Members(unique: pairs))
        case .array(let elements): return .array(elements.map(\.sorted))
        default: return self
        }
    }
}
