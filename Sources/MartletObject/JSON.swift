/// A JSON value. Object members keep their order.
public enum JSON: Sendable, Hashable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A number that is whole and fits 64 bits.
    case int(Int64)
    /// Any other number.
    case double(Double)
    /// Text.
    case string(String)
    /// A list.
    case array([JSON])
    /// Members by name, in the order they came in.
    case object(Members)
}

extension JSON {
    /// The member `key` of an object; nil when it is absent or this is no object. Setting nil removes the member;
    /// setting a member of `null` makes an object of it.
    public subscript(_ key: String) -> JSON? {
        get {
            guard case .object(let members) = self else { return nil }
            return members[key]
        }
        set {
            switch self {
            case .object(var members):
                self = .null  // so that `members` is uniquely referenced and changed in place
                members[key] = newValue
                self = .object(members)
            case .null:
                if let newValue { self = .object([key: newValue]) }
            default: return
            }
        }
    }

    /// The value at a path of member names, as `pod["spec", "nodeName"]`. Setting makes the objects on the way.
    public subscript(_ first: String, _ second: String, _ rest: String...) -> JSON? {
        get { rest.reduce(self[first]?[second]) { $0?[$1] } }
        set { set(newValue, at: [first, second] + rest) }
    }

    /// Sets the value at a path of member names, or takes it away; makes the objects on the way.
    public mutating func set(_ value: JSON?, at path: some Collection<String>) {
        guard let first = path.first else { return }
        let rest = path.dropFirst()
        if rest.isEmpty {
            self[first] = value
            return
        }
        guard case .object(var members) = self, let index = members.index(forKey: first) else {
            if value == nil { return }
            var child = JSON.null
            child.set(value, at: rest)
            self[first] = child
            return
        }
        self = .null  // so that `members` is uniquely referenced and changed in place
        members[valueAt: index].set(value, at: rest)
        self = .object(members)
    }

    /// Changes each element of the list at a path of member names, if there is one. Nothing is copied of a tree that
    /// the caller alone holds.
    public mutating func changeEach(at path: some Collection<String>, _ change: (inout JSON) -> Void) {
        guard let first = path.first else {
            guard case .array(var elements) = self else { return }
            self = .null  // so that `elements` is uniquely referenced and changed in place
            for index in elements.indices { change(&elements[index]) }
            self = .array(elements)
            return
        }
        guard case .object(var members) = self, let index = members.index(forKey: first) else { return }
        self = .null
        members[valueAt: index].changeEach(at: path.dropFirst(), change)
        self = .object(members)
    }

    /// The element `index` of an array, if there is one.
    public subscript(_ index: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// The text, if this is text.
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    /// The whole number, if this is one.
    public var int: Int? { if case .int(let value) = self { Int(exactly: value) } else { nil } }
    /// The truth value, if this is one.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The elements, if this is an array.
    public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    /// The members, if this is an object.
    public var object: Members? { if case .object(let value) = self { value } else { nil } }
    /// The members whose values are text, if this is an object: labels, selectors, annotations.
    public var stringMap: [String: String]? {
        guard case .object(let members) = self else { return nil }
        var result: [String: String] = [:]
        for (key, value) in members { result[key] = value.string }
        return result
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral, ExpressibleByFloatLiteral
{
    /// Text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .int(value) }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// A list.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    /// An object; a name given twice keeps its last value.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(Members(elements.map { (key: $0, value: $1) }))
    }
    /// `null`
    public init(nilLiteral: ()) { self = .null }
}

extension JSON {
    /// An object of text members, sorted by name: labels, selectors, annotations.
    public init(_ map: [String: String]) {
        self = .object(Members(unique: map.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
}
