/// Server-side apply's steps on objects: which fields a configuration sets, how it comes into the live object, and how
/// fields go that nobody sets any more. The rules are those of Kubernetes' structured-merge-diff.
extension Shape {
    /// The paths that a configuration sets.
    /// - Throws: ``FieldSetError`` that names every field the shape does not have, and every list element without key
    ///   or with one that another has.
    public func fieldSet(of configuration: JSON) throws(FieldSetError) -> FieldSet {
        var walk = ConfigurationWalk(shape: self)
        let set = walk.set(of: configuration, at: nodes[root], path: [])
        if let only = walk.faults.first, walk.faults.count == 1 { throw FieldSetError(only) }
        if !walk.faults.isEmpty {
            throw FieldSetError((["errors:"] + walk.faults.map { "  \($0)" }).joined(separator: "\n"))
        }
        return set
    }

    /// The paths that an object as it stands holds; what has no place in the shape is left out.
    func heldFields(of object: JSON) -> FieldSet {
        var walk = ConfigurationWalk(shape: self)
        return walk.set(of: object, at: nodes[root], path: [])
    }

    /// The live object with the configuration merged into it: the configuration's values win, lists keep the live
    /// order where the configuration says none.
    public func merge(_ configuration: JSON, into live: JSON) -> JSON {
        merge(live, configuration, at: nodes[root]) ?? [:]
    }

    /// The object without the places of `set`. What becomes empty becomes null.
    public func remove(_ set: FieldSet, from object: JSON) -> JSON { remove(set, from: object, at: nodes[root]) }

    /// The set, and with it the fields of structures on the way to its paths.
    func withNamedFields(_ set: FieldSet) -> FieldSet { withNamedFields(set, at: nodes[root]) }

    private func withNamedFields(_ set: FieldSet, at node: Node) -> FieldSet {
        if set.branches.isEmpty { return set }
        let branches = set.branches.map { branch -> FieldSet.Branch in
            var below: FieldSet
            switch (branch.step, node) {
            case (.field(let name), .object(let fields, let others)):
                below = withNamedFields(branch.set, at: child(fields[name], others))
                if fields[name] != nil { below.isMember = true }
            case (.key, .list): below = withNamedFields(branch.set, at: elementNode(of: node))
            default: below = branch.set
            }
            return .init(step: branch.step, set: below)
        }
        return FieldSet(isMember: set.isMember, unsorted: branches)
    }

    // MARK: Merging

    private func merge(_ live: JSON?, _ new: JSON?, at node: Node) -> JSON? {
        switch node {
        case .whole: return new ?? live
        case .deduced:
            guard live?.object != nil || live == nil, new?.object != nil || new == nil else { return new ?? live }
            return merge(live, new, at: .object(fields: [:], others: deducedPlace))
        case .set, .list:
            let (before, after) = (live?.array ?? [], new?.array ?? [])
            if before.isEmpty && after.isEmpty { return new ?? live }
            return .array(mergeList(before, after, node))
        case .object(let fields, let others):
            let (before, after) = (live?.object ?? [:], new?.object ?? [:])
            if before.isEmpty && after.isEmpty { return new ?? live }
            var result = before
            for (name, value) in after {
                result[name] = merge(before[name], value, at: child(fields[name], others))
            }
            return .object(result)
        }
    }

    /// Both lists' elements. Those of the configuration come in its order; those of the live list alone stay where
    /// they were among what both have.
    private func mergeList(_ live: [JSON], _ new: [JSON], _ node: Node) -> [JSON] {
        let element = elementNode(of: node)
        let liveSteps = live.map { try? step(of: $0, in: node) }
        let newSteps = new.map { try? step(of: $0, in: node) }
        var places: [PathElement: Int] = [:]
        for (place, step) in newSteps.enumerated() { if let step { places[step] = place } }
        var firstLive: [PathElement: JSON] = [:]
        for (step, value) in zip(liveSteps, live) {
            if let step, firstLive[step] == nil { firstLive[step] = value }
        }
        // What both have, in the configuration's order: a live element holds its place among the live ones only while
        // it is the next of these.
        var shared = newSteps.filter { $0.map { firstLive[$0] != nil } ?? false }[...]
        var result: [JSON] = []
        var next = 0
        func take(upTo end: Int) {
            while next < end {
                let step = newSteps[next]
                if let value = merge(step.flatMap { firstLive[$0] }, new[next], at: element) { result.append(value) }
                if let step, shared.first == step { shared.removeFirst() }
                next += 1
            }
        }
        for (step, value) in zip(liveSteps, live) {
            if let step, let place = places[step] {
                if shared.first == step { take(upTo: place + 1) }
            } else {
                result.append(value)
            }
        }
        take(upTo: new.count)
        return result
    }

    // MARK: Removing

    private func remove(_ set: FieldSet, from value: JSON, at node: Node) -> JSON {
        switch (node, value) {
        case (.deduced, .object): return remove(set, from: value, at: .object(fields: [:], others: deducedPlace))
        case (.object(let fields, let others), .object(let members)):
            if members.isEmpty { return value }
            var rest: JSON.Members = [:]
            for (name, member) in members {
                let below = set[.field(name)]
                if below.isMember { continue }
                rest[name] =
                    below.isEmpty ? member : remove(below, from: member, at: child(fields[name], others))
            }
            return rest.isEmpty ? .null : .object(rest)
        case (.list, .array(let elements)), (.set, .array(let elements)):
            if elements.isEmpty { return value }
            var rest: [JSON] = []
            for element in elements {
                guard let step = try? step(of: element, in: node) else {
                    rest.append(element)
                    continue
                }
                let below = set[step]
                if below.isMember { continue }
                rest.append(below.isEmpty ? element : remove(below, from: element, at: elementNode(of: node)))
            }
            return rest.isEmpty ? .null : .array(rest)
        default: return value
        }
    }
}

/// Collects the paths of a configuration, and what is wrong with it.
private struct ConfigurationWalk {
    let shape: Shape
    private(set) var faults: [String] = []

    init(shape: Shape) { self.shape = shape }

    mutating func set(of value: JSON, at node: Shape.Node, path: [PathElement]) -> FieldSet {
        switch (node, value) {
        case (.whole, _): return .member
        case (.deduced, .object(let members)):
            return set(of: members, fields: [:], others: shape.deducedPlace, path: path)
        case (.deduced, _): return .member
        case (.object(let fields, let others), .object(let members)):
            return set(of: members, fields: fields, others: others, path: path)
        case (.set, .array(let elements)), (.list, .array(let elements)):
            return set(of: elements, node: node, path: path)
        default: return FieldSet()
        }
    }

    private mutating func set(
        of members: JSON.Members, fields: [String: Shape.Field], others: Int?, path: [PathElement]
    ) -> FieldSet {
        var branches: [FieldSet.Branch] = []
        branches.reserveCapacity(members.count)
        for (name, value) in members {
            let step = PathElement.field(name)
            let field = fields[name]
            if field == nil && others == nil {
                faults.append("\((path + [step]).text): field not declared in schema")
                continue
            }
            var below = set(of: value, at: shape.child(field, others), path: path + [step])
            if field == nil || value == .null || value.object?.isEmpty == true { below.isMember = true }
            branches.append(.init(step: step, set: below))
        }
        return FieldSet(unsorted: branches)
    }

    private mutating func set(of elements: [JSON], node: Shape.Node, path: [PathElement]) -> FieldSet {
        var branches: [FieldSet.Branch] = []
        branches.reserveCapacity(elements.count)
        var seen: Set<PathElement> = []
        for (index, element) in elements.enumerated() {
            let step: PathElement
            do {
                step = try shape.step(of: element, in: node)
            } catch {
                faults.append("\(path.text): element \(index): \(error)")
                continue
            }
            if !seen.insert(step).inserted {
                faults.append("\(path.text): duplicate entries for key \(step)")
                continue
            }
            var below = set(of: element, at: shape.elementNode(of: node), path: path + [step])
            below.isMember = true
            branches.append(.init(step: step, set: below))
        }
        return FieldSet(unsorted: branches)
    }
}

extension [PathElement] {
    /// `.spec.containers[name="web"].image`
    public var text: String { map(\.description).joined() }
}
