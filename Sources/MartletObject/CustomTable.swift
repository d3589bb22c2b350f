internal import MartletBase

extension CustomKind {
    /// The columns of `kubectl get`: the name, and those of the definition, or the age when it has none.
    var tableColumns: [Table.Column] {
        let name = Table.Column(
            name: "Name", type: "string", format: "name", about: "The name, unique within the namespace.", priority: 0)
        let age = Table.Column(
            name: "Age", type: "date", format: "", about: "How long ago the object was made.", priority: 0)
        if columns.isEmpty { return [name, age] }
        return [name]
            + columns.map {
                Table.Column(
                    name: $0.name, type: $0.type, format: $0.format, about: $0.about, priority: $0.priority)
            }
    }

    /// One object's cells, in the order of the columns.
    func cells(of object: JSON, now: WallTime) -> [JSON] {
        let name = JSON.string(object.name)
        if columns.isEmpty { return [name, .string(Table.age(object["metadata", "creationTimestamp"], now: now))] }
        return [name] + columns.map { Self.cell($0.path.values(in: object), type: $0.type, now: now) }
    }

    /// Values as a column of the type shows them; null where there is none.
    private static func cell(_ values: [JSON], type: String, now: WallTime) -> JSON {
        guard let value = values.first else { return .null }
        switch type {
        case "string": return .string(values.map(text).joined(separator: " "))
        case "integer": return value.number.flatMap { Int64(exactly: $0.rounded(.towardZero)) }.map(JSON.int) ?? .null
        case "number": return value.number == nil ? .null : value
        case "boolean": return value.bool == nil ? .null : value
        case "date":
            guard let time = value.string, WallTime(rfc3339: time) != nil else { return "<invalid>" }
            return .string(Table.age(value, now: now))
        default: return .null
        }
    }

    private static func text(_ value: JSON) -> String {
        value.string ?? (value == .null ? "" : String(decoding: value.encoded(), as: UTF8.self))
    }
}
