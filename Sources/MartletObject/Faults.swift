/// Faults as they are found, with Kubernetes' words.
struct Faults {
    private(set) var list: [FieldError] = []

    private mutating func add(_ reason: FieldError.Reason, _ path: String, _ kind: String, _ detail: String) {
        list.append(FieldError(reason, field: path, message: detail.isEmpty ? kind : "\(kind): \(detail)"))
    }

    /// Adds faults that were found elsewhere.
    mutating func add(_ faults: [FieldError]) { list += faults }
    mutating func tooMany(_ path: String, _ count: Int, most: Int) {
        add(.tooMany, path, "Too many: \(count)", "must have at most \(most) items")
    }
    mutating func required(_ path: String, _ detail: String = "") { add(.required, path, "Required value", detail) }
    mutating func forbidden(_ path: String, _ detail: String) { add(.forbidden, path, "Forbidden", detail) }
    mutating func duplicate(_ path: String, _ value: JSON) {
        add(.duplicate, path, "Duplicate value: \(Self.shown(value))", "")
    }
    mutating func notFound(_ path: String, _ value: JSON) {
        add(.notFound, path, "Not found: \(Self.shown(value))", "")
    }
    mutating func invalid(_ path: String, _ value: JSON, _ detail: String) {
        add(.invalid, path, "Invalid value: \(Self.shown(value))", detail)
    }
    mutating func tooLong(_ path: String, bytes: Int) {
        add(.tooLong, path, "Too long", "may not be more than \(bytes) bytes")
    }
    mutating func notSupported(_ path: String, _ value: JSON, _ supported: [String]) {
        let list = supported.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        add(.notSupported, path, "Unsupported value: \(Self.shown(value))", "supported values: \(list)")
    }

    /// Values are shown as JSON.
    private static func shown(_ value: JSON) -> String { String(decoding: value.encoded(), as: UTF8.self) }

    // MARK: Checks that many fields share. Paths are made for faults only: most checks find none.

    /// Adds a fault when `check` finds one.
    mutating func name(_ path: @autoclosure () -> String, _ value: String, _ check: (String) -> String?) {
        if let fault = check(value) { invalid(path(), .string(value), fault) }
    }

    mutating func notNegative(_ path: @autoclosure () -> String, _ value: JSON?) {
        if let value, let number = value.int, number < 0 {
            invalid(path(), value, "must be greater than or equal to 0")
        }
    }

    /// A count, or a share like `25%`. Returns whether it is nothing at all.
    @discardableResult
    mutating func share(_ path: @autoclosure () -> String, _ value: JSON) -> Bool {
        guard let percent = value.string else {
            notNegative(path(), value)
            return value == 0
        }
        guard percent.hasSuffix("%"), let number = Int(percent.dropLast()), number >= 0 else {
            invalid(
                path(), value,
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                    + "regex used for validation is '[0-9]+%')")
            return false
        }
        return number == 0
    }

    /// A fault without a value to show.
    mutating func invalid(_ path: String, _ detail: String) { add(.invalid, path, "Invalid value", detail) }

    mutating func immutable(_ path: @autoclosure () -> String, _ value: JSON?, _ old: JSON?) {
        let (value, old) = (value ?? .null, old ?? .null)
        if value != old { invalid(path(), value, "field is immutable") }
    }

    mutating func portNumber(_ path: @autoclosure () -> String, _ value: Int) {
        if !(1...65_535).contains(value) {
            invalid(path(), .int(Int64(value)), "must be between 1 and 65535, inclusive")
        }
    }

    /// A port's number, or the name of one.
    mutating func port(_ path: @autoclosure () -> String, _ value: JSON) {
        if let number = value.int { portNumber(path(), number) }
        if let text = value.string { for fault in Names.portNameFaults(text) { invalid(path(), value, fault) } }
    }

    mutating func labels(_ path: @autoclosure () -> String, _ labels: JSON?) {
        for (key, value) in labels?.object ?? [:] {
            name(path(), key, Names.qualifiedNameFault)
            name(path(), value.string ?? "", Names.labelValueFault)
        }
    }

    /// `matchLabels` and `matchExpressions`.
    mutating func selector(_ path: @autoclosure () -> String, _ selector: JSON) {
        labels("\(path()).matchLabels", selector["matchLabels"])
        for (index, expression) in (selector["matchExpressions"]?.array ?? []).enumerated() {
            let path = "\(path()).matchExpressions[\(index)]"
            name("\(path).key", expression["key"]?.string ?? "", Names.qualifiedNameFault)
            let isEmpty = expression["values"]?.array?.isEmpty ?? true
            switch expression["operator"] {
            case "In", "NotIn":
                if isEmpty {
                    required("\(path).values", "must be specified when `operator` is 'In' or 'NotIn'")
                }
            case "Exists", "DoesNotExist":
                if !isEmpty {
                    forbidden("\(path).values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
                }
            case let other: invalid("\(path).operator", other ?? "", "not a valid selector operator")
            }
        }
    }

    /// Values of closed types: every field that the tables call a choice.
    mutating func choices(_ object: JSON, kind: ResourceKind) {
        let tables = SchemaTables.all
        guard let place = tables.place(of: kind.kind, in: kind.apiVersion) else { return }
        choices(object, .named(place), tables) { "" }
    }

    /// By the types' places: the fields that are choices, or have some in them at any depth.
    private static let choiceFields: [[(name: String, type: FieldType)]] = {
        let tables = SchemaTables.all
        let haveChoices = tables.reach { field, tables in
            if case .named(let place) = field.type, case .choice = tables.types[place].form { true } else { false }
        }
        func hasChoices(_ type: FieldType) -> Bool {
            switch type {
            case .list(let element): return hasChoices(element)
            case .named(let place):
                switch tables.types[place].form {
                case .structure: return haveChoices[place]
                case .alias(let target): return hasChoices(target)
                case .choice: return true
                }
            default: return false
            }
        }
        return tables.types.enumerated().map { place, type in
            haveChoices[place] ? type.fields.filter { hasChoices($0.type) }.map { ($0.name, $0.type) } : []
        }
    }()

    /// Every field that the tables call required.
    mutating func requiredFields(_ object: JSON, kind: ResourceKind) {
        let tables = SchemaTables.all
        guard let place = tables.place(of: kind.kind, in: kind.apiVersion) else { return }
        requiredFields(object, .named(place), tables, "")
    }

    private mutating func requiredFields(_ value: JSON, _ type: FieldType, _ tables: SchemaTables, _ path: String) {
        switch (tables.resolved(type), value) {
        case (.named(let place), .object(let members)):
            for field in tables.types[place].fields where field.name != "status" {
                let path = path.isEmpty ? field.name : "\(path).\(field.name)"
                if let member = members[field.name] {
                    requiredFields(member, field.type, tables, path)
                } else if field.isRequired {
                    required(path)
                }
            }
        case (.list(let element), .array(let elements)):
            for (index, value) in elements.enumerated() { requiredFields(value, element, tables, "\(path)[\(index)]") }
        default: return
        }
    }

    private mutating func choices(_ value: JSON, _ type: FieldType, _ tables: SchemaTables, _ path: () -> String) {
        switch type {
        case .named(let place):
            switch tables.types[place].form {
            case .structure:
                guard case .object(let members) = value else { return }
                for (name, type) in Self.choiceFields[place] {
                    guard let member = members[name] else { continue }
                    choices(member, type, tables) {
                        let parent = path()
                        return parent.isEmpty ? name : "\(parent).\(name)"
                    }
                }
            case .alias(let target): choices(value, target, tables, path)
            case .choice(let supported):
                // Selector operators have words of their own.
                if let text = value.string, !text.isEmpty, !supported.contains(text),
                    tables.types[place].name != "LabelSelectorOperator"
                {
                    notSupported(path(), value, supported)
                }
            }
        case .list(let element):
            for (index, value) in (value.array ?? []).enumerated() {
                choices(value, element, tables) { "\(path())[\(index)]" }
            }
        default: return
        }
    }
}
