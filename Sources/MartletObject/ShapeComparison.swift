internal import OrderedCollections

/// What a change did to an object, path by path.
public struct Comparison: Sendable, Hashable {
    /// What was not there before.
    public var added = FieldSet()
    /// What has another value.
    public var modified = FieldSet()
    /// What is not there any more.
    public var removed = FieldSet()

    /// Nothing has changed.
    public init() {}

    /// What has a value now that it did not have before.
    public var written: FieldSet { modified.union(added) }

    /// Without what lies at or below these places.
    public func excluding(_ places: FieldSet) -> Comparison {
        if places.isEmpty { return self }
        var rest = Comparison()
        rest.added = added.subtractingTrees(places)
        rest.modified = modified.subtractingTrees(places)
        rest.removed = removed.subtractingTrees(places)
        return rest
    }
}

extension Shape {
    /// What `new` changes in `old`.
    public func compare(_ old: JSON, _ new: JSON) -> Comparison {
        let changes = compare(old, new, at: nodes[root])
        var comparison = Comparison()
        comparison.added = changes.added
        comparison.modified = changes.modified
        comparison.removed = changes.removed
        return comparison
    }

    /// The three sets while they grow.
    private struct Changes {
        var added = FieldSet()
        var modified = FieldSet()
        var removed = FieldSet()

        static let none = Changes()
        static let added = Changes(added: .member)
        static let removed = Changes(removed: .member)
        static let modified = Changes(modified: .member)
    }
    /// The branches of the three sets at one place.
    private struct Growth {
        var added: [FieldSet.Branch] = []
        var modified: [FieldSet.Branch] = []
        var removed: [FieldSet.Branch] = []

        mutating func add(_ step: @autoclosure () -> PathElement, _ changes: Changes) {
            if !changes.added.isEmpty { added.append(.init(step: step(), set: changes.added)) }
            if !changes.modified.isEmpty { modified.append(.init(step: step(), set: changes.modified)) }
            if !changes.removed.isEmpty { removed.append(.init(step: step(), set: changes.removed)) }
        }

        /// The place itself is added or removed when only one side has it.
        func changes(isAdded: Bool, isRemoved: Bool) -> Changes {
            Changes(
                added: FieldSet(isMember: isAdded, unsorted: added), modified: FieldSet(unsorted: modified),
                removed: FieldSet(isMember: isRemoved, unsorted: removed))
        }
    }

    private func compare(_ old: JSON?, _ new: JSON?, at node: Node) -> Changes {
        switch node {
        case .whole: return compareWhole(old, new)
        case .deduced: return compareDeduced(old, new)
        case .set, .list:
            let (before, after) = (old?.array ?? [], new?.array ?? [])
            if before.isEmpty && after.isEmpty { return compareEmpty(old, new) }
            return compareList(old, new, before, after, node)
        case .object(let fields, let others):
            let (before, after) = (old?.object ?? [:], new?.object ?? [:])
            if before.isEmpty && after.isEmpty { return compareEmpty(old, new) }
            return compareObject(old, new, before, after, fields, others)
        }
    }

    private func compareWhole(_ old: JSON?, _ new: JSON?) -> Changes {
        guard let old else { return new == nil ? .none : .added }
        guard let new else { return .removed }
        return old == new ? .none : .modified
    }

    /// Two empty values, or one and nothing: `null` and empty are the same.
    private func compareEmpty(_ old: JSON?, _ new: JSON?) -> Changes {
        if old == nil { return new == nil ? .none : .added }
        return new == nil ? .removed : .none
    }

    private func compareDeduced(_ old: JSON?, _ new: JSON?) -> Changes {
        let sides = [old, new].compactMap { $0 }
        let objects = sides.filter { $0.object != nil }.count
        if objects == 0 { return compareWhole(old, new) }
        let members = compare(old, new, at: .object(fields: [:], others: deducedPlace))
        if objects == sides.count { return members }
        // An object has become something else, or the other way round.
        var changes = members
        changes.modified.isMember = true
        return changes
    }

    private func compareObject(
        _ old: JSON?, _ new: JSON?, _ before: JSON.Members,
        _ after: JSON.Members, _ fields: [String: Field], _ others: Int?
    ) -> Changes {
        var growth = Growth()
        for (name, value) in after {
            let field = fields[name]
            let previous = before.isEmpty ? nil : before[name]
            let changes = compare(
                previous ?? (old == nil ? nil : field?.absent), value, at: child(field, others))
            growth.add(.field(name), changes)
        }
        for (name, value) in before where after[name] == nil {
            let field = fields[name]
            growth.add(.field(name), compare(value, new == nil ? nil : field?.absent, at: child(field, others)))
        }
        return growth.changes(isAdded: old == nil, isRemoved: new == nil)
    }

    private func compareList(
        _ old: JSON?, _ new: JSON?, _ before: [JSON], _ after: [JSON], _ node: Node
    ) -> Changes {
        let element = elementNode(of: node)
        var elements: OrderedDictionary<PathElement, (before: [JSON], after: [JSON])> = [:]
        for value in before {
            if let step = try? step(of: value, in: node) { elements[step, default: ([], [])].before.append(value) }
        }
        for value in after {
            if let step = try? step(of: value, in: node) { elements[step, default: ([], [])].after.append(value) }
        }
        var growth = Growth()
        for (step, values) in elements {
            switch (values.before.count, values.after.count) {
            case (0...1, 0...1):
                growth.add(step, compare(values.before.first, values.after.first, at: element))
            // Elements with the same key are one value together.
            case (2..., 2...): growth.add(step, values.before == values.after ? .none : .modified)
            case (2..., _):
                if let value = values.after.first { growth.add(step, compare(nil, value, at: element)) }
                growth.add(step, .removed)
            default:
                if let value = values.before.first { growth.add(step, compare(value, nil, at: element)) }
                growth.add(step, .added)
            }
        }
        return growth.changes(isAdded: old == nil, isRemoved: new == nil)
    }
}

// MARK: Finding one's way

extension Shape {
    /// The node of a member. Of members that no schema allows: the value by itself.
    func child(_ field: Field?, _ others: Int?) -> Node {
        if let field { return nodes[field.node] }
        return others.flatMap { $0 < 0 ? nil : nodes[$0] } ?? .deduced
    }

    /// Stands for ``Node/deduced`` where a place is asked for.
    var deducedPlace: Int { -1 }

    func elementNode(of node: Node) -> Node {
        if case .list(_, let element) = node { return nodes[element] }
        return .whole
    }

    /// The step to an element of a list that is no single value.
    /// - Throws: why the element has none.
    func step(of element: JSON, in node: Node) throws(FieldSetError) -> PathElement {
        guard case .list(let keys, _) = node else {
            switch element {
            case .object: throw FieldSetError("associative list without keys has an element that's a map type")
            case .array: throw FieldSetError("not supported: associative list with lists as elements")
            case .null: throw FieldSetError("associative list without keys has an element that's an explicit null")
            default: return .value(element)
            }
        }
        guard case .object(let members) = element else {
            throw FieldSetError(
                element == .null
                    ? "associative list with keys may not have a null element"
                    : "associative list with keys may not have non-map elements")
        }
        var fields: [PathElement.KeyField] = []
        fields.reserveCapacity(keys.count)
        for key in keys {
            guard let value = members[key.name] ?? key.standard else {
                throw FieldSetError(
                    "associative list with keys has an element that omits key field \"\(key.name)\" (and doesn't "
                        + "have default value)")
            }
            fields.append(.init(key.name, value))
        }
        if fields.count > 1 { fields.sort { $0.name < $1.name } }
        return .key(fields)
    }
}
