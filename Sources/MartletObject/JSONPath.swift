/// A JSONPath as Kubernetes' printer columns use it: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`,
/// `.metadata.labels['app']`, `.spec.list[*].name`, `.spec.list[-1]`, `..name`.
public struct JSONPath: Sendable, Hashable {
    /// How many values one path may find; the rest is left out.
    static let maximumValues = 1000
    /// How long a path may be, in bytes.
    static let maximumLength = 4096

    private enum Step: Sendable, Hashable {
        case member(String)
        case wildcard
        case descendants
        case slice(from: Int?, to: Int?, by: Int)
        case element(Int)
        case union([String])
        case filter([String], Comparison, JSON?)
    }
    private enum Comparison: String, Sendable, Hashable {
        case exists = ""
        case equal = "=="
        case unequal = "!="
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case less = "<"
        case greater = ">"
    }
    private var steps: [Step] = []

    /// The path to the whole.
    init() {}

    /// Reads a path; nil when it is none.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.maximumLength else { return nil }
        var reader = Reader(Array(text.unicodeScalars))
        guard let steps = reader.steps() else { return nil }
        self.steps = steps
    }

    /// The values at the path, in document order.
    public func values(in object: JSON) -> [JSON] {
        var found = [object]
        for step in steps {
            var next: [JSON] = []
            for value in found {
                Self.follow(step, from: value, into: &next)
                if next.count > Self.maximumValues { break }
            }
            found = Array(next.prefix(Self.maximumValues))
        }
        return found
    }

    private static func follow(_ step: Step, from value: JSON, into found: inout [JSON]) {
        switch step {
        case .member(let name): if let member = value[name] { found.append(member) }
        case .union(let names): found += names.compactMap { value[$0] }
        case .wildcard: found += value.array ?? value.object.map { Array($0.values) } ?? []
        case .element(let index):
            if let list = value.array, let element = value[index < 0 ? index + list.count : index] {
                found.append(element)
            }
        case .slice(let from, let to, let by):
            guard let list = value.array else { return }
            func place(_ index: Int) -> Int { min(max(index < 0 ? index + list.count : index, 0), list.count) }
            let start = place(from ?? 0)
            let end = max(start, to.map(place) ?? list.count)
            found += stride(from: start, to: end, by: max(1, by)).map { list[$0] }
        case .filter(let path, let comparison, let wanted):
            found += (value.array ?? []).filter { holds($0, path, comparison, wanted) }
        case .descendants: descend(value, into: &found)
        }
    }

    private static func descend(_ value: JSON, into found: inout [JSON]) {
        if found.count > maximumValues { return }
        found.append(value)
        for element in value.array ?? value.object.map({ Array($0.values) }) ?? [] { descend(element, into: &found) }
    }

    private static func holds(_ element: JSON, _ path: [String], _ comparison: Comparison, _ wanted: JSON?) -> Bool {
        guard let value = path.reduce(element, { $0?[$1] }) else { return false }
        guard let wanted else { return true }
        switch comparison {
        case .exists: return true
        case .equal: return value == wanted
        case .unequal: return value != wanted
        default: break
        }
        let isLess: Bool
        if let one = value.number, let other = wanted.number {
            isLess = one < other
        } else if let one = value.string, let other = wanted.string {
            isLess = one < other
        } else {
            return false
        }
        return switch comparison {
        case .less: isLess
        case .lessOrEqual: isLess || value == wanted
        case .greater: !isLess && value != wanted
        default: !isLess
        }
    }

    private struct Reader {
        private let scalars: [Unicode.Scalar]
        private var place = 0

        init(_ scalars: [Unicode.Scalar]) {
            // A template's braces may stand around it.
            let isTemplate = scalars.first == "{" && scalars.last == "}" && scalars.count > 1
            self.scalars = isTemplate ? Array(scalars.dropFirst().dropLast()) : scalars
        }

        private var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

        private mutating func take(_ text: String) -> Bool {
            let wanted = Array(text.unicodeScalars)
            guard scalars[place...].starts(with: wanted) else { return false }
            place += wanted.count
            return true
        }

        private mutating func skipBlanks() { while take(" ") {} }

        mutating func steps() -> [Step]? {
            var steps: [Step] = []
            _ = take("$")
            while let scalar = next {
                switch scalar {
                case ".":
                    place += 1
                    if take(".") {
                        steps.append(.descendants)
                        if next == "[" { continue }
                    }
                    if next == nil, steps.isEmpty { return [] }
                    if next == "[" { continue }
                    guard let name = name() else { return nil }
                    steps.append(name == "*" ? .wildcard : .member(name))
                case "[":
                    place += 1
                    guard let step = brackets() else { return nil }
                    steps.append(step)
                default:
                    guard steps.isEmpty, let name = name() else { return nil }
                    steps.append(name == "*" ? .wildcard : .member(name))
                }
            }
            return steps
        }

        /// A member's name; a backslash takes the next scalar as it is.
        private mutating func name() -> String? {
            var name = ""
            while let scalar = next, scalar != ".", scalar != "[" {
                if [" ", "]", "(", ")", "{", "}", "|", "\"", "'", "?", "@", "="].contains(scalar) { return nil }
                place += 1
                if scalar == "\\" {
                    guard let escaped = next else { return nil }
                    name.unicodeScalars.append(escaped)
                    place += 1
                } else {
                    name.unicodeScalars.append(scalar)
                }
            }
            return name.isEmpty ? nil : name
        }

        private mutating func brackets() -> Step? {
            skipBlanks()
            if take("?(") { return filter() }
            if take("*") { return closed(.wildcard) }
            if next == "'" || next == "\"" {
                var names: [String] = []
                repeat {
                    skipBlanks()
                    guard let name = quoted() else { return nil }
                    names.append(name)
                    skipBlanks()
                } while take(",")
                return closed(names.count == 1 ? .member(names[0]) : .union(names))
            }
            let first = number()
            guard next == ":" else { return first.flatMap { closed(.element($0)) } }
            place += 1
            let last = number()
            var by = 1
            if take(":") {
                guard let number = number(), number > 0 else { return nil }
                by = number
            }
            return closed(.slice(from: first, to: last, by: by))
        }

        private mutating func closed(_ step: Step) -> Step? {
            skipBlanks()
            return take("]") ? step : nil
        }

        private mutating func number() -> Int? {
            var digits = ""
            if take("-") { digits = "-" }
            while let scalar = next, ("0"..."9").contains(scalar), digits.utf8.count < 10 {
                digits.unicodeScalars.append(scalar)
                place += 1
            }
            return Int(digits)
        }

        private mutating func quoted() -> String? {
            guard let quote = next, quote == "'" || quote == "\"" else { return nil }
            place += 1
            var text = ""
            while let scalar = next {
                place += 1
                if scalar == quote { return text }
                if scalar == "\\", let escaped = next {
                    text.unicodeScalars.append(escaped)
                    place += 1
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
            return nil
        }

        private mutating func filter() -> Step? {
            skipBlanks()
            guard take("@") else { return nil }
            var path: [String] = []
            while next == "." || next == "[" {
                place += 1
                if scalars[place - 1] == "[" {
                    guard let name = quoted(), take("]") else { return nil }
                    path.append(name)
                    continue
                }
                var name = ""
                while let scalar = next, ScalarSet.word.contains(scalar) || scalar == "-" || scalar == "/" {
                    name.unicodeScalars.append(scalar)
                    place += 1
                }
                if name.isEmpty { return nil }
                path.append(name)
            }
            skipBlanks()
            let operators = ["==", "!=", "<=", ">=", "<", ">"]
            guard let found = operators.first(where: { take($0) }), let comparison = Comparison(rawValue: found) else {
                return take(")") ? closed(.filter(path, .exists, nil)) : nil
            }
            skipBlanks()
            guard let wanted = literal() else { return nil }
            skipBlanks()
            return take(")") ? closed(.filter(path, comparison, wanted)) : nil
        }

        private mutating func literal() -> JSON? {
            if next == "'" || next == "\"" { return quoted().map(JSON.string) }
            var text = ""
            while let scalar = next, scalar != ")", scalar != " " {
                text.unicodeScalars.append(scalar)
                place += 1
            }
            switch text {
            case "true": return true
            case "false": return false
            default:
                if let whole = Int64(text) { return .int(whole) }
                return Double(text).flatMap { $0.isFinite ? .double($0) : nil }
            }
        }
    }
}

extension JSON {
    /// The number, whole or not, if this is one.
    var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}
