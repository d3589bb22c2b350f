extension Schema {
    /// Reads an object's JSON and brings it into canonical form in one pass, along the tables: what parsing it and
    /// ``conform(_:to:words:)`` come to. Most bodies are right, and are read so.
    ///
    /// Nil for all that there is something to say of (faults, unknown fields, fields given twice), and for what is rare
    /// (null, escaped names, custom kinds): the long way has the words for it.
    public static func read(_ bytes: [UInt8], as kind: ResourceKind) -> JSON? {
        guard kind.custom == nil, let place = SchemaTables.all.place(of: kind.kind, in: kind.apiVersion) else {
            return nil
        }
        let object = bytes.withUnsafeBufferPointer { buffer in
            var reader = SchemaReader(buffer)
            return try? reader.read(place)
        }
        guard let object, object.apiVersion == kind.apiVersion, object.kind == kind.kind else { return nil }
        return object
    }
}

/// Reads JSON along the tables, and gives up at the first thing that is not as most bodies have it.
private struct SchemaReader {
    private var parser: JSONParser
    private let layout = TableLayout.all
    /// The places of the fields read so far, of the innermost structure last.
    private var places: [Int] = []

    private static let unusual = JSONError("not read in one pass", offset: 0)

    init(_ bytes: UnsafeBufferPointer<UInt8>) { parser = JSONParser(bytes) }

    /// Reads the whole text as a structure.
    mutating func read(_ place: Int) throws(JSONError) -> JSON {
        parser.skipBlanks()
        let object = try structure(place, depth: 1)
        parser.skipBlanks()
        guard parser.isAtEnd, parser.duplicates.isEmpty else { throw Self.unusual }
        return object
    }

    private mutating func value(_ node: TableLayout.Node, depth: Int) throws(JSONError) -> JSON {
        parser.skipBlanks()
        switch node {
        case .structure(let place): return try structure(place, depth: depth + 1)
        case .list(let element): return try list(layout.nodes[element], depth: depth + 1)
        case .map(let element): return try map(layout.nodes[element], depth: depth + 1)
        case .string:
            guard parser.current == UInt8(ascii: "\"") else { throw Self.unusual }
            return .string(try parser.parseString())
        case .bool, .int32, .int64, .any, .other: break
        }
        let value = try parser.parseValue(depth: depth)
        switch (node, value) {
        case (_, .null): throw Self.unusual
        case (.any, _), (.bool, .bool), (.int64, .int): return value
        case (.int32, .int(let number)) where Int32(exactly: number) != nil: return value
        case (.other(let scalar), _):
            guard let conformed = Schema.conform(value, toScalar: layout.scalars[scalar]) else { throw Self.unusual }
            return conformed
        default: throw Self.unusual
        }
    }

    private mutating func structure(_ place: Int, depth: Int) throws(JSONError) -> JSON {
        try open("{", depth)
        let start = places.count
        var isSorted = true
        var members: [JSON.Members.Element] = []
        members.reserveCapacity(8)
        while try hasNext("}", isFirst: members.isEmpty) {
            guard let name = parser.parsePlainName() else { throw Self.unusual }
            let next = places.count > start ? places[places.count - 1] + 1 : 0
            guard let field = layout.structures[place].find(name, from: next) else { throw Self.unusual }
            if field < next { isSorted = false }
            places.append(field)
            let (key, node) = layout.structures[place][field]
            members.append((key, try value(node, depth: depth)))
        }
        if !isSorted { try sort(&members, from: start) }
        places.removeLast(places.count - start)
        return .object(JSON.Members(unique: members))
    }

    /// Brings members into the tables' order, by their places from `start` on.
    private func sort(_ members: inout [JSON.Members.Element], from start: Int) throws(JSONError) {
        let order = members.indices.sorted { places[start + $0] < places[start + $1] }
        for (one, other) in zip(order, order.dropFirst()) where places[start + one] == places[start + other] {
            throw Self.unusual
        }
        members = order.map { [members] in members[$0] }
    }

    private mutating func list(_ element: TableLayout.Node, depth: Int) throws(JSONError) -> JSON {
        try open("[", depth)
        var elements: [JSON] = []
        elements.reserveCapacity(4)
        while try hasNext("]", isFirst: elements.isEmpty) { elements.append(try value(element, depth: depth)) }
        return .array(elements)
    }

    private mutating func map(_ element: TableLayout.Node, depth: Int) throws(JSONError) -> JSON {
        try open("{", depth)
        var members: [JSON.Members.Element] = []
        members.reserveCapacity(4)
        while try hasNext("}", isFirst: members.isEmpty) {
            guard parser.current == UInt8(ascii: "\"") else { throw Self.unusual }
            let name = try parser.parseString()
            try parser.skipColon()
            members.append((name, try value(element, depth: depth)))
        }
        members.sort { $0.key < $1.key }
        for (one, other) in zip(members, members.dropFirst()) where one.key == other.key { throw Self.unusual }
        return .object(JSON.Members(unique: members))
    }

    private mutating func open(_ bracket: Unicode.Scalar, _ depth: Int) throws(JSONError) {
        guard parser.current == UInt8(ascii: bracket), depth <= JSON.maximumDepth else { throw Self.unusual }
        parser.advance()
    }

    /// Whether another element or member follows; it begins at the position. Passes by what closes the value.
    private mutating func hasNext(_ end: Unicode.Scalar, isFirst: Bool) throws(JSONError) -> Bool {
        parser.skipBlanks()
        if parser.current == UInt8(ascii: end) {
            parser.advance()
            return false
        }
        if isFirst { return true }
        guard parser.current == UInt8(ascii: ",") else { throw Self.unusual }
        parser.advance()
        parser.skipBlanks()
        return true
    }
}

/// The tables laid out for reading: numbers in the place of names and nested types.
private struct TableLayout: Sendable {
    /// What is read at one place.
    enum Node {
        case string, bool, int32, int64, any
        /// A scalar that has a form to be brought into: its place in ``scalars``.
        case other(Int)
        /// The place of the type.
        case structure(Int)
        /// The place of the elements' node in ``nodes``.
        case list(Int)
        case map(Int)
    }

    /// The fields of one structure.
    struct Structure {
        /// The first eight bytes of each name, and its length: what tells most names apart.
        private var heads: [UInt64] = []
        private var lengths: [Int] = []
        private var fields: [(name: String, node: Node)] = []

        mutating func add(_ name: String, _ node: Node) {
            heads.append(Array(name.utf8).withUnsafeBufferPointer { Self.head(of: $0) })
            lengths.append(name.utf8.count)
            fields.append((name, node))
        }

        subscript(place: Int) -> (name: String, node: Node) { fields[place] }

        /// The place of a name. The search begins where a field in the tables' order would come.
        func find(_ name: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
            let head = Self.head(of: name)
            for place in start..<max(start, heads.count) where isName(name, head, place) { return place }
            for place in 0..<min(start, heads.count) where isName(name, head, place) { return place }
            return nil
        }

        private func isName(_ name: UnsafeBufferPointer<UInt8>, _ head: UInt64, _ place: Int) -> Bool {
            heads[place] == head && lengths[place] == name.count
                && (name.count <= 8 || isWholeName(name, place))
        }

        private func isWholeName(_ name: UnsafeBufferPointer<UInt8>, _ place: Int) -> Bool {
            var text = fields[place].name
            return text.withUTF8 { $0.hasSameBytes(as: name) }
        }

        private static func head(of name: UnsafeBufferPointer<UInt8>) -> UInt64 {
            var head: UInt64 = 0
            for byte in name.prefix(8) { head = head << 8 | UInt64(byte) }
            return head
        }
    }

    private(set) var nodes: [Node] = []
    private(set) var scalars: [FieldType] = []
    /// By the types' places; empty for names of simpler types.
    private(set) var structures: [Structure] = []

    static let all = TableLayout(SchemaTables.all)

    private init(_ tables: SchemaTables) {
        for type in tables.types {
            var structure = Structure()
            for field in type.fields { structure.add(field.name, node(of: field.type, tables)) }
            structures.append(structure)
        }
    }

    private mutating func node(of type: FieldType, _ tables: SchemaTables) -> Node {
        switch tables.resolved(type) {
        case .string: return .string
        case .bool: return .bool
        case .int32: return .int32
        case .int64: return .int64
        case .any: return .any
        case .named(let place): return .structure(place)
        case .list(let element): return .list(add(node(of: element, tables)))
        case .map(let element): return .map(add(node(of: element, tables)))
        case let scalar:
            scalars.append(scalar)
            return .other(scalars.count - 1)
        }
    }

    private mutating func add(_ node: Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }
}
