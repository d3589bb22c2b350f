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

        /// A TableColumnDefinition.
        public var json: JSON {
            [
                "name": .string(name), "type": .string(type), "format": .string(format), "description": .string(about),
                "priority": .int(Int64(priority)),
            ]
        }
    }

    /// The columns of a kind. Kinds without columns of their own show name and age.
    public static func columns(of kind: ResourceKind) -> [Column] {
        if let custom = kind.custom { return custom.tableColumns }
        return TableColumns.byKind[kind.qualifiedPlural] ?? TableColumns.standard
    }

    /// One object's cells, in the order of the columns.
    public static func cells(of object: JSON, kind: ResourceKind, now: WallTime) -> [JSON] {
        if let custom = kind.custom { return custom.cells(of: object, now: now) }
        guard let make = TableCells.byKind[kind.qualifiedPlural] else {
            return [.string(object.name), object["metadata", "creationTimestamp"] ?? .null]
        }
        return make(object, now)
    }

    /// How long ago a time was, as people say it: `5s`, `3m20s`, `2d4h`; `<unknown>` when there is none.
    public static func age(_ time: JSON?, now: WallTime) -> String {
        guard let text = time?.string, let time = WallTime(rfc3339: text) else { return "<unknown>" }
        return humanDuration(now - time)
    }

    /// A duration with one or two units, finer when it is short (as kubectl shows ages).
    public static func humanDuration(_ duration: Duration) -> String {
        func two(_ big: Int64, _ unit: String, _ small: Int64, _ smallUnit: String) -> String {
            small == 0 ? "\(big)\(unit)" : "\(big)\(unit)\(small)\(smallUnit)"
        }
        let seconds = duration.components.seconds
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        if seconds < 120 { return "\(seconds)s" }
        let minutes = seconds / 60
        if minutes < 10 { return two(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return two(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if days < 8 { return two(days, "d", hours % 24, "h") }
        if days < 730 { return "\(days)d" }
        if days < 8 * 365 { return two(days / 365, "y", days % 365, "d") }
        return "\(days / 365)y"
    }
}
