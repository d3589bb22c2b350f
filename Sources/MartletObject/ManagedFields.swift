/// Who owns which fields of an object: `metadata.managedFields` (ManagedFieldsEntry of meta/v1), read.
public struct ManagedFields: Sendable, Hashable {
    /// One writer. An applier is the same one in every version; an updater is another one in each.
    public struct Manager: Sendable, Hashable {
        /// Its name, as `kubectl`.
        public var name: String
        /// How it writes.
        public var operation: Operation
        /// The version of the objects it wrote.
        public var apiVersion: String
        /// The subresource it wrote through; empty: the object itself.
        public var subresource: String

        /// A manager from its parts.
        public init(_ name: String, _ operation: Operation, apiVersion: String, subresource: String = "") {
            self.name = name
            self.operation = operation
            self.apiVersion = apiVersion
            self.subresource = subresource
        }

        func isSame(as other: Manager) -> Bool {
            name == other.name && operation == other.operation && subresource == other.subresource
                && (operation == .apply || apiVersion == other.apiVersion)
        }
    }
    /// How a manager writes.
    public enum Operation: String, Sendable {
        /// By configurations: what it leaves out it gives up.
        case apply = "Apply"
        /// By whole objects and other patches: it keeps what it has touched.
        case update = "Update"
    }
    /// What one manager owns.
    public struct Entry: Sendable, Hashable {
        /// Who.
        public var manager: Manager
        /// What.
        public var fields: FieldSet
        /// When it last wrote, in RFC 3339; nil: unknown.
        public var time: String?
    }

    /// How many updaters are kept apart. Above it the oldest become one, ``ancient``.
    public static let maximumUpdaters = 10
    /// The manager of what many updaters did long ago.
    static let ancient = "ancient-changes"
    /// The manager of what an object held before its first apply.
    static let before = "before-first-apply"

    /// The entries, in no order that means anything.
    public internal(set) var entries: [Entry] = []

    /// Nobody owns anything.
    public init() {}

    /// Whether there are no entries.
    public var isEmpty: Bool { entries.isEmpty }

    func place(of manager: Manager) -> Int? { entries.firstIndex { $0.manager.isSame(as: manager) } }
}

// MARK: The written form

extension ManagedFields {
    /// Reads `metadata.managedFields`; nil or null: no entries.
    /// - Throws: ``FieldSetError`` when an entry is not well formed.
    public init(_ json: JSON?) throws(FieldSetError) {
        guard let json, json != .null else { return }
        guard case .array(let list) = json else { throw FieldSetError("managedFields must be a list") }
        for (index, entry) in list.enumerated() {
            guard let operation = Operation(rawValue: entry["operation"]?.string ?? "") else {
                throw FieldSetError("operation must be `Apply` or `Update`")
            }
            let apiVersion = entry["apiVersion"]?.string ?? ""
            if apiVersion.isEmpty { throw FieldSetError("apiVersion must not be empty") }
            guard entry["fieldsType"] == "FieldsV1" else {
                throw FieldSetError("missing or invalid fieldsType in managed fields entry \(index)")
            }
            let manager = Manager(
                entry["manager"]?.string ?? "", operation, apiVersion: apiVersion,
                subresource: entry["subresource"]?.string ?? "")
            let fields = try FieldSet(fieldsV1: entry["fieldsV1"] ?? [:])
            let read = Entry(manager: manager, fields: fields, time: entry["time"]?.string)
            if let place = place(of: manager) { entries[place] = read } else { entries.append(read) }
        }
    }

    /// What the written form says to the server that reads it back: `[]` and one empty entry give up all ownership.
    public static func isReset(_ json: JSON?) -> Bool {
        guard case .array(let entries)? = json else { return false }
        guard let only = entries.first else { return true }
        return entries.count == 1 && (only.object ?? ["": 0]).isEmpty
    }

    /// The list for `metadata.managedFields`: appliers first, then by time and name. Nil when nobody owns anything.
    public var json: JSON? {
        if entries.isEmpty { return nil }
        return .array(entries.sorted(by: Self.isBefore).map(\.json))
    }

    private static func isBefore(_ a: Entry, _ b: Entry) -> Bool {
        if a.manager.operation != b.manager.operation { return a.manager.operation == .apply }
        if a.time != b.time { return a.time ?? "" < b.time ?? "" }
        if a.manager.name != b.manager.name { return a.manager.name < b.manager.name }
        if a.manager.apiVersion != b.manager.apiVersion { return a.manager.apiVersion < b.manager.apiVersion }
        return a.manager.subresource < b.manager.subresource
    }

    /// Whether both say the same but for times.
    public func isSame(as other: ManagedFields) -> Bool {
        entries.count == other.entries.count
            && entries.allSatisfy { entry in
                other.entries.contains { $0.manager == entry.manager && $0.fields == entry.fields }
            }
    }
}

extension ManagedFields.Entry {
    /// The entry as it is written, members in the tables' order.
    var json: JSON {
        var members: JSON.Members = [
            "manager": .string(manager.name), "operation": .string(manager.operation.rawValue),
            "apiVersion": .string(manager.apiVersion),
        ]
        if let time { members["time"] = .string(time) }
        members["fieldsType"] = "FieldsV1"
        members["fieldsV1"] = fields.fieldsV1
        if !manager.subresource.isEmpty { members["subresource"] = .string(manager.subresource) }
        return .object(members)
    }
}
