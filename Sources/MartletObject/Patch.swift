/// The patch kinds.
public enum PatchType: String, Sendable {
    /// RFC 6902
    case json = "application/json-patch+json"
    /// RFC 7386
    case merge = "application/merge-patch+json"
    /// Kubernetes' own
    case strategic = "application/strategic-merge-patch+json"
}

/// Applying patches.
public enum Patch {
    /// The object after `patch`. `kind` tells merge keys for a strategic merge patch.
    /// - Throws: ``PatchError``.
    public static func apply(_ patch: JSON, type: PatchType, to object: JSON, kind: ResourceKind) throws(PatchError)
        -> JSON
    { throw PatchError("not built yet") }
}

/// Why a patch cannot be applied; the text is for the Status message.
public struct PatchError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}
