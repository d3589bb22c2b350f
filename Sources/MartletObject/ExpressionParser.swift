/// An expression as a tree.
indirect enum ExpressionTree: Sendable {
    case empty
    case set(ScalarSet)
    case anchor(Anchor)
    case sequence([ExpressionTree])
    case alternatives([ExpressionTree])
    /// `most` is nil for no bound.
    case repetition(ExpressionTree, least: Int, most: Int?, isLazy: Bool)
    /// A group whose place in the text is wanted; the first is 1.
    case group(ExpressionTree, number: Int)
}

/// Reads RE2's syntax.
struct ExpressionParser {
    private let text: String
    private let scalars: [Unicode.Scalar]
    private var place = 0
    private var depth = 0
    private var flags = Flags()
    /// How many groups have begun.
    private(set) var groups = 0

    private struct Flags {
        var ignoresCase = false
        var isLazy = false
        var isMultiline = false
        var dotTakesNewline = false
    }

    init(_ text: String) {
        self.text = text
        scalars = Array(text.unicodeScalars)
    }

    mutating func parse() throws(RegularExpressionError) -> ExpressionTree {
        let tree = try alternatives()
        if place < scalars.count { throw fault("unexpected )") }
        return tree
    }

    private func fault(_ what: String) -> RegularExpressionError {
        RegularExpressionError("error parsing regexp: \(what): `\(text)`")
    }

    private var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        if next != scalar { return false }
        place += 1
        return true
    }

    private mutating func take(_ word: String) -> Bool {
        let wanted = Array(word.unicodeScalars)
        guard scalars[place...].starts(with: wanted) else { return false }
        place += wanted.count
        return true
    }

    private mutating func alternatives() throws(RegularExpressionError) -> ExpressionTree {
        depth += 1
        defer { depth -= 1 }
        if depth > RegularExpression.maximumDepth { throw fault("expression nests too deeply") }
        var branches = [try sequence()]
        while take("|" as Unicode.Scalar) { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(RegularExpressionError) -> ExpressionTree {
        var parts: [ExpressionTree] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            if "*+?".unicodeScalars.contains(scalar) { throw fault("missing argument to repetition operator") }
            let atom = try atom()
            parts.append(try repeated(atom))
        }
        return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
    }

    private mutating func repeated(_ atom: ExpressionTree) throws(RegularExpressionError) -> ExpressionTree {
        guard let bounds = try repetition() else { return atom }
        let isLazy = take("?" as Unicode.Scalar) != flags.isLazy
        let after = place
        if try repetition() != nil {
            place = after
            throw fault("invalid nested repetition operator")
        }
        return .repetition(atom, least: bounds.least, most: bounds.most, isLazy: isLazy)
    }

    private mutating func repetition() throws(RegularExpressionError) -> (least: Int, most: Int?)? {
        if take("*" as Unicode.Scalar) { return (0, nil) }
        if take("+" as Unicode.Scalar) { return (1, nil) }
        if take("?" as Unicode.Scalar) { return (0, 1) }
        let start = place
        guard take("{" as Unicode.Scalar) else { return nil }
        // What does not have the form of a count stands for itself.
        guard let least = number() else {
            place = start
            return nil
        }
        var most: Int? = least
        if take("," as Unicode.Scalar) { most = number() }
        guard take("}" as Unicode.Scalar) else {
            place = start
            return nil
        }
        if least > 1000 || (most ?? 0) > 1000 || (most ?? least) < least { throw fault("invalid repeat count") }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var digits = ""
        while let scalar = next, ("0"..."9").contains(scalar), digits.utf8.count < 6 {
            digits.unicodeScalars.append(scalar)
            place += 1
        }
        return Int(digits)
    }

    private mutating func atom() throws(RegularExpressionError) -> ExpressionTree {
        guard let scalar = next else { return .empty }
        place += 1
        switch scalar {
        case "(": return try group()
        case "[": return .set(try brackets())
        case ".": return .set(flags.dotTakesNewline ? .any : .anyButNewline)
        case "^": return .anchor(flags.isMultiline ? .lineStart : .textStart)
        case "$": return .anchor(flags.isMultiline ? .lineEnd : .textEnd)
        case "\\": return try escape()
        default: return literal(scalar)
        }
    }

    private func literal(_ scalar: Unicode.Scalar) -> ExpressionTree {
        .set(ScalarSet(ranges: [scalar.value...scalar.value], ignoresCase: flags.ignoresCase))
    }

    // MARK: Groups

    private mutating func group() throws(RegularExpressionError) -> ExpressionTree {
        let outer = flags
        var number: Int?
        // `(?P<name>` and `(?<name>` are counted as `(` is; what else begins with `(?` is not.
        let isCounted = next != "?" || isNamed
        if isCounted {
            groups += 1
            number = groups
        }
        if take("?" as Unicode.Scalar), try !groupHead() { return .empty }
        let tree = try alternatives()
        guard take(")" as Unicode.Scalar) else { throw fault("missing closing )") }
        flags = outer
        return number.map { .group(tree, number: $0) } ?? tree
    }

    private var isNamed: Bool {
        let rest = scalars[place...]
        return rest.starts(with: "?P<".unicodeScalars) || rest.starts(with: "?<".unicodeScalars)
    }

    /// What follows `(?`. False for `(?i)`, which holds to the end of the group around it.
    private mutating func groupHead() throws(RegularExpressionError) -> Bool {
        if take("P<") || take("<") {
            if next == "=" || next == "!" { throw fault("invalid or unsupported Perl syntax") }
            while let scalar = next, scalar != ">" {
                guard ScalarSet.word.contains(scalar) else { throw fault("invalid named capture") }
                place += 1
            }
            guard take(">" as Unicode.Scalar) else { throw fault("invalid named capture") }
            return true
        }
        var isOn = true
        while let scalar = next {
            place += 1
            switch scalar {
            case "i": flags.ignoresCase = isOn
            case "m": flags.isMultiline = isOn
            case "s": flags.dotTakesNewline = isOn
            case "U": flags.isLazy = isOn
            case "-" where isOn: isOn = false
            case ":": return true
            case ")": return false
            default: throw fault("invalid or unsupported Perl syntax")
            }
        }
        throw fault("missing closing )")
    }

    // MARK: Escapes

    private mutating func escape() throws(RegularExpressionError) -> ExpressionTree {
        guard let scalar = next else { throw fault("trailing backslash at end of expression") }
        switch scalar {
        case "A": place += 1; return .anchor(.textStart)
        case "z": place += 1; return .anchor(.textEnd)
        case "b": place += 1; return .anchor(.wordBoundary)
        case "B": place += 1; return .anchor(.noWordBoundary)
        case "Q":
            place += 1
            var parts: [ExpressionTree] = []
            while let scalar = next, !take("\\E") {
                parts.append(literal(scalar))
                place += 1
            }
            return .sequence(parts)
        default:
            if var set = try classEscape() {
                set.ignoresCase = flags.ignoresCase
                return .set(set)
            }
            return literal(try scalarEscape())
        }
    }

    /// `\d`, `\pL` and their like; nil when what follows the backslash is none.
    private mutating func classEscape() throws(RegularExpressionError) -> ScalarSet? {
        guard let scalar = next else { return nil }
        let simple: [Unicode.Scalar: ScalarSet] = [
            "d": .digit, "D": ScalarSet.digit.inverted, "w": .word, "W": ScalarSet.word.inverted, "s": .space,
            "S": ScalarSet.space.inverted,
        ]
        if let set = simple[scalar] {
            place += 1
            return set
        }
        guard scalar == "p" || scalar == "P" else { return nil }
        place += 1
        var name = ""
        var isInverted = scalar == "P"
        if take("{" as Unicode.Scalar) {
            if take("^" as Unicode.Scalar) { isInverted.toggle() }
            while let scalar = next, scalar != "}" {
                name.unicodeScalars.append(scalar)
                place += 1
            }
            guard take("}" as Unicode.Scalar) else { throw fault("invalid character class range") }
        } else if let scalar = next {
            name.unicodeScalars.append(scalar)
            place += 1
        }
        if name == "Any" { return isInverted ? ScalarSet.any.inverted : .any }
        guard ScalarSet.knownCategories.contains(name) else {
            throw fault("the character class \\p{\(name)} is not known here")
        }
        return ScalarSet(categories: [name], isInverted: isInverted)
    }

    /// A scalar that is written with a backslash; the place is behind that.
    private mutating func scalarEscape() throws(RegularExpressionError) -> Unicode.Scalar {
        guard let scalar = next else { throw fault("trailing backslash at end of expression") }
        place += 1
        let controls: [Unicode.Scalar: UInt8] = ["a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11]
        if let control = controls[scalar] { return Unicode.Scalar(control) }
        if scalar == "x" { return try hexEscape() }
        if scalar == "0" {
            var value: UInt32 = 0
            for _ in 0..<2 {
                guard let digit = next, ("0"..."7").contains(digit) else { break }
                value = value * 8 + (digit.value - 0x30)
                place += 1
            }
            return Unicode.Scalar(value) ?? "\0"
        }
        let isPunctuation = scalar.isASCII && !ScalarSet.word.contains(scalar) || scalar == "_"
        guard isPunctuation else { throw fault("invalid escape sequence \\\(scalar)") }
        return scalar
    }

    private mutating func hexEscape() throws(RegularExpressionError) -> Unicode.Scalar {
        var digits = ""
        if take("{" as Unicode.Scalar) {
            while let scalar = next, scalar != "}", digits.utf8.count < 9 {
                digits.unicodeScalars.append(scalar)
                place += 1
            }
            guard take("}" as Unicode.Scalar) else { throw fault("invalid escape sequence") }
        } else {
            for _ in 0..<2 {
                if let scalar = next {
                    digits.unicodeScalars.append(scalar)
                    place += 1
                }
            }
            if digits.utf8.count != 2 { throw fault("invalid escape sequence") }
        }
        guard digits.utf8.first != UInt8(ascii: "+"), let value = UInt32(digits, radix: 16),
            let scalar = Unicode.Scalar(value)
        else { throw fault("invalid escape sequence") }
        return scalar
    }

    // MARK: Brackets

    private mutating func brackets() throws(RegularExpressionError) -> ScalarSet {
        var set = ScalarSet(ignoresCase: flags.ignoresCase)
        set.isInverted = take("^" as Unicode.Scalar)
        var isFirst = true
        while true {
            guard let scalar = next else { throw fault("missing closing ]") }
            if scalar == "]", !isFirst { break }
            isFirst = false
            if take("[:") {
                set.nested.append(try posixClass())
                continue
            }
            if scalar == "\\" {
                place += 1
                if let nested = try classEscape() {
                    set.nested.append(nested)
                    continue
                }
                place -= 1
            }
            let low = try bracketScalar()
            var high = low
            if next == "-", place + 1 < scalars.count, scalars[place + 1] != "]" {
                place += 1
                high = try bracketScalar()
            }
            guard low.value <= high.value else { throw fault("invalid character class range") }
            set.ranges.append(low.value...high.value)
        }
        place += 1
        return set
    }

    private mutating func bracketScalar() throws(RegularExpressionError) -> Unicode.Scalar {
        guard let scalar = next else { throw fault("missing closing ]") }
        place += 1
        return scalar == "\\" ? try scalarEscape() : scalar
    }

    private mutating func posixClass() throws(RegularExpressionError) -> ScalarSet {
        let isInverted = take("^" as Unicode.Scalar)
        var name = ""
        while let scalar = next, scalar != ":", name.utf8.count < 16 {
            name.unicodeScalars.append(scalar)
            place += 1
        }
        guard take(":]"), var set = Self.posix[name] else { throw fault("invalid character class range") }
        set.isInverted = isInverted
        return set
    }

    private static let posix: [String: ScalarSet] = [
        "alnum": ScalarSet(ranges: [0x30...0x39, 0x41...0x5A, 0x61...0x7A]),
        "alpha": ScalarSet(ranges: [0x41...0x5A, 0x61...0x7A]), "ascii": ScalarSet(ranges: [0...0x7F]),
        "blank": ScalarSet(ranges: [0x09...0x09, 0x20...0x20]),
        "cntrl": ScalarSet(ranges: [0...0x1F, 0x7F...0x7F]), "digit": .digit,
        "graph": ScalarSet(ranges: [0x21...0x7E]), "lower": ScalarSet(ranges: [0x61...0x7A]),
        "print": ScalarSet(ranges: [0x20...0x7E]),
        "punct": ScalarSet(ranges: [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E]),
        "space": ScalarSet(ranges: [0x09...0x0D, 0x20...0x20]), "upper": ScalarSet(ranges: [0x41...0x5A]),
        "word": .word, "xdigit": ScalarSet(ranges: [0x30...0x39, 0x41...0x46, 0x61...0x66]),
    ]
}

/// Makes a program of a tree.
struct ExpressionCompiler {
    private(set) var program: [Instruction] = []
    /// Whether the program notes where groups begin and end.
    let keepsGroups: Bool
    /// Parts met so far: repetitions of nothing would else take forever without growing the program.
    private var steps = 0

    init(keepsGroups: Bool) { self.keepsGroups = keepsGroups }

    mutating func append(_ instruction: Instruction) { program.append(instruction) }

    mutating func compile(_ tree: ExpressionTree) throws(RegularExpressionError) {
        steps += 1
        if max(program.count, steps) > RegularExpression.maximumProgram {
            throw RegularExpressionError("expression too large")
        }
        switch tree {
        case .empty: return
        case .set(let set): program.append(.consume(set))
        case .anchor(let anchor): program.append(.assert(anchor))
        case .sequence(let parts): for part in parts { try compile(part) }
        case .alternatives(let branches): try compile(branches: branches)
        case .repetition(let inner, let least, let most, let isLazy):
            try compile(inner, least: least, most: most, isLazy: isLazy)
        case .group(let inner, let number):
            if keepsGroups { program.append(.save(2 * number)) }
            try compile(inner)
            if keepsGroups { program.append(.save(2 * number + 1)) }
        }
    }

    private mutating func compile(branches: [ExpressionTree]) throws(RegularExpressionError) {
        var ends: [Int] = []
        for branch in branches.dropLast() {
            let split = program.count
            program.append(.match)
            try compile(branch)
            ends.append(program.count)
            program.append(.match)
            program[split] = .split(split + 1, program.count)
        }
        if let last = branches.last { try compile(last) }
        for end in ends { program[end] = .jump(program.count) }
    }

    private mutating func compile(
        _ inner: ExpressionTree, least: Int, most: Int?, isLazy: Bool
    ) throws(RegularExpressionError) {
        func split(_ place: Int) -> Instruction {
            isLazy ? .split(program.count, place + 1) : .split(place + 1, program.count)
        }
        for _ in 0..<least { try compile(inner) }
        guard let most else {
            let start = program.count
            program.append(.match)
            try compile(inner)
            program.append(.jump(start))
            program[start] = split(start)
            return
        }
        var starts: [Int] = []
        for _ in least..<max(least, most) {
            starts.append(program.count)
            program.append(.match)
            try compile(inner)
        }
        for start in starts { program[start] = split(start) }
    }
}
