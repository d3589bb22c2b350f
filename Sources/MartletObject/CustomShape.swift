internal import OrderedCollections

extension Shape {
    /// The shape of a custom kind's objects: the metadata as everywhere, all else as the kind's schema says.
    init(_ schema: StructuralSchema) {
        var builder = StructuralShapes(nodes: Self.metadata.nodes)
        let root = builder.root(schema, metadata: Self.metadata.root)
        self.init(nodes: builder.nodes, root: root)
    }

    /// The nodes of ObjectMeta alone.
    private static let metadata = of(.configMap).reach(of: "metadata") ?? unknown

    /// The shape of a field of the root, with no other nodes than it needs.
    private func reach(of field: String) -> Shape? {
        guard case .object(let fields, _) = nodes[root], let start = fields[field]?.node else { return nil }
        var places: [Int: Int] = [:]
        var order: [Int] = []
        func visit(_ place: Int) {
            if places[place] != nil { return }
            places[place] = order.count
            order.append(place)
            switch nodes[place] {
            case .whole, .deduced, .set: break
            case .list(_, let element): visit(element)
            case .object(let fields, let others):
                for name in fields.keys.sorted() { if let field = fields[name] { visit(field.node) } }
                if let others { visit(others) }
            }
        }
        visit(start)
        let moved = order.map { place -> Node in
            switch nodes[place] {
            case .whole, .deduced, .set: return nodes[place]
            case .list(let keys, let element): return .list(keys: keys, element: places[element] ?? 0)
            case .object(let fields, let others):
                let fields = fields.mapValues { Field(node: places[$0.node] ?? 0, absent: $0.absent) }
                return .object(fields: fields, others: others.flatMap { places[$0] })
            }
        }
        return Shape(nodes: moved, root: 0)
    }
}

/// Turns a structural schema into nodes.
private struct StructuralShapes {
    private(set) var nodes: [Shape.Node]

    init(nodes: [Shape.Node]) { self.nodes = nodes }

    private mutating func add(_ node: Shape.Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }

    mutating func root(_ schema: StructuralSchema, metadata: Int) -> Int {
        var fields = members(of: schema)
        for name in ["apiVersion", "kind"] { fields[name] = Shape.Field(node: add(.whole)) }
        fields["metadata"] = Shape.Field(node: metadata, absent: [:])
        return add(.object(fields: fields, others: others(of: schema)))
    }

    private mutating func members(of schema: StructuralSchema) -> [String: Shape.Field] {
        var fields: [String: Shape.Field] = [:]
        for (name, property) in schema.properties { fields[name] = Shape.Field(node: node(of: property)) }
        return fields
    }

    private mutating func others(of schema: StructuralSchema) -> Int? {
        switch schema.additional {
        case .values(let values): node(of: values)
        case .any: add(.deduced)
        case .none: schema.preservesUnknownFields ? add(.deduced) : nil
        }
    }

    private mutating func node(of schema: StructuralSchema) -> Int {
        switch schema.type {
        case .object:
            if schema.isAtomicMap { return add(.whole) }
            let others = others(of: schema)
            if schema.properties.isEmpty && (others == nil || schema.isEmbeddedResource) { return add(.deduced) }
            var fields = members(of: schema)
            if schema.isEmbeddedResource {
                for name in ["apiVersion", "kind", "metadata"] where fields[name] == nil {
                    fields[name] = Shape.Field(node: add(.deduced))
                }
            }
            return add(.object(fields: fields, others: others))
        case .array:
            switch schema.listType {
            case .atomic: return add(.whole)
            case .set: return add(.set)
            case .map(let names):
                guard let items = schema.items else { return add(.whole) }
                let keys = names.map { Shape.Key($0, standard: items.properties[$0]?.defaultValue) }
                return add(.list(keys: keys, element: node(of: items)))
            }
        case nil: return add(schema.isIntOrString ? .whole : .deduced)
        default: return add(.whole)
        }
    }
}
