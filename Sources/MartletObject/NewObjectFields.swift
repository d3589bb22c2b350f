extension FieldOwnership {
    /// `metadata.managedFields` of a new object that nobody owned before, as text: what ``update(_:from:to:)`` from an
    /// empty object comes to. Empty when nobody owns anything; nil when only the long way can tell, because list
    /// elements share their keys.
    public func text(ofNew object: JSON) -> [UInt8]? {
        var writer = NewFieldsWriter(shape: shape)
        writer.output.append(raw: "[{\"manager\":")
        writer.output.append(string: manager.name)
        writer.output.append(raw: ",\"operation\":")
        writer.output.append(string: manager.operation.rawValue)
        writer.output.append(raw: ",\"apiVersion\":")
        writer.output.append(string: manager.apiVersion)
        writer.output.append(raw: ",\"time\":")
        writer.output.append(string: time)
        writer.output.append(raw: ",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":")
        do {
            guard try writer.appendRoot(object, ignored: ignored, stripped: Self.stripped) else { return [] }
        } catch {
            return nil
        }
        if !manager.subresource.isEmpty {
            writer.output.append(raw: ",\"subresource\":")
            writer.output.append(string: manager.subresource)
        }
        writer.output.append(raw: "}]")
        return writer.output.bytes
    }
}

/// Writes what a creation sets as FieldsV1, without making a ``FieldSet`` of it: the same walk as
/// ``Shape/compare(_:_:)`` takes from an empty object, in the order of field sets.
private struct NewFieldsWriter: ~Copyable {
    let shape: Shape
    var output = JSONWriter()

    /// Two elements of a list are one, or none by themselves.
    struct Ambiguous: Error {}

    init(shape: Shape) { self.shape = shape }

    /// False when there is nothing to own.
    mutating func appendRoot(_ object: JSON, ignored: FieldSet, stripped: FieldSet) throws(Ambiguous) -> Bool {
        try append(object, before: [:], shape.nodes[shape.root], ignored, stripped)
    }

    /// Appends the set of one place: what `value` sets there and below. `before` is what stood there, as upstream's
    /// structures see it: nothing, or an empty value. Returns false, and appends nothing, when the set is empty.
    private mutating func append(
        _ value: JSON, before: JSON?, _ node: Shape.Node, _ ignored: FieldSet, _ stripped: FieldSet
    ) throws(Ambiguous) -> Bool {
        if ignored.isMember { return false }
        let isMember = before == nil && !stripped.isMember
        switch node {
        case .object(let fields, let others):
            guard let members = value.object, !members.isEmpty else { return appendLeaf(isMember) }
            return try append(members, isMember, before: before, fields, others, ignored, stripped)
        case .set, .list:
            guard let elements = value.array, !elements.isEmpty else { return appendLeaf(isMember) }
            return try append(elements, isMember, node, ignored, stripped)
        case .deduced:
            guard before == nil else { throw Ambiguous() }
            guard let members = value.object else { return appendLeaf(isMember) }
            if members.isEmpty { return appendLeaf(isMember) }
            return try append(members, isMember, before: nil, [:], shape.deducedPlace, ignored, stripped)
        case .whole: return appendLeaf(before != value && !stripped.isMember)
        }
    }

    private mutating func appendLeaf(_ isMember: Bool) -> Bool {
        if isMember { output.append(raw: "{}") }
        return isMember
    }

    private mutating func append(
        _ members: JSON.Members, _ isMember: Bool, before: JSON?, _ fields: [String: Shape.Field], _ others: Int?,
        _ ignored: FieldSet, _ stripped: FieldSet
    ) throws(Ambiguous) -> Bool {
        let start = output.count
        begin(isMember)
        for place in members.indices.sorted(by: { members.isOrdered($0, $1) }) {
            let (name, value) = members[place]
            let mark = output.count
            if output.last != UInt8(ascii: "{") { output.append(",") }
            output.append(raw: "\"f:")
            output.append(escaped: name)
            output.append(raw: "\":")
            let field = fields[name]
            let isOwned = try append(
                value, before: before == nil ? nil : field?.absent, shape.child(field, others),
                below(ignored, name), below(stripped, name))
            if !isOwned { output.cut(to: mark) }
        }
        return end(isMember, start)
    }

    private mutating func append(
        _ elements: [JSON], _ isMember: Bool, _ node: Shape.Node, _ ignored: FieldSet, _ stripped: FieldSet
    ) throws(Ambiguous) -> Bool {
        if !ignored.isEmpty || !stripped.isEmpty { throw Ambiguous() }
        var steps: [(step: PathElement, value: JSON)] = []
        steps.reserveCapacity(elements.count)
        for element in elements {
            guard let step = try? shape.step(of: element, in: node) else { throw Ambiguous() }
            steps.append((step, element))
        }
        steps.sort { $0.step < $1.step }
        for (one, other) in zip(steps, steps.dropFirst()) where one.step == other.step { throw Ambiguous() }
        let (start, element) = (output.count, shape.elementNode(of: node))
        begin(isMember)
        for (step, value) in steps {
            if output.last != UInt8(ascii: "{") { output.append(",") }
            output.append(string: step.fieldsV1)
            output.append(":")
            if try !append(value, before: nil, element, ignored, stripped) { throw Ambiguous() }
        }
        return end(isMember, start)
    }

    private mutating func begin(_ isMember: Bool) { output.append(raw: isMember ? "{\".\":{}" : "{") }

    /// Closes what was opened at `start`. A place with nothing below it is a leaf, or nothing.
    private mutating func end(_ isMember: Bool, _ start: Int) -> Bool {
        if output.count == start + (isMember ? 7 : 1) {
            output.cut(to: start)
            return appendLeaf(isMember)
        }
        output.append("}")
        return true
    }

    /// What a set holds below a field; most sets hold nothing.
    private func below(_ set: FieldSet, _ name: String) -> FieldSet { set.isEmpty ? set : set[.field(name)] }
}
