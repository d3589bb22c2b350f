/// Kubernetes' validation, with its words.
public enum Validation {
    /// What is wrong with a new object (after defaulting).
    public static func create(_ object: JSON, kind: ResourceKind) -> [FieldError] { [] }
    /// What is wrong with a change from `old` to `object`: all of ``create(_:kind:)``, and fields that must not
    /// change.
    public static func update(_ object: JSON, from old: JSON, kind: ResourceKind) -> [FieldError] { [] }
}

/// One fault of an object: Kubernetes' field.Error.
public struct FieldError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kinds of fault; the raw value is the cause's `reason` in a Status.
    public enum Reason: String, Sendable {
        /// Absent
        case required = "FieldValueRequired"
        /// Malformed
        case invalid = "FieldValueInvalid"
        /// Twice
        case duplicate = "FieldValueDuplicate"
        /// Not one of the known values
        case notSupported = "FieldValueNotSupported"
        /// Not allowed here
        case forbidden = "FieldValueForbidden"
        /// Too long or too many
        case tooLong = "FieldValueTooLong"
        /// Refers to nothing
        case notFound = "FieldValueNotFound"
    }
    /// The kind of fault.
    public var reason: Reason
    /// The field's path: `spec.containers[0].name`.
    public var field: String
    /// What follows the path: `Required value`, `Invalid value: "x": must be ...`.
    public var message: String
    /// A fault from its parts.
    public init(_ reason: Reason, field: String, message: String) {
        self.reason = reason
        self.field = field
        self.message = message
    }
    /// `spec.containers[0].name: Required value`
    public var description: String { "\(field): \(message)" }
}
