internal import OrderedCollections

extension JSON {
    /// The members of an object in their order, empty for anything else: for rooms that walk an object and need not
    /// know how it is kept.
    public var members: [(key: String, value: JSON)] {
        guard case .object(let members) = self else { return [] }
        return members.map { ($0.key, $0.value) }
    }

    /// An object of these members, in this order; a name given twice keeps its last value.
    public init(members: [(key: String, value: JSON)]) {
        self = .object(
            OrderedDictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }))
    }
}
