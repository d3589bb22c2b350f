internal import OrderedCollections

/// Kubernetes' strategic merge patch: lists merge by the keys of the tables, and directives in the patch delete,
/// replace and order.
struct StrategicPatch {
    let tables: SchemaTables

    private static let directive = "$patch"
    private static let retainKeys = "$retainKeys"
    private static let deleteFrom = "$deleteFromPrimitiveList/"
    private static let setOrder = "$setElementOrder/"

    /// `original` after the change. A nil `type` is one that the tables do not know: its lists are replaced.
    func merge(
        _ patch: JSON.Members, into original: JSON.Members, type: SchemaType?
    ) throws(PatchError) -> JSON {
        var patch = patch
        if let directive = patch.removeValue(forKey: Self.directive) {
            switch directive {
            case "replace": return .object(patch)
            case "delete": return .object([:])
            case "merge": break
            default: throw PatchError("unknown patch type found: \(directive.string ?? "")")
            }
        }
        var result = original
        if let retained = patch.removeValue(forKey: Self.retainKeys) {
            try retain(retained, in: &result, patch: patch)
        }
        var orders: OrderedDictionary<String, [JSON]> = [:]
        for (name, value) in patch {
            if name.hasPrefix(Self.deleteFrom) {
                let field = String(name.dropFirst(Self.deleteFrom.count))
                let removed = value.array ?? []
                if let list = result[field]?.array { result[field] = .array(list.filter { !removed.contains($0) }) }
            } else if name.hasPrefix(Self.setOrder) {
                orders[String(name.dropFirst(Self.setOrder.count))] = value.array ?? []
            }
        }
        for (name, value) in patch where !name.hasPrefix("$") {
            if value == .null {
                result[name] = nil
            } else {
                result[name] = try merge(value, into: result[name], field: type?.field(name), order: orders[name])
            }
        }
        for (name, order) in orders where patch[name] == nil {
            guard let list = result[name]?.array else { continue }
            result[name] = .array(sort(list, by: order, key: type?.field(name)?.mergeKey, serverOrder: list))
        }
        return .object(result)
    }

    private func retain(
        _ retained: JSON, in result: inout JSON.Members, patch: JSON.Members
    ) throws(PatchError) {
        let names = Set((retained.array ?? []).compactMap(\.string))
        let isOutside = { (name: String, value: JSON) in
            !name.hasPrefix("$") && value != .null && !names.contains(name)
        }
        if retained.array == nil || patch.contains(where: { isOutside($0.key, $0.value) }) {
            throw PatchError("invalid patch format of retainKeys")
        }
        result.removeAll { !names.contains($0.key) }
    }

    /// One field's value after the change.
    private func merge(_ patch: JSON, into original: JSON?, field: SchemaField?, order: [JSON]?) throws(PatchError)
        -> JSON
    {
        let structure = field.flatMap { tables.structure($0.type) }
        switch patch {
        case .object(let members):
            return try merge(members, into: original?.object ?? [:], type: structure)
        case .array(let elements):
            guard let field, field.merges else { return .array(try elements.map(stripped)) }
            // Where there was no list, none is merged: what does not fit into it is refused by who reads the object.
            if original == nil, field.mergeKey != nil, !elements.allSatisfy({ $0.object != nil }) { return patch }
            let list = original?.array ?? []
            guard let key = field.mergeKey else {
                let added = elements.filter { !list.contains($0) }
                let merged = list + OrderedSet(added)
                return .array(sort(merged, by: order ?? elements, key: nil, serverOrder: list))
            }
            return .array(try merge(elements, into: list, key: key, type: structure, order: order))
        default: return patch
        }
    }

    /// A list without the directives of its elements.
    private func stripped(_ element: JSON) throws(PatchError) -> JSON {
        guard case .object(let members) = element else { return element }
        return try merge(members, into: [:], type: nil)
    }

    private func merge(_ patch: [JSON], into original: [JSON], key: String, type: SchemaType?, order: [JSON]?)
        throws(PatchError) -> [JSON]
    {
        var result = original
        var changes: [JSON] = []
        var replaces = false
        for element in patch {
            switch element[Self.directive] {
            case "delete":
                let value = try keyValue(of: element, key)
                result.removeAll { $0[key] == value }
            case "replace": replaces = true
            default: changes.append(element)
            }
        }
        if replaces { return changes }
        for change in changes {
            let value = try keyValue(of: change, key)
            guard case .object(let members) = change else { continue }
            if let place = result.firstIndex(where: { $0[key] == value }) {
                result[place] = try merge(members, into: result[place].object ?? [:], type: type)
            } else {
                result.append(try merge(members, into: [:], type: type))
            }
        }
        return sort(result, by: order ?? changes, key: key, serverOrder: original)
    }

    private func keyValue(of element: JSON, _ key: String) throws(PatchError) -> JSON {
        guard case .object(let members) = element else {
            throw PatchError("a list that merges by \"\(key)\" must hold objects")
        }
        guard let value = members[key], value != .null else {
            let text = String(decoding: element.encoded(), as: UTF8.self)
            throw PatchError("map: \(text) does not contain declared merge key: \(key)")
        }
        return value
    }

    /// Puts the elements that `order` names in its order, and the others where the server had them among those.
    private func sort(_ list: [JSON], by order: [JSON], key: String?, serverOrder: [JSON]) -> [JSON] {
        func identity(_ element: JSON) -> JSON { key.flatMap { element[$0] } ?? element }
        func places(_ elements: [JSON]) -> [JSON: Int] {
            Dictionary(elements.enumerated().map { (identity($1), $0) }, uniquingKeysWith: { first, _ in first })
        }
        let wanted = places(order)
        let server = places(serverOrder)
        let named = list.filter { wanted[identity($0)] != nil }
            .sorted { wanted[identity($0)] ?? 0 < wanted[identity($1)] ?? 0 }
        let others = list.filter { wanted[identity($0)] == nil }
        var result: [JSON] = []
        var left = others[...]
        for element in named {
            guard let place = server[identity(element)] else {
                result.append(element)
                continue
            }
            while let other = left.first, let otherPlace = server[identity(other)], otherPlace < place {
                result.append(other)
                left.removeFirst()
            }
            result.append(element)
        }
        return result + left
    }
}
