/// Flow style: `[a, b: c]` and `{a: b}`, over any number of lines.
extension YAMLParser {
    /// Skips blanks, tabs, comments and line breaks: within brackets there is no indentation.
    private mutating func skipInFlow() throws(YAMLError) {
        while true {
            cursor.skipLineBlanks()
            if cursor.current == UInt8(ascii: "#") { cursor.skipToBreak() }
            guard cursor.isBreak else { break }
            cursor.skipBreak()
        }
        if cursor.isAtEnd { throw error("did not find expected node content") }
        if cursor.isDocumentMarker { throw error("found unexpected document indicator") }
    }

    mutating func flowSequence(depth: Int) throws(YAMLError) -> YAMLNode {
        if depth > JSON.maximumDepth { throw error("exceeded max depth of \(JSON.maximumDepth)") }
        var elements: [JSON] = []
        var size = 2
        let line = cursor.line
        openings.append(("[", line))
        cursor.advance()
        while true {
            try skipInFlow()
            if cursor.current == UInt8(ascii: "]") { break }
            let element = try sequenceEntry(depth: depth)
            elements.append(element.value)
            size += element.size
            try skipInFlow()
            if cursor.current == UInt8(ascii: "]") { break }
            guard cursor.current == UInt8(ascii: ",") else { throw error("did not find expected ',' or ']'") }
            cursor.advance()
        }
        openings.removeLast()
        cursor.advance()
        return YAMLNode(value: .array(elements), line: line, size: size)
    }

    /// A node, or a pair, which is a mapping of one entry.
    private mutating func sequenceEntry(depth: Int) throws(YAMLError) -> YAMLNode {
        let line = cursor.line
        let isExplicit = cursor.isIndicator("?")
        if isExplicit {
            cursor.advance()
            try skipInFlow()
        }
        let key = try flowNode(depth: depth)
        cursor.skipLineBlanks()
        if isExplicit { try skipInFlow() }
        let isPair = cursor.current == UInt8(ascii: ":") && (isExplicit || cursor.line == line)
        guard isPair || isExplicit else { return key }
        var mapping = YAMLMapping(line: line)
        let value = isPair ? try flowValue(depth: depth) : .null(line: cursor.line)
        try insert(key, value, into: &mapping)
        return mapping.node
    }

    mutating func flowMapping(depth: Int) throws(YAMLError) -> YAMLNode {
        if depth > JSON.maximumDepth { throw error("exceeded max depth of \(JSON.maximumDepth)") }
        var mapping = YAMLMapping(line: cursor.line)
        openings.append(("{", cursor.line))
        cursor.advance()
        while true {
            try skipInFlow()
            if cursor.current == UInt8(ascii: "}") { break }
            if cursor.isIndicator("?") {
                cursor.advance()
                try skipInFlow()
            }
            let key = try flowNode(depth: depth)
            try skipInFlow()
            let hasValue = cursor.current == UInt8(ascii: ":")
            let value = hasValue ? try flowValue(depth: depth) : .null(line: cursor.line)
            try insert(key, value, into: &mapping)
            try skipInFlow()
            if cursor.current == UInt8(ascii: "}") { break }
            guard cursor.current == UInt8(ascii: ",") else { throw error("did not find expected ',' or '}'") }
            cursor.advance()
        }
        openings.removeLast()
        cursor.advance()
        return mapping.node
    }

    /// What stands after `:`, up to `,` or the closing bracket.
    private mutating func flowValue(depth: Int) throws(YAMLError) -> YAMLNode {
        let line = cursor.line
        cursor.advance()
        try skipInFlow()
        if isAtFlowEnd { return .null(line: line) }
        return try flowNode(depth: depth)
    }

    private var isAtFlowEnd: Bool {
        [UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}")].contains(cursor.current)
    }

    /// A node within brackets. It may be empty only when it has properties.
    private mutating func flowNode(depth: Int) throws(YAMLError) -> YAMLNode {
        let own = try properties()
        if own.isEmpty && isAtFlowEnd { throw error("did not find expected node content") }
        if !own.isEmpty {
            try skipInFlow()
            if isAtFlowEnd || cursor.current == UInt8(ascii: ":") {
                return try finished(.empty(line: cursor.line), own)
            }
        }
        return try finished(try inlineNode(indent: nil, depth: depth), own)
    }
}
