public import MartletBase

/// `kubectl get`'s tables (meta.k8s.io/v1 Table).
public enum Table {
    /// One column.
    public struct Column: Sendable, Hashable {
        /// Its heading.
        public var name: String
        /// `string`, `integer`, `date`, ...
        public var type: String
        /// OpenAPI format, as `name`; may be empty.
        public var format: String
        /// What it shows.
        public var about: String
        /// 0 always, 1 with `-o wide`.
        public var priority: Int
    }
    /// The columns of a kind.
    public static func columns(of kind: ResourceKind) -> [Column] { [] }
    /// One object's cells, in the order of the columns.
    public static func cells(of object: JSON, kind: ResourceKind, now: WallTime) -> [JSON] { [] }
}
