/// A regular expression in the syntax of RE2 (Go's `regexp`), matched in time linear in the text: the program's
/// threads step through the text side by side (Thompson, Pike), so that no expression can make a match explode.
public struct RegularExpression: Sendable, Hashable {
    /// The largest program: how much repetitions may unfold to.
    public static let maximumProgram = 10_000
    /// How deep groups may nest.
    public static let maximumDepth = 200

    let program: [Instruction]
    /// How many groups it has, when it keeps them.
    let groups: Int

    /// Reads an expression.
    /// - Parameter keepsGroups: whether ``firstMatch(in:)`` shall tell where groups matched; costs a little.
    /// - Throws: ``RegularExpressionError`` for what is no expression, is too large, or has a construct that is not
    ///   known here.
    public init(_ text: String, keepsGroups: Bool = false) throws(RegularExpressionError) {
        var parser = ExpressionParser(text)
        let tree = try parser.parse()
        var compiler = ExpressionCompiler(keepsGroups: keepsGroups)
        groups = keepsGroups ? parser.groups : 0
        try compiler.compile(tree)
        compiler.append(.match)
        guard compiler.program.count <= Self.maximumProgram else {
            throw RegularExpressionError("expression too large")
        }
        program = compiler.program
    }

    /// How many steps one match may take: enough for any expression on texts of usual length, and for usual
    /// expressions on the longest.
    public static let maximumSteps = 50_000_000

    /// Whether the expression matches somewhere in the text. False, too, when that cannot be found out in
    /// ``maximumSteps``: a large expression on a very long text.
    public func matches(_ text: String) -> Bool { test(text) ?? false }

    /// Whether the expression matches somewhere in the text; nil when that cannot be found out in so many steps.
    public func test(_ text: String, steps most: Int = maximumSteps) -> Bool? {
        var current = ThreadSet(count: program.count)
        var next = ThreadSet(count: program.count)
        var before: Unicode.Scalar?
        var iterator = text.unicodeScalars.makeIterator()
        var scalar = iterator.next()
        var steps = 0
        while steps < most {
            steps += current.members.count + 1
            // A match may begin at any place.
            if follow(0, from: &current, before: before, after: scalar) { return true }
            guard let here = scalar else { return false }
            let after = iterator.next()
            next.removeAll()
            for place in current.members {
                guard case .consume(let set) = program[place], set.contains(here) else { continue }
                if follow(place + 1, from: &next, before: here, after: after) { return true }
            }
            swap(&current, &next)
            before = here
            scalar = after
        }
        return nil
    }

    /// Adds the instruction and all that it leads to without taking a scalar. True when that is a match.
    private func follow(
        _ start: Int, from threads: inout ThreadSet, before: Unicode.Scalar?, after: Unicode.Scalar?
    ) -> Bool {
        var stack = [start]
        while let place = stack.popLast() {
            guard threads.insert(place) else { continue }
            switch program[place] {
            case .match: return true
            case .consume: continue
            case .jump(let target): stack.append(target)
            case .save: stack.append(place + 1)
            case .split(let one, let other):
                stack.append(other)
                stack.append(one)
            case .assert(let anchor):
                if anchor.holds(before: before, after: after) { stack.append(place + 1) }
            }
        }
        return false
    }
}

/// Why a text is no regular expression, in Go's words.
public struct RegularExpressionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong: ``missing closing ): `a(` ``.
    public var description: String
    init(_ description: String) { self.description = description }
}

/// A set of places in a program, with its members in the order they came in. Emptying it costs nothing.
struct ThreadSet {
    private(set) var members: [Int] = []
    private var stamps: [UInt32]
    private var stamp: UInt32 = 1

    init(count: Int) { stamps = [UInt32](repeating: 0, count: count) }

    mutating func insert(_ place: Int) -> Bool {
        if stamps[place] == stamp { return false }
        stamps[place] = stamp
        members.append(place)
        return true
    }

    mutating func removeAll() {
        members.removeAll(keepingCapacity: true)
        stamp &+= 1
        if stamp == 0 {
            stamps = [UInt32](repeating: 0, count: stamps.count)
            stamp = 1
        }
    }
}

/// One instruction of a program.
enum Instruction: Sendable, Hashable {
    case consume(ScalarSet)
    case jump(Int)
    /// The first is tried before the other.
    case split(Int, Int)
    /// Notes the place in the text: an even number where a group begins, the next one where it ends.
    case save(Int)
    case assert(Anchor)
    case match
}

/// A place in the text.
enum Anchor: Sendable, Hashable {
    case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary

    func holds(before: Unicode.Scalar?, after: Unicode.Scalar?) -> Bool {
        switch self {
        case .textStart: before == nil
        case .textEnd: after == nil
        case .lineStart: before == nil || before == "\n"
        case .lineEnd: after == nil || after == "\n"
        case .wordBoundary: Self.isWord(before) != Self.isWord(after)
        case .noWordBoundary: Self.isWord(before) == Self.isWord(after)
        }
    }

    private static func isWord(_ scalar: Unicode.Scalar?) -> Bool {
        guard let scalar else { return false }
        return ScalarSet.word.contains(scalar)
    }
}

/// A set of scalars: ranges and Unicode classes, perhaps turned round.
struct ScalarSet: Sendable, Hashable {
    var ranges: [ClosedRange<UInt32>] = []
    /// Sets that are members as a whole: `\D` within brackets.
    var nested: [ScalarSet] = []
    /// Unicode's general categories by the first letter or both: `L`, `Lu`.
    var categories: Set<String> = []
    var isInverted = false
    var ignoresCase = false

    static let digit = ScalarSet(ranges: [0x30...0x39])
    static let word = ScalarSet(ranges: [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let space = ScalarSet(ranges: [0x09...0x0A, 0x0C...0x0D, 0x20...0x20])
    static let any = ScalarSet(ranges: [0...0x10FFFF])
    static let anyButNewline = ScalarSet(ranges: [0x0A...0x0A], isInverted: true)

    var inverted: ScalarSet {
        var set = self
        set.isInverted.toggle()
        return set
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        var isMember = holds(scalar)
        if !isMember, ignoresCase {
            isMember = Self.otherCases(scalar).contains { holds($0) }
        }
        return isMember != isInverted
    }

    private func holds(_ scalar: Unicode.Scalar) -> Bool {
        if ranges.contains(where: { $0.contains(scalar.value) }) { return true }
        if nested.contains(where: { $0.contains(scalar) }) { return true }
        if categories.isEmpty { return false }
        let name = Self.category(of: scalar)
        return categories.contains(name) || categories.contains(String(name.prefix(1)))
    }

    private static func otherCases(_ scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        let forms = [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping]
        return forms.compactMap { $0.unicodeScalars.count == 1 ? $0.unicodeScalars.first : nil }
    }

    private static func category(of scalar: Unicode.Scalar) -> String {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter: "Lu"
        case .lowercaseLetter: "Ll"
        case .titlecaseLetter: "Lt"
        case .modifierLetter: "Lm"
        case .otherLetter: "Lo"
        case .nonspacingMark: "Mn"
        case .spacingMark: "Mc"
        case .enclosingMark: "Me"
        case .decimalNumber: "Nd"
        case .letterNumber: "Nl"
        case .otherNumber: "No"
        case .connectorPunctuation: "Pc"
        case .dashPunctuation: "Pd"
        case .openPunctuation: "Ps"
        case .closePunctuation: "Pe"
        case .initialPunctuation: "Pi"
        case .finalPunctuation: "Pf"
        case .otherPunctuation: "Po"
        case .mathSymbol: "Sm"
        case .currencySymbol: "Sc"
        case .modifierSymbol: "Sk"
        case .otherSymbol: "So"
        case .spaceSeparator: "Zs"
        case .lineSeparator: "Zl"
        case .paragraphSeparator: "Zp"
        case .control: "Cc"
        case .format: "Cf"
        case .surrogate: "Cs"
        case .privateUse: "Co"
        case .unassigned: "Cn"
        @unknown default: "Cn"
        }
    }

    /// The categories that ``category(of:)`` knows, by both names.
    static let knownCategories: Set<String> = [
        "L", "M", "N", "P", "S", "Z", "C", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc",
        "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co",
    ]
}
