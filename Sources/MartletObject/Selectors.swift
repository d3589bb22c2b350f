/// A label selector: all requirements must hold.
public struct LabelSelector: Sendable, Hashable {
    private enum Test: Sendable, Hashable {
        case exists
        case absent
        case isIn([String])
        case notIn([String])
        case greater(Int)
        case less(Int)
    }
    private struct Requirement: Sendable, Hashable {
        var key: String
        var test: Test
    }
    private var requirements: [Requirement] = []
    private var selectsNothing = false

    /// Selects everything.
    public init() {}

    /// Selects objects that have all these labels.
    public init(labels: [String: String]) {
        requirements = labels.sorted { $0.key < $1.key }.map { Requirement(key: $0.key, test: .isIn([$0.value])) }
    }

    /// Reads the form of URLs: `app=web,tier in (a,b),!legacy,x!=y`.
    /// - Throws: ``SelectorError``.
    public init(parsing text: String) throws(SelectorError) {
        var reader = SelectorReader(text)
        if reader.peek == "" { return }
        while true {
            requirements.append(try Self.requirement(from: &reader))
            let token = reader.next()
            if token == "" { return }
            guard token == "," else { throw reader.expected("',' or 'end of string'", found: token) }
            if reader.peek == "" { throw reader.expected("identifier after ','", found: "") }
        }
    }

    private static func requirement(from reader: inout SelectorReader) throws(SelectorError) -> Requirement {
        var key = reader.next()
        if key == "!" {
            key = reader.next()
            try checkKey(key)
            return Requirement(key: key, test: .absent)
        }
        guard !SelectorReader.isSymbol(key), key != "" else {
            throw reader.expected("!, identifier, or ','", found: key)
        }
        try checkKey(key)
        if reader.peek == "" || reader.peek == "," { return Requirement(key: key, test: .exists) }
        let operation = reader.next()
        switch operation {
        case "=", "==": return Requirement(key: key, test: .isIn([try reader.value()]))
        case "!=": return Requirement(key: key, test: .notIn([try reader.value()]))
        case "in": return Requirement(key: key, test: .isIn(try reader.values()))
        case "notin": return Requirement(key: key, test: .notIn(try reader.values()))
        case ">", "<":
            let text = try reader.value()
            guard let number = Int(text) else {
                throw SelectorReader.fault("values[0]", text, "for 'Gt', 'Lt' operators, the value must be an integer")
            }
            return Requirement(key: key, test: operation == ">" ? .greater(number) : .less(number))
        default: throw reader.expected("in, notin, =, ==, !=, gt, lt", found: operation)
        }
    }

    private static func checkKey(_ key: String) throws(SelectorError) {
        if let fault = Names.qualifiedNameFault(key) { throw SelectorReader.fault("key", key, fault) }
    }

    /// Reads a LabelSelector object (`matchLabels`, `matchExpressions`); null selects nothing.
    /// - Throws: ``SelectorError``.
    public init(object: JSON) throws(SelectorError) {
        self.init(labels: object["matchLabels"]?.stringMap ?? [:])
        selectsNothing = object == .null
        for expression in object["matchExpressions"]?.array ?? [] {
            let key = expression["key"]?.string ?? ""
            let values = (expression["values"]?.array ?? []).compactMap(\.string)
            let test: Test
            switch expression["operator"]?.string {
            case "In": test = .isIn(values)
            case "NotIn": test = .notIn(values)
            case "Exists": test = .exists
            case "DoesNotExist": test = .absent
            case let other: throw SelectorError("\"\(other ?? "")\" is not a valid label selector operator")
            }
            switch test {
            case .isIn([]), .notIn([]):
                throw SelectorError("for 'in', 'notin' operators, values set can't be empty")
            default: requirements.append(Requirement(key: key, test: test))
            }
        }
    }

    /// Whether nothing is asked, so that every object is selected.
    public var isEmpty: Bool { requirements.isEmpty && !selectsNothing }

    /// Whether an object with these labels is selected.
    public func matches(_ labels: [String: String]) -> Bool {
        if selectsNothing { return false }
        return requirements.allSatisfy { requirement in
            let value = labels[requirement.key]
            switch requirement.test {
            case .exists: return value != nil
            case .absent: return value == nil
            case .isIn(let values): return value.map(values.contains) ?? false
            case .notIn(let values): return value.map { !values.contains($0) } ?? true
            case .greater(let bound): return value.flatMap { Int($0) }.map { $0 > bound } ?? false
            case .less(let bound): return value.flatMap { Int($0) }.map { $0 < bound } ?? false
            }
        }
    }
}

extension LabelSelector: CustomStringConvertible {
    /// The form of URLs; reads back as the same selector, unless it selects nothing.
    public var description: String {
        requirements.map { requirement in
            let key = requirement.key
            return switch requirement.test {
            case .exists: key
            case .absent: "!\(key)"
            case .isIn(let values):
                values.count == 1 ? "\(key)=\(values[0])" : "\(key) in (\(values.joined(separator: ",")))"
            case .notIn(let values):
                values.count == 1 ? "\(key)!=\(values[0])" : "\(key) notin (\(values.joined(separator: ",")))"
            case .greater(let bound): "\(key)>\(bound)"
            case .less(let bound): "\(key)<\(bound)"
            }
        }.joined(separator: ",")
    }
}

/// Cuts a label selector into tokens: symbols, words, and the empty token at the end.
private struct SelectorReader {
    private var tokens: [String] = []
    private var position = 0

    init(_ text: String) {
        var word: [UInt8] = []
        var symbol: [UInt8] = []
        func flush(_ bytes: inout [UInt8], to tokens: inout [String]) {
            if !bytes.isEmpty { tokens.append(String(decoding: bytes, as: UTF8.self)) }
            bytes = []
        }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "="), UInt8(ascii: "!"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: ","),
                UInt8(ascii: "("), UInt8(ascii: ")"):
                flush(&word, to: &tokens)
                // Two bytes make one symbol in `==` and `!=` only.
                let joins = byte == UInt8(ascii: "=") && (symbol == Array("=".utf8) || symbol == Array("!".utf8))
                if !joins { flush(&symbol, to: &tokens) }
                symbol.append(byte)
            case 0x20, 0x09, 0x0A, 0x0D:
                flush(&word, to: &tokens)
                flush(&symbol, to: &tokens)
            default:
                flush(&symbol, to: &tokens)
                word.append(byte)
            }
        }
        flush(&word, to: &tokens)
        flush(&symbol, to: &tokens)
    }

    static func isSymbol(_ token: String) -> Bool {
        ["=", "==", "!=", "!", "<", ">", ",", "(", ")"].contains(token)
    }

    var peek: String { position < tokens.count ? tokens[position] : "" }

    mutating func next() -> String {
        defer { position += 1 }
        return peek
    }

    /// One value; nothing before a comma or the end is the empty value.
    mutating func value() throws(SelectorError) -> String {
        if peek == "" || peek == "," { return "" }
        let token = next()
        if Self.isSymbol(token) { throw expected("identifier", found: token) }
        try check(token)
        return token
    }

    /// Values in parentheses.
    mutating func values() throws(SelectorError) -> [String] {
        let opening = next()
        guard opening == "(" else { throw expected("'('", found: opening) }
        var values: [String] = []
        while true {
            var token = next()
            if token == "," || token == ")" {
                values.append("")
            } else {
                if token == "" || Self.isSymbol(token) { throw expected("',', ')' or identifier", found: token) }
                try check(token)
                values.append(token)
                token = next()
            }
            if token == ")" { return Array(Set(values)).sorted() }
            guard token == "," else { throw expected("',' or ')'", found: token) }
        }
    }

    private func check(_ value: String) throws(SelectorError) {
        if let fault = Names.labelValueFault(value) {
            throw Self.fault("values", value, fault)
        }
    }

    static func fault(_ field: String, _ value: String, _ why: String) -> SelectorError {
        SelectorError("unable to parse requirement: \(field): Invalid value: \"\(value)\": \(why)")
    }

    func expected(_ what: String, found: String) -> SelectorError {
        SelectorError("unable to parse requirement: found '\(found)', expected: \(what)")
    }
}

/// A selector that cannot be read.
public struct SelectorError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}
