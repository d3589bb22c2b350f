/// The type of a field.
indirect enum FieldType: Hashable, Sendable {
    case string, bool, int32, int64, double
    /// Base64 text.
    case bytes
    case quantity, intOrString
    /// metav1.Time, metav1.MicroTime.
    case time, microTime
    /// Any JSON.
    case any
    case list(FieldType)
    /// Values by text.
    case map(FieldType)
    /// A structure or a named scalar: its place in ``SchemaTables/types``.
    case named(Int)
}

/// One field of a type.
struct SchemaField: Sendable {
    /// How a list merges when several writers own it.
    enum ListKind: Hashable, Sendable {
        case atomic, set
        case map([String])
    }
    /// What an absent field becomes.
    struct Default: Hashable, Sendable {
        var value: JSON
        /// Whether the zero value (`""`, 0) counts as absent, as it does for Go fields without a pointer.
        var replacesZero: Bool
    }

    var name: String
    var type: FieldType
    /// Where Kubernetes' protobuf form has the field: its number, after the numbers of the messages around it that
    /// JSON does not have (`name` of a ConfigMapKeySelector is field 1 of field 1). Empty: it has it nowhere.
    var numbers: [Int] = []
    /// Whether the zero value (`""`, 0, false) says something else than absence.
    var isPointer = false
    var isRequired = false
    var listKind = ListKind.atomic
    /// Whether the map is replaced as a whole by appliers.
    var isAtomicMap = false
    /// Whether a strategic merge patch merges the list, and by which key; lists of scalars have no key.
    var merges = false
    var mergeKey: String?
    var retainsKeys = false
    var defaultValue: Default?
}

/// The fields of a protobuf message by number.
struct WireFields: Sendable {
    indirect enum Entry: Sendable {
        /// A field of the type, by its place.
        case field(Int)
        /// A message whose fields JSON has one level up.
        case inlined(WireFields)
    }
    private(set) var entries: [Int: Entry] = [:]

    /// Adds the field at `place`, under its numbers from the outermost in. False when they are taken.
    mutating func add(_ place: Int, at numbers: some Collection<Int>) -> Bool {
        guard let number = numbers.first else { return false }
        let rest = numbers.dropFirst()
        switch (entries[number], rest.isEmpty) {
        case (nil, true):
            entries[number] = .field(place)
            return true
        case (nil, false):
            var inner = WireFields()
            defer { entries[number] = .inlined(inner) }
            return inner.add(place, at: rest)
        case (.inlined(var inner), false):
            defer { entries[number] = .inlined(inner) }
            return inner.add(place, at: rest)
        default: return false
        }
    }
}

/// One type of the API: a structure, or a name for a simpler type.
struct SchemaType: Sendable {
    enum Form: Sendable {
        case structure([SchemaField])
        case alias(FieldType)
        /// Text with closed values.
        case choice([String])
    }
    var name: String
    /// The OpenAPI package, as `io.k8s.api.core.v1`.
    var package: String
    /// The group and version whose kinds the package holds, as `apps/v1`.
    var groupVersion: String
    /// Whether objects of the type carry `apiVersion` and `kind`.
    var isKind: Bool
    var form: Form
    /// Places of the fields by name.
    var places: [String: Int] = [:]
    /// Places of the fields by their numbers in Kubernetes' protobuf form.
    var wire = WireFields()

    var fields: [SchemaField] { if case .structure(let fields) = form { fields } else { [] } }

    func field(_ name: String) -> SchemaField? { places[name].map { fields[$0] } }
}

/// The tables, read from their text. Text form, one line each:
///
///     package io.k8s.api.apps.v1 apps/v1     the OpenAPI package and the group and version of its kinds
///     DeploymentStrategyType: enum A B       a name for text with closed values
///     ResourceList: {}quantity               a name for another type
///     Deployment kind                        a structure; `kind` adds apiVersion and kind
///       conditions 6 []T map=type merge=type a field: name, protobuf number, type, marks
///       replicas 1 *int32                    one whose zero value means something: a pointer in Go
///       name 1.1 string                      one that protobuf has in a message of its own: field 1 of field 1
///       name - string                        one of a type that has no protobuf form
///
/// Types: `string bool int32 int64 float64 bytes quantity intOrString time microTime any`, `[]T` a list, `{}T` a map,
/// or a name from the same package, else from any other. Marks: `!` required; `set`, `map=KEYS` list kinds (else
/// atomic); `atomic` for maps; `merge`, `merge=KEY`, `retainKeys` for strategic merge patches; `=JSON` the default of
/// an absent field, `~JSON` of an absent or zero one.
struct SchemaTables: Sendable {
    private(set) var types: [SchemaType] = []
    /// What is wrong with the text; empty but for mistakes in the tables, which a test finds.
    private(set) var faults: [String] = []
    private var byName: [String: [Int]] = [:]

    static let texts = [
        core, pods, volumes, persistentVolumes, coreObjects, apps, stateful, batch, networking, networkPolicy,
        discovery, coordination, events, autoscaling, autoscalers, policy, disruption, access, scheduling, storage,
        certificates, customDefinitions, authentication, authorization, gateway, meta,
    ]
    /// The tables of all served kinds, read once.
    static let all = SchemaTables(texts)

    init(_ texts: [String]) {
        let lines = texts.flatMap { $0.utf8.split(separator: UInt8(ascii: "\n")) }
        declare(lines)
        var current = -1
        for line in lines where !line.starts(with: "package ".utf8) {
            let words = line.split(separator: UInt8(ascii: " ")).map { String(Substring($0)) }
            if line.first == UInt8(ascii: " ") {
                add(field: words, to: current)
            } else {
                current += 1
                define(words, at: current)
            }
        }
        for index in types.indices {
            for (place, field) in types[index].fields.enumerated() { enter(field, at: place, of: index) }
        }
    }

    private mutating func enter(_ field: SchemaField, at place: Int, of index: Int) {
        types[index].places[field.name] = place
        if field.numbers.isEmpty { return }  // apiVersion and kind are written around the message
        if !types[index].wire.add(place, at: field.numbers) {
            faults.append("\(types[index].name).\(field.name): its number is taken")
        }
    }

    /// First all names, so that fields may refer to types that follow.
    private mutating func declare(_ lines: [Substring.UTF8View]) {
        var package = ""
        var groupVersion = ""
        for line in lines where line.first != UInt8(ascii: " ") {
            let words = line.split(separator: UInt8(ascii: " ")).map { String(Substring($0)) }
            if words[0] == "package", words.count == 3 {
                (package, groupVersion) = (words[1], words[2])
                continue
            }
            let name = words[0].hasSuffix(":") ? String(words[0].dropLast()) : words[0]
            let isKind = words.count == 2 && words[1] == "kind"
            byName[name, default: []].append(types.count)
            types.append(
                SchemaType(
                    name: name, package: package, groupVersion: groupVersion, isKind: isKind, form: .structure([])))
        }
    }

    private mutating func define(_ words: [String], at index: Int) {
        if types[index].isKind {
            let typeMeta = ["apiVersion", "kind"].map { SchemaField(name: $0, type: .string) }
            types[index].form = .structure(typeMeta)
        } else if words[0].hasSuffix(":"), words.count > 1 {
            types[index].form =
                words[1] == "enum"
                ? .choice(Array(words.dropFirst(2))) : .alias(type(words[1], in: types[index].package))
        }
    }

    private mutating func add(field words: [String], to index: Int) {
        guard words.count >= 3, index >= 0, case .structure(var fields) = types[index].form else {
            faults.append("a field without number or type: \(words)")
            return
        }
        types[index].form = .structure([])  // so that the array is changed in place
        let isPointer = words[2].hasPrefix("*")
        var field = SchemaField(
            name: words[0], type: type(String(words[2].dropFirst(isPointer ? 1 : 0)), in: types[index].package))
        field.isPointer = isPointer
        field.numbers = words[1].split(separator: ".").compactMap { Int($0) }
        if field.numbers.isEmpty, words[1] != "-" { faults.append("\(words[0]): \(words[1]) is no protobuf number") }
        for mark in words.dropFirst(3) { add(mark: mark, to: &field) }
        fields.append(field)
        types[index].form = .structure(fields)
    }

    private mutating func add(mark: String, to field: inout SchemaField) {
        let value = mark.firstIndex(of: "=").map { String(mark[mark.index(after: $0)...]) }
        switch mark {
        case "!": field.isRequired = true
        case "set": field.listKind = .set
        case "atomic": field.isAtomicMap = true
        case "retainKeys": field.retainsKeys = true
        case "merge": field.merges = true
        case _ where mark.hasPrefix("merge="): (field.merges, field.mergeKey) = (true, value)
        case _ where mark.hasPrefix("map="):
            field.listKind = .map((value ?? "").split(separator: ",").map(String.init))
        case _ where mark.hasPrefix("=") || mark.hasPrefix("~"):
            guard let value = try? JSON(parsing: mark.utf8.dropFirst()) else { fallthrough }
            field.defaultValue = SchemaField.Default(value: value, replacesZero: mark.hasPrefix("~"))
        default: faults.append("\(field.name): unknown mark \(mark)")
        }
    }

    private mutating func type(_ text: String, in package: String) -> FieldType {
        if text.hasPrefix("[]") { return .list(type(String(text.dropFirst(2)), in: package)) }
        if text.hasPrefix("{}") { return .map(type(String(text.dropFirst(2)), in: package)) }
        if let scalar = Self.scalars[text] { return scalar }
        let candidates = byName[text] ?? []
        guard let index = candidates.first(where: { types[$0].package == package }) ?? candidates.first else {
            faults.append("unknown type \(text)")
            return .any
        }
        return .named(index)
    }

    private static let scalars: [String: FieldType] = [
        "string": .string, "bool": .bool, "int32": .int32, "int64": .int64, "float64": .double, "bytes": .bytes,
        "quantity": .quantity, "intOrString": .intOrString, "time": .time, "microTime": .microTime, "any": .any,
    ]

    /// The type of a kind's objects, by `apps/v1` and `Deployment`.
    func place(of kind: String, in groupVersion: String) -> Int? {
        byName[kind]?.first { types[$0].groupVersion == groupVersion && types[$0].isKind }
    }

    /// A type that is no kind, by `meta/v1` and `ObjectMeta`.
    func place(ofType name: String, in groupVersion: String) -> Int? {
        byName[name]?.first { types[$0].groupVersion == groupVersion }
    }

    /// Looks through aliases and choices.
    func resolved(_ type: FieldType) -> FieldType {
        guard case .named(let index) = type else { return type }
        return switch types[index].form {
        case .structure: type
        case .alias(let target): resolved(target)
        case .choice: .string
        }
    }

    /// For each type, by its place: whether it has such a field in it, at any depth. Walks that look for these fields
    /// pass by all else.
    func reach(_ isWanted: (SchemaField, SchemaTables) -> Bool) -> [Bool] {
        var found = types.map { type in type.fields.contains { isWanted(listed($0), self) } }
        var isGrowing = true
        while isGrowing {
            isGrowing = false
            for (place, type) in types.enumerated() where !found[place] {
                guard type.fields.contains(where: { element(of: $0.type).map { found[$0] } ?? false }) else { continue }
                found[place] = true
                isGrowing = true
            }
        }
        return found
    }

    /// A field with the type of its elements, when it is a list.
    private func listed(_ field: SchemaField) -> SchemaField {
        var field = field
        while case .list(let element) = field.type { field.type = element }
        return field
    }

    /// The place of the structure that a field holds, directly or in a list.
    func element(of type: FieldType) -> Int? {
        switch resolved(type) {
        case .named(let place): place
        case .list(let element): self.element(of: element)
        default: nil
        }
    }

    /// The structure that a field holds, directly or as an element.
    func structure(_ type: FieldType) -> SchemaType? {
        switch resolved(type) {
        case .named(let index): types[index]
        case .list(let element), .map(let element): structure(element)
        default: nil
        }
    }

    /// The type as Go writes it in messages: `[]v1.Container`.
    func goName(_ type: FieldType) -> String {
        switch type {
        case .string: "string"
        case .bool: "bool"
        case .int32: "int32"
        case .int64: "int64"
        case .double: "float64"
        case .bytes: "[]uint8"
        case .quantity: "resource.Quantity"
        case .intOrString: "intstr.IntOrString"
        case .time: "v1.Time"
        case .microTime: "v1.MicroTime"
        case .any: "runtime.RawExtension"
        case .list(let element): "[]\(goName(element))"
        case .map(let element): "map[string]\(goName(element))"
        case .named(let index):
            "\(types[index].groupVersion.split(separator: "/").last ?? "v1").\(types[index].name)"
        }
    }
}
