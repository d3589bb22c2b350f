/// A label selector: all requirements must hold.
public struct LabelSelector: Sendable, Hashable {
    /// Selects everything.
    public init() {}
    /// Reads the form of URLs: `app=web,tier in (a,b),!legacy,x!=y`.
    /// - Throws: ``SelectorError``.
    public init(parsing text: String) throws(SelectorError) {}
    /// Reads a LabelSelector object (`matchLabels`, `matchExpressions`); nil selects nothing.
    /// - Throws: ``SelectorError``.
    public init(object: JSON) throws(SelectorError) {}
    /// Whether an object with these labels is selected.
    public func matches(_ labels: [String: String]) -> Bool { true }
}

/// A field selector: `metadata.name=x,spec.nodeName!=y`.
public struct FieldSelector: Sendable, Hashable {
    /// Reads the form of URLs, checking that `kind` knows each field.
    /// - Throws: ``SelectorError``.
    public init(parsing text: String, kind: ResourceKind) throws(SelectorError) {}
    /// Whether an object is selected.
    public func matches(_ object: JSON) -> Bool { true }
}

/// A selector that cannot be read.
public struct SelectorError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}
