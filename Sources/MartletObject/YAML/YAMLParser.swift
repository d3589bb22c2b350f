/// A node, and what its surroundings want to know of it.
struct YAMLNode {
    enum Style {
        case plain
        case quoted
    }

    var value: JSON
    /// Where it begins.
    var line: Int
    /// About how many bytes it takes in JSON.
    var size: Int
    /// How a scalar was written whose value is still its text; nil when the value is final.
    var unresolved: Style?
    /// Whether it is the key `<<`.
    var isMerge = false
    /// Whether it is an alias, which can have no properties.
    var isAlias = false

    static func scalar(_ text: String, _ style: Style, line: Int) -> YAMLNode {
        YAMLNode(value: .string(text), line: line, size: text.utf8.count + 3, unresolved: style)
    }
    /// Where a node could be, and only its properties are.
    static func empty(line: Int) -> YAMLNode { .scalar("", .plain, line: line) }
    /// Where a node could be, and none is.
    static func null(line: Int) -> YAMLNode { YAMLNode(value: .null, line: line, size: 5) }
}

/// What stands before a node: its anchor and its tag.
struct YAMLProperties {
    var anchor: String?
    var tag: YAMLTag?
    /// Where they begin.
    var line: Int?

    var isEmpty: Bool { line == nil }

    /// Takes those of `other`, which come later. False when there are two of one sort.
    mutating func take(_ other: YAMLProperties) -> Bool {
        if anchor != nil && other.anchor != nil || tag != nil && other.tag != nil { return false }
        anchor = anchor ?? other.anchor
        tag = tag ?? other.tag
        line = line ?? other.line
        return true
    }
}

/// A recursive descent parser that makes the JSON as it goes. Whether a node is the key of a mapping is seen when the
/// `:` after it is: nothing is looked at twice.
struct YAMLParser {
    /// What a block node stands in.
    struct Surroundings {
        /// The column of the collection around it; -1: none.
        var indent: Int
        /// Whether a block collection may begin on this line: not after a key, but after `- ` and `? `.
        var opensBlocks: Bool
        /// Whether a sequence may begin in the column of the collection: as the value of a key.
        var allowsSameColumn: Bool
        var depth: Int
    }

    var cursor: YAMLCursor
    private var anchors: [String: YAMLNode] = [:]
    private var expanded = 0
    /// The brackets that are open, and their lines.
    var openings: [(bracket: String, line: Int)] = []
    /// Of keys given twice, in the strict decoder's words.
    private(set) var duplicates: [String] = []
    /// Of the outermost mapping.
    private(set) var places = YAMLPlaces()
    /// Of the block sequence that is the value of an entry of it.
    private var elementLines: [Int] = []

    init(_ cursor: YAMLCursor) { self.cursor = cursor }

    func error(_ message: String) -> YAMLError {
        var error = YAMLError(message, line: cursor.line)
        if let (bracket, line) = openings.last { error.bracket = "the \(bracket) of line \(line)" }
        return error
    }

    // MARK: Documents

    /// All documents; without `isStream`, a second one is an error.
    mutating func documents(isStream: Bool) throws(YAMLError) -> [JSON] {
        try cursor.checkCharacters()
        var documents: [JSON] = []
        while true {
            try skip(tabs: false)
            if cursor.isAtEnd { return documents }
            if cursor.isDocumentMarker && cursor.current == UInt8(ascii: ".") {
                cursor.advance(3)
                continue
            }
            let hasDirectives = try directives()
            let isExplicit = cursor.isDocumentMarker && cursor.current == UInt8(ascii: "-")
            if hasDirectives && !isExplicit { throw error("did not find expected <document start>") }
            if isExplicit { cursor.advance(3) }
            let line = cursor.line
            anchors.removeAll()
            let node = try blockNode(
                in: Surroundings(indent: -1, opensBlocks: !isExplicit, allowsSameColumn: false, depth: 0))
            try skip(tabs: true)
            guard cursor.isAtEnd || cursor.isDocumentMarker else {
                throw error("did not find expected <document start>")
            }
            // `---` at the end of a text, as templates leave it behind, is no document.
            if !isStream && !documents.isEmpty {
                if node.value == .null { continue }
                throw YAMLError("a second document begins, and only one is read", line: line)
            }
            documents.append(node.value)
        }
    }

    /// `%YAML 1.2`; true when there is one.
    private mutating func directives() throws(YAMLError) -> Bool {
        var found = false
        while cursor.column == 0 && cursor.current == UInt8(ascii: "%") {
            let start = cursor.position
            cursor.skipToBreak()
            guard cursor.bytes(from: start, to: cursor.position).starts(with: Array("%YAML 1.".utf8)) else {
                throw error("found unknown directive name")
            }
            found = true
            try skip(tabs: false)
        }
        return found
    }

    /// Skips blanks, comments and line breaks up to the next token. True when a line was left.
    /// - Parameter tabs: whether tabs may stand before a token on this line; on later ones they would be indentation.
    @discardableResult mutating func skip(tabs: Bool) throws(YAMLError) -> Bool {
        var isNewLine = false
        while true {
            var hasTab = false
            while cursor.isBlank {
                if cursor.current == 0x09 { hasTab = true }
                cursor.advance()
            }
            if cursor.current == UInt8(ascii: "#") { cursor.skipToBreak() }
            guard cursor.isBreak else {
                if hasTab && (isNewLine || !tabs) && !cursor.isAtEnd {
                    throw error("found character that cannot start any token")
                }
                return isNewLine
            }
            cursor.skipBreak()
            isNewLine = true
        }
    }

    // MARK: Block nodes

    /// The node that begins after an indicator, on this line or a later one; empty when there is none.
    mutating func blockNode(in place: Surroundings) throws(YAMLError) -> YAMLNode {
        if place.depth > JSON.maximumDepth { throw error("exceeded max depth of \(JSON.maximumDepth)") }
        var place = place
        let line = cursor.line
        // Properties on lines of their own belong to the node; those in a key's line belong to the key.
        var properties = YAMLProperties()
        if try skip(tabs: !place.opensBlocks) { place.opensBlocks = true }
        while isInside(place) {
            let column = cursor.column
            let own = try self.properties()
            if own.isEmpty { return try blockContent(at: column, own, properties, in: place) }
            let isAlone = try skip(tabs: true)
            if !isAlone && isInside(place) { return try blockContent(at: column, own, properties, in: place) }
            guard properties.take(own) else { throw error("did not find expected node content") }
            if isAlone { place.opensBlocks = true }
        }
        return try finished(.empty(line: line), properties)
    }

    private func isInside(_ place: Surroundings) -> Bool {
        if cursor.isAtEnd || cursor.isDocumentMarker { return false }
        if cursor.column > place.indent { return true }
        return place.allowsSameColumn && cursor.column == place.indent && cursor.isIndicator("-")
    }

    /// What stands here is a block collection, or a scalar, or the first key of a mapping.
    /// - Parameter column: where it begins, with its properties.
    private mutating func blockContent(
        at column: Int, _ own: YAMLProperties, _ outer: YAMLProperties, in place: Surroundings
    ) throws(YAMLError) -> YAMLNode {
        var properties = outer
        let opensBlocks = place.opensBlocks && own.isEmpty
        switch cursor.current {
        case UInt8(ascii: "-") where cursor.isSpace(1):
            guard opensBlocks else { throw error("block sequence entries are not allowed in this context") }
            return try finished(try blockSequence(at: column, in: place), properties)
        case UInt8(ascii: "?") where cursor.isSpace(1):
            guard opensBlocks else { throw error("mapping keys are not allowed in this context") }
            return try finished(try blockMapping(at: column, first: nil, depth: place.depth), properties)
        case UInt8(ascii: "|"), UInt8(ascii: ">"):
            guard properties.take(own) else { throw error("did not find expected node content") }
            let line = cursor.line
            let text = try blockScalar(indent: place.indent)
            return try finished(.scalar(text, .quoted, line: line), properties)
        default: break
        }
        let line = cursor.line
        let node = try inlineNode(indent: place.indent, depth: place.depth)
        cursor.skipLineBlanks()
        guard cursor.isIndicator(":") else {
            guard properties.take(own) else { throw error("did not find expected node content") }
            return try finished(node, properties)
        }
        guard place.opensBlocks, cursor.line == line else {
            throw error("mapping values are not allowed in this context")
        }
        let key = try finished(node, own)
        return try finished(try blockMapping(at: column, first: key, depth: place.depth), properties)
    }

    private mutating func blockSequence(at column: Int, in place: Surroundings) throws(YAMLError) -> YAMLNode {
        var elements: [JSON] = []
        var lines: [Int] = []
        var size = 2
        let line = cursor.line
        repeat {
            cursor.advance()
            let element = try blockNode(
                in: Surroundings(
                    indent: column, opensBlocks: true, allowsSameColumn: false, depth: place.depth + 1))
            lines.append(element.line)
            elements.append(element.value)
            size += element.size
            try skip(tabs: true)
        } while cursor.column == column && cursor.isIndicator("-")
        let isOver = cursor.isAtEnd || cursor.isDocumentMarker || cursor.column < column
        guard isOver || cursor.column == column && column == place.indent else {
            throw error("did not find expected '-' indicator")
        }
        if place.depth == 1 { elementLines = lines }
        return YAMLNode(value: .array(elements), line: line, size: size)
    }

    /// - Parameter first: the first key, with the cursor at its `:`; nil: the cursor is at `? `.
    private mutating func blockMapping(
        at column: Int, first: YAMLNode?, depth: Int
    ) throws(YAMLError) -> YAMLNode {
        var mapping = YAMLMapping(line: first?.line ?? cursor.line)
        var next = first
        var place = Surroundings(indent: column, opensBlocks: true, allowsSameColumn: true, depth: depth + 1)
        repeat {
            var value: YAMLNode?
            let key: YAMLNode
            elementLines = []
            cursor.advance()
            if let next {
                key = next
                place.opensBlocks = false
                value = try blockNode(in: place)
            } else {
                place.opensBlocks = true
                key = try blockNode(in: place)
                try skip(tabs: true)
                if cursor.column == column && cursor.isIndicator(":") {
                    cursor.advance()
                    value = try blockNode(in: place)
                }
            }
            try mapping.insert(key, value ?? .null(line: cursor.line), &duplicates)
            if depth == 0, !key.isMerge { try note(key) }
            try skip(tabs: true)
            if cursor.isAtEnd || cursor.isDocumentMarker || cursor.column < column { return mapping.node }
            guard cursor.column == column, !cursor.isIndicator("-") else { throw error("did not find expected key") }
            next = cursor.isIndicator("?") ? nil : try blockKey(indent: column, depth: depth + 1)
        } while true
    }

    /// Notes where an entry of the outermost mapping stands.
    private mutating func note(_ key: YAMLNode) throws(YAMLError) {
        let name = try YAMLMapping.name(key)
        places.keys[name] = key.line
        places.elements[name] = elementLines
    }

    /// A key on one line, up to its `:`.
    private mutating func blockKey(indent: Int, depth: Int) throws(YAMLError) -> YAMLNode {
        let own = try properties()
        if !own.isEmpty, try skip(tabs: true) { throw error("could not find expected ':'") }
        let line = cursor.line
        let node = try inlineNode(indent: indent, depth: depth)
        cursor.skipLineBlanks()
        guard cursor.line == line, cursor.isIndicator(":") else { throw error("could not find expected ':'") }
        return try finished(node, own)
    }

    // MARK: Nodes of any sort

    /// An alias, a quoted or plain scalar, or a flow collection.
    /// - Parameter indent: a plain scalar goes on in lines that begin to the right of it; nil: in a flow collection.
    mutating func inlineNode(indent: Int?, depth: Int) throws(YAMLError) -> YAMLNode {
        let line = cursor.line
        switch cursor.current {
        case UInt8(ascii: "*"): return try alias()
        case UInt8(ascii: "["): return try flowSequence(depth: depth + 1)
        case UInt8(ascii: "{"): return try flowMapping(depth: depth + 1)
        case UInt8(ascii: "\""): return .scalar(try doubleQuoted(), .quoted, line: line)
        case UInt8(ascii: "'"): return .scalar(try singleQuoted(), .quoted, line: line)
        default: return .scalar(try plainScalar(indent: indent), .plain, line: line)
        }
    }

    private mutating func alias() throws(YAMLError) -> YAMLNode {
        let line = cursor.line
        let name = try anchorName()
        guard var node = anchors[name] else { throw error("unknown anchor '\(name)' referenced") }
        expanded += node.size
        if expanded > JSON.maximumExpansion { throw error("document contains excessive aliasing") }
        node.line = line
        node.isAlias = true
        return node
    }

    /// The anchor and the tag that stand here, on one line.
    mutating func properties() throws(YAMLError) -> YAMLProperties {
        var properties = YAMLProperties()
        while true {
            var next = YAMLProperties()
            switch cursor.current {
            case UInt8(ascii: "&"):
                next.line = cursor.line
                next.anchor = try anchorName()
            case UInt8(ascii: "!"):
                next.line = cursor.line
                next.tag = try tag()
            default: return properties
            }
            guard properties.take(next) else { throw error("did not find expected node content") }
            // What stands on the next line is another matter.
            var rest = cursor
            rest.skipLineBlanks()
            if [UInt8(ascii: "&"), UInt8(ascii: "!")].contains(rest.current) { cursor = rest }
        }
    }

    /// The name after `&` or `*`.
    private mutating func anchorName() throws(YAMLError) -> String {
        cursor.advance()
        let start = cursor.position
        while true {
            switch cursor.current {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                cursor.advance()
                continue
            default: break
            }
            break
        }
        let ends: [UInt8] = [0x3A, 0x2C, 0x5D, 0x7D]  // : , ] }
        guard cursor.position > start, cursor.isSpace(0) || ends.contains(cursor.current) else {
            throw error("did not find expected alphabetic or numeric character")
        }
        return String(decoding: cursor.bytes(from: start, to: cursor.position), as: UTF8.self)
    }

    /// A node with its properties: a scalar becomes a value, and an anchor remembers it.
    mutating func finished(_ node: YAMLNode, _ properties: YAMLProperties) throws(YAMLError) -> YAMLNode {
        var node = node
        if node.isAlias {
            guard properties.isEmpty else { throw error("did not find expected node content") }
            return node
        }
        if let style = node.unresolved, case .string(let text) = node.value {
            node.unresolved = nil
            node.isMerge = text == "<<" && (properties.tag.map { $0 == .core("merge") } ?? (style == .plain))
            node.value = try YAMLScalar(text: text, isPlain: style == .plain, line: node.line).value(properties.tag)
        }
        node.line = properties.line ?? node.line
        if let anchor = properties.anchor { anchors[anchor] = node }
        return node
    }

    /// A flow mapping's or a pair's entry.
    mutating func insert(
        _ key: YAMLNode, _ value: YAMLNode, into mapping: inout YAMLMapping
    ) throws(YAMLError) { try mapping.insert(key, value, &duplicates) }
}

/// A mapping that is being read.
struct YAMLMapping {
    private var members: JSON.Members = [:]
    private var size = 2
    private let line: Int

    init(line: Int) { self.line = line }

    var node: YAMLNode { YAMLNode(value: .object(members), line: line, size: size) }

    /// Adds an entry, or those of what `<<` names: as go-yaml does, a later one replaces an earlier one.
    mutating func insert(
        _ key: YAMLNode, _ value: YAMLNode, _ duplicates: inout [String]
    ) throws(YAMLError) {
        size += key.size + value.size
        if key.isMerge { return try merge(value, &duplicates) }
        set(try Self.name(key), value.value, line: value.line, &duplicates)
    }

    private mutating func set(_ name: String, _ value: JSON, line: Int, _ duplicates: inout [String]) {
        guard members.updateValue(value, forKey: name) != nil, duplicates.count < JSON.maximumDuplicates else {
            return
        }
        let shown = String(decoding: JSON.string(name).encoded(), as: UTF8.self)
        duplicates.append("line \(line): key \(shown) already set in map")
    }

    private mutating func merge(_ value: YAMLNode, _ duplicates: inout [String]) throws(YAMLError) {
        var sources = [value.value]
        if case .array(let elements) = value.value { sources = elements.reversed() }
        for source in sources {
            guard case .object(let members) = source else {
                throw YAMLError("map merge requires map or sequence of maps as the value", line: value.line)
            }
            for (name, member) in members { set(name, member, line: value.line, &duplicates) }
        }
    }

    /// JSON's names are text.
    static func name(_ key: YAMLNode) throws(YAMLError) -> String {
        switch key.value {
        case .string(let text): return text
        case .int(let number): return String(number)
        case .double(let number): return number.description
        case .bool(let truth): return truth ? "true" : "false"
        case .null: throw YAMLError("unsupported map key: null", line: key.line)
        case .array, .object: throw YAMLError("invalid map key: a key must be a scalar", line: key.line)
        }
    }
}
