internal import MartletBase
internal import OrderedCollections

/// Holds values against structural schemas, with the words of Kubernetes' validation of custom resources.
struct StructuralValidator {
    private(set) var faults: [FieldError] = []

    /// What is wrong with an object of a custom kind.
    /// - Parameter old: the object before a change. A part of it that has not changed is let be, also when it was
    ///   wrong before: the schema came to say so later (KEP-4008).
    static func faults(of object: JSON, from old: JSON? = nil, _ schema: StructuralSchema) -> [FieldError] {
        var validator = StructuralValidator()
        // Metadata has rules of its own, and a schema may only narrow names.
        validator.check(object, from: old, schema, at: "", isRoot: true)
        if let old {
            var before = StructuralValidator()
            before.checkLists(old, schema, at: "")
            // As upstream: where there was one element twice, there may be others.
            if !before.faults.isEmpty { return validator.faults }
        }
        validator.checkLists(object, schema, at: "")
        return validator.faults
    }

    private mutating func add(_ reason: FieldError.Reason, _ path: String, _ message: String) {
        faults.append(FieldError(reason, field: path.isEmpty ? "<nil>" : path, message: message))
    }

    private mutating func invalid(_ path: String, _ value: JSON, _ why: String) {
        add(.invalid, path, "Invalid value: \(Self.shown(value)): \(path) in body \(why)")
    }

    private static func shown(_ value: JSON) -> String { String(decoding: value.encoded(), as: UTF8.self) }

    private static func child(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    // MARK: Types

    private mutating func check(
        _ value: JSON, from old: JSON? = nil, _ schema: StructuralSchema, at path: String, isRoot: Bool = false
    ) {
        if let old, old == value { return }
        if value == .null {
            if !schema.isNullable, schema.type != nil || schema.isIntOrString { wrongType(value, schema, at: path) }
            return
        }
        if !Self.fits(value, schema) { wrongType(value, schema, at: path) }
        combine(value, schema, at: path)
        switch value {
        case .string(let text): checkText(text, schema.rules, at: path)
        case .int, .double: checkNumber(value, schema.rules, at: path)
        case .array(let elements): checkElements(elements, from: old?.array, schema, at: path)
        case .object(let members): checkMembers(members, from: old, schema, at: path, isRoot: isRoot)
        default: break
        }
        if let choices = schema.rules.choices, !choices.contains(value) {
            let list = choices.map { $0.string.map { "\"\($0)\"" } ?? "\"\(Self.shown($0))\"" }
            let known = list.joined(separator: ", ")
            add(.notSupported, path, "Unsupported value: \(Self.shown(value)): supported values: \(known)")
        }
    }

    private mutating func wrongType(_ value: JSON, _ schema: StructuralSchema, at path: String) {
        let wanted = schema.isIntOrString ? "integer,string" : schema.type?.rawValue ?? ""
        let given = Self.typeName(value)
        add(
            .typeInvalid, path,
            "Invalid value: \"\(given)\": \(path) in body must be of type \(wanted): \"\(given)\"")
    }

    private static func fits(_ value: JSON, _ schema: StructuralSchema) -> Bool {
        if schema.isIntOrString { return value.string != nil || isWhole(value) }
        guard let type = schema.type else { return true }
        return switch type {
        case .object: value.object != nil
        case .array: value.array != nil
        case .string: value.string != nil
        case .integer: isWhole(value)
        case .number: value.number != nil
        case .boolean: value.bool != nil
        }
    }

    private static func isWhole(_ value: JSON) -> Bool {
        guard let number = value.number else { return false }
        return number == number.rounded()
    }

    private static func typeName(_ value: JSON) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .int: "integer"
        case .double: isWhole(value) ? "integer" : "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    // MARK: Values

    private mutating func checkText(_ text: String, _ rules: ValueRules, at path: String) {
        let count = text.unicodeScalars.count
        if let most = rules.maxLength, count > most {
            add(.tooLong, path, "Too long: may not be more than \(most) bytes")
        }
        if let least = rules.minLength, count < least {
            invalid(path, .string(text), "should be at least \(least) chars long")
        }
        if let pattern = rules.pattern, !pattern.expression.matches(text) {
            invalid(path, .string(text), "should match '\(pattern.text)'")
        }
        if let format = rules.format, !TextFormat.holds(text, format) {
            let shown = Self.shown(.string(text))
            add(.typeInvalid, path, "Invalid value: \(shown): \(path) in body must be of type \(format): \(shown)")
        }
    }

    private mutating func checkNumber(_ value: JSON, _ rules: ValueRules, at path: String) {
        guard let number = value.number else { return }
        if let limit = rules.maximum, let most = limit.number {
            if rules.isMaximumExclusive, number >= most {
                invalid(path, value, "should be less than \(Self.shown(limit))")
            } else if number > most {
                invalid(path, value, "should be less than or equal to \(Self.shown(limit))")
            }
        }
        if let limit = rules.minimum, let least = limit.number {
            if rules.isMinimumExclusive, number <= least {
                invalid(path, value, "should be greater than \(Self.shown(limit))")
            } else if number < least {
                invalid(path, value, "should be greater than or equal to \(Self.shown(limit))")
            }
        }
        if let factor = rules.multipleOf, let step = factor.number, step > 0 {
            let times = number / step
            if times != times.rounded() { invalid(path, value, "should be a multiple of \(Self.shown(factor))") }
        }
        if rules.format == "int32", Int32(exactly: number) == nil {
            invalid(path, value, "should be a int32 integer")
        }
    }

    private mutating func checkElements(
        _ elements: [JSON], from old: [JSON]?, _ schema: StructuralSchema, at path: String
    ) {
        if let items = schema.items {
            let before = Self.byKey(old, schema)
            for (index, element) in elements.enumerated() {
                let key = before.isEmpty ? nil : Self.listKey(of: element, schema)
                check(element, from: key.flatMap { before[$0] }, items, at: "\(path)[\(index)]")
            }
        }
        if let least = schema.rules.minItems, elements.count < least {
            invalid(path, .int(Int64(elements.count)), "should have at least \(least) items")
        }
        if let most = schema.rules.maxItems, elements.count > most {
            add(.tooMany, path, "Too many: \(elements.count): must have at most \(most) items")
        }
        if schema.rules.hasUniqueItems, Set(elements).count < elements.count {
            invalid(path, .null, "shouldn't contain duplicates")
        }
    }

    private mutating func checkMembers(
        _ members: JSON.Members, from old: JSON?, _ schema: StructuralSchema, at path: String, isRoot: Bool
    ) {
        if let most = schema.rules.maxProperties, members.count > most {
            add(.tooMany, path, "Too many: \(members.count): must have at most \(most) items")
        }
        if let least = schema.rules.minProperties, members.count < least {
            invalid(path, .int(Int64(members.count)), "should have at least \(least) properties")
        }
        for name in schema.rules.required where members[name] == nil {
            add(.required, Self.child(path, name), "Required value")
        }
        if schema.isEmbeddedResource, !isRoot {
            for name in ["apiVersion", "kind"] where (members[name]?.string ?? "").isEmpty {
                add(.required, Self.child(path, name), "Required value: must not be empty")
            }
        }
        for (name, value) in members {
            if isRoot, name == "metadata" {
                checkNames(value, schema.properties["metadata"])
            } else if let known = schema.properties[name] {
                check(value, from: old?[name], known, at: Self.child(path, name))
            } else if case .values(let values) = schema.additional {
                check(value, from: old?[name], values, at: Self.child(path, name))
            }
        }
    }

    /// Of the metadata a schema can narrow the names only.
    private mutating func checkNames(_ metadata: JSON, _ schema: StructuralSchema?) {
        for name in ["name", "generateName"] {
            if let rule = schema?.properties[name], let value = metadata[name] {
                check(value, rule, at: "metadata.\(name)")
            }
        }
    }

    // MARK: Combinations

    private mutating func combine(_ value: JSON, _ schema: StructuralSchema, at path: String) {
        let rules = schema.rules
        if rules.allOf.isEmpty, rules.anyOf.isEmpty, rules.oneOf.isEmpty, rules.not == nil { return }
        // Each alternative is looked at once: nested ones would else take time that doubles with each level.
        let all = rules.allOf.map { Self.faults(of: value, $0, at: path) }
        faults += all.flatMap(\.self)
        if !all.allSatisfy(\.isEmpty) { combination(path, "must validate all the schemas (allOf)") }
        let any = rules.anyOf.map { Self.faults(of: value, $0, at: path) }
        if !any.isEmpty, !any.contains(where: \.isEmpty) {
            combination(path, "must validate at least one schema (anyOf)")
            faults += Self.nearest(any)
        }
        let one = rules.oneOf.map { Self.faults(of: value, $0, at: path) }
        if !one.isEmpty {
            let count = one.count(where: \.isEmpty)
            if count == 0 {
                combination(path, "must validate one and only one schema (oneOf). Found none valid")
                faults += Self.nearest(one)
            } else if count > 1 {
                combination(path, "must validate one and only one schema (oneOf). Found \(count) valid alternatives")
            }
        }
        if let not = rules.not, Self.faults(of: value, not, at: path).isEmpty {
            combination(path, "must not validate the schema (not)")
        }
    }

    private mutating func combination(_ path: String, _ why: String) {
        add(.invalid, "", "Invalid value: \"\": \"\(path)\" \(why)")
    }

    /// Of several alternatives that all fail, the faults of the one that fails least.
    private static func nearest(_ all: [[FieldError]]) -> [FieldError] { all.min { $0.count < $1.count } ?? [] }

    private static func faults(of value: JSON, _ schema: StructuralSchema, at path: String) -> [FieldError] {
        var validator = StructuralValidator()
        validator.check(value, schema, at: path)
        return validator.faults
    }

    // MARK: Lists

    /// Elements of sets and maps are there once.
    private mutating func checkLists(_ value: JSON, _ schema: StructuralSchema, at path: String) {
        switch value {
        case .object(let members):
            for (name, member) in members {
                if let known = schema.properties[name] {
                    checkLists(member, known, at: Self.child(path, name))
                } else if case .values(let values) = schema.additional {
                    checkLists(member, values, at: "\(path)[\(name)]")
                }
            }
        case .array(let elements):
            var seen: Set<JSON> = []
            for (index, element) in elements.enumerated() {
                let place = "\(path)[\(index)]"
                if let key = Self.listKey(of: element, schema), !seen.insert(key).inserted {
                    add(.duplicate, place, "Duplicate value: \(Self.shown(key))")
                }
                if let items = schema.items { checkLists(element, items, at: place) }
            }
        default: return
        }
    }

    /// The elements of a list of type map by their keys: those of other lists cannot be known again after a change.
    private static func byKey(_ elements: [JSON]?, _ schema: StructuralSchema) -> [JSON: JSON] {
        guard let elements, case .map = schema.listType else { return [:] }
        let pairs = elements.compactMap { element in listKey(of: element, schema).map { ($0, element) } }
        return Dictionary(pairs) { first, _ in first }
    }

    private static func listKey(of element: JSON, _ schema: StructuralSchema) -> JSON? {
        switch schema.listType {
        case .atomic: return nil
        case .set: return element
        case .map(let keys):
            guard element.object != nil else { return nil }
            var key: JSON = [:]
            for name in keys { key[name] = element[name] ?? schema.items?.properties[name]?.defaultValue }
            return key
        }
    }
}

/// The formats of text that are checked; text of any other format is taken as it is.
enum TextFormat {
    static func holds(_ text: String, _ format: String) -> Bool {
        switch format {
        case "date-time", "datetime": WallTime(rfc3339: text) != nil
        case "date": WallTime(rfc3339: text + "T00:00:00Z") != nil
        case "byte": Base64.fault(text) == nil
        case "ipv4": Names.isIPv4(text)
        case "ipv6": Names.isIPv6(text)
        case "cidr": isCIDR(text)
        case "mac": matches(text, mac)
        case "uuid": matches(text, uuid)
        case "uuid3": matches(text, uuid) && version(text) == "3"
        case "uuid4": matches(text, uuid) && version(text) == "4"
        case "uuid5": matches(text, uuid) && version(text) == "5"
        case "email": isEmail(text)
        case "hostname": matches(text, hostName)
        case "uri": text.hasPrefix("/") || matches(text, uri)
        case "duration": matches(text, duration)
        case "hexcolor": matches(text, hexColor)
        default: true
        }
    }

    private static let mac = try? RegularExpression("^([0-9A-Fa-f]{2}[:-]){5}([0-9A-Fa-f]{2}[:-]?){0,2}[0-9A-Fa-f]{2}$")
    private static let uuid = try? RegularExpression(
        "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
    private static let hostName = try? RegularExpression("^\(label)(\\.\(label))*$")
    private static let label = "[a-zA-Z0-9\\p{L}]([-a-zA-Z0-9\\p{L}]{0,61}[a-zA-Z0-9\\p{L}])?"
    private static let uri = try? RegularExpression("^[a-zA-Z][a-zA-Z0-9+.-]*:[^\\s]+$")
    private static let duration = try? RegularExpression(
        "^(0|[-+]?(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)\\s*(\(units))\\s*)+)$")
    private static let units =
        "ns|us|µs|μs|ms|s|m|h|d|w|nano(s(econds?)?)?|micro(s(econds?)?)?|milli(s(econds?)?)?|sec(onds?)?|min(utes?)?|"
        + "hours?|hrs?|days?|weeks?|wks?"
    private static let hexColor = try? RegularExpression("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")

    private static func matches(_ text: String, _ form: RegularExpression?) -> Bool { form?.matches(text) ?? true }

    private static func version(_ uuid: String) -> Character? { uuid.filter { $0 != "-" }.dropFirst(12).first }

    private static func isEmail(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty && !$0.contains(" ") }
    }

    private static func isCIDR(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let bits = Int(parts[1]), parts[1].utf8.count <= 3 else { return false }
        if Names.isIPv4(parts[0]) { return (0...32).contains(bits) }
        return Names.isIPv6(parts[0]) && (0...128).contains(bits)
    }
}
