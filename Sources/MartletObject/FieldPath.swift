/// One step of a path through an object, as server-side apply counts ownership: by a field's name, by the key fields
/// of a list's element, by a set's value, or by an index.
public enum PathElement: Hashable, Sendable {
    /// A member of an object.
    case field(String)
    /// The element of a list whose fields have these values; sorted by name.
    case key([KeyField])
    /// The element of a set.
    case value(JSON)
    /// The element of a list by its place. Kubernetes reads it and never makes it.
    case index(Int)

    /// One field of a key, with its value.
    public struct KeyField: Hashable, Sendable {
        /// The field's name.
        public var name: String
        /// Its value, a scalar.
        public var value: JSON
        /// A field of a key.
        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }
}

extension PathElement: Comparable {
    /// Fields before keys before values before indices; each by name or value.
    public static func < (a: PathElement, b: PathElement) -> Bool {
        switch (a, b) {
        case (.field(let a), .field(let b)): a < b
        case (.key(let a), .key(let b)): isLess(a, b)
        case (.value(let a), .value(let b)): a.precedes(b)
        case (.index(let a), .index(let b)): a < b
        default: a.rank < b.rank
        }
    }

    private var rank: Int {
        switch self {
        case .field: 0
        case .key: 1
        case .value: 2
        case .index: 3
        }
    }

    private static func isLess(_ a: [KeyField], _ b: [KeyField]) -> Bool {
        for (a, b) in zip(a, b) {
            if a.name != b.name { return a.name < b.name }
            if a.value != b.value { return a.value.precedes(b.value) }
        }
        return a.count < b.count
    }
}

extension PathElement: CustomStringConvertible {
    /// As conflicts name it: `.replicas`, `[name="web"]`, `[="a"]`, `[0]`.
    public var description: String {
        switch self {
        case .field(let name): ".\(name)"
        case .key(let fields): "[\(fields.map { "\($0.name)=\(Self.shown($0.value))" }.joined(separator: ","))]"
        case .value(let value): "[=\(Self.shown(value))]"
        case .index(let index): "[\(index)]"
        }
    }

    private static func shown(_ value: JSON) -> String { String(decoding: value.encoded(), as: UTF8.self) }
}

extension JSON {
    /// The order of values in field sets: numbers, texts, truth values, lists, objects, null.
    fileprivate func precedes(_ other: JSON) -> Bool {
        switch (self, other) {
        case (.int(let a), .int(let b)): a < b
        case (.int(let a), .double(let b)): Double(a) < b
        case (.double(let a), .int(let b)): a < Double(b)
        case (.double(let a), .double(let b)): a < b
        case (.string(let a), .string(let b)): a < b
        case (.bool(let a), .bool(let b)): !a && b
        case (.array, .array), (.object, .object): encoded().lexicographicallyPrecedes(other.encoded())
        default: rank < other.rank
        }
    }

    private var rank: Int {
        switch self {
        case .int, .double: 0
        case .string: 1
        case .bool: 2
        case .array: 3
        case .object: 4
        case .null: 5
        }
    }
}
