internal import MartletBase

/// A way in which a server may read the path of a request. Which one a pod has, nobody here knows.
struct PathReading: Sendable, Hashable {
    /// How an element ends that has a `;`, as those of servlets do.
    enum Cut: Sendable, CaseIterable {
        case never, beforeDecoding, afterDecoding
    }

    /// How often percent-encoding is undone before elements are looked for. Undone once, `%2F` parts elements; undone
    /// twice, `%252F` does, too. As rules are written, no encoded slash is one.
    var decodings = 0
    /// Whether a backslash is a slash.
    var turnsSlashes = false
    var cut = Cut.never
    /// Whether `.` and `..` are names like any other.
    var keepsDots = false

    /// All but the one in which rules are written.
    static let others: [PathReading] = {
        var all: [PathReading] = []
        for decodings in 0...2 {
            for cut in Cut.allCases {
                for (turns, keeps) in [(false, false), (false, true), (true, false), (true, true)] {
                    all.append(.init(decodings: decodings, turnsSlashes: turns, cut: cut, keepsDots: keeps))
                }
            }
        }
        return all.filter { $0 != PathReading() }
    }()
}

/// How differently servers may read a path.
enum PathClarity: Sendable {
    /// All read it as rules are written.
    case plain
    /// In one of the ways of ``PathReading``.
    case ambiguous
    /// It climbs by `..`, and where to depends on how much of it is decoded first: it may lead anywhere.
    case hopeless
}

/// Paths in the one form in which rules and requests are compared: `%41` is `A`, `//` is `/`, `/./` and `/../` are
/// gone, and what may not stand in a path is percent-encoded in upper case. An encoded slash is no slash. So a request
/// cannot get around a rule by writing its path in another way; what is sent on stays as it came. A path that servers
/// read differently is looked at in each of their ways (``PathReading``).
enum RequestPath {
    /// Whether a byte stands for itself in a path: `pchar` or `/`.
    private static let plain: [Bool] = (0...255).map { (byte: Int) -> Bool in
        switch UInt8(byte) {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case let byte: "-._~!$&'()*+,;=:@/".utf8.contains(byte)
        }
    }

    /// The part of a request's target before the query.
    static func length(of target: Span<UInt8>) -> Int {
        for index in target.indices where target[index] == UInt8(ascii: "?") || target[index] == UInt8(ascii: "#") {
            return index
        }
        return target.count
    }

    /// Whether the path is in that form as it is, and all servers read it so.
    static func isNormal(_ path: Span<UInt8>) -> Bool {
        guard path.count > 0, path[0] == UInt8(ascii: "/") else { return false }
        var previous: UInt8 = 0
        for index in path.indices {
            let byte = path[index]
            guard plain[Int(byte)], byte != UInt8(ascii: ";") else { return false }
            // A dot or a slash right after a slash is looked at closely; names like `.well-known` are rare enough.
            if previous == UInt8(ascii: "/"), byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") { return false }
            previous = byte
        }
        return true
    }

    /// How differently servers may read a path: for elements of dots, `;`, `\`, an encoded slash, and what is encoded
    /// twice. Slashes side by side are one to all of them.
    static func clarity(of path: [UInt8]) -> PathClarity {
        let bytes = decoded(path[...])
        let elements = path.split(separator: UInt8(ascii: "/"))
        let isCoded =
            bytes.contains { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "%") }
            || bytes.count { $0 == UInt8(ascii: "/") } != path.count { $0 == UInt8(ascii: "/") }
            || elements.contains { !isDots($0) && isDots(decoded($0)) }
        guard isCoded else { return elements.contains(where: isDots) ? .ambiguous : .plain }
        let widest = decoded(bytes[...]).split { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }
        let climbs = widest.contains { $0.prefix { $0 != UInt8(ascii: ";") }.elementsEqual("..".utf8) }
        return climbs ? .hopeless : .ambiguous
    }

    /// The path in that form. It always begins with `/`.
    static func normal(_ path: some Sequence<UInt8>, _ reading: PathReading = PathReading()) -> [UInt8] {
        let path = Array(path)
        var parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        if reading.cut == .beforeDecoding { parts = parts.map(withoutParameters) }
        if reading.decodings > 0 || reading.turnsSlashes {
            var bytes = Array(parts.joined(separator: [UInt8(ascii: "/")]))
            for _ in 0..<reading.decodings { bytes = decoded(bytes[...]) }
            parts = bytes.split(omittingEmptySubsequences: false) { byte in
                byte == UInt8(ascii: "/") || reading.turnsSlashes && byte == UInt8(ascii: "\\")
            }
        }
        var elements: [[UInt8]] = []
        var endsInSlash = true
        for var part in parts {
            if reading.cut == .afterDecoding { part = withoutParameters(part) }
            let element = reading.decodings > 0 ? Array(part) : decoded(part)
            endsInSlash = element.isEmpty || isDots(element) && !reading.keepsDots
            if !endsInSlash {
                elements.append(element)
            } else if element.count == 2 {
                _ = elements.popLast()
            }
        }
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        for element in elements {
            result.append(UInt8(ascii: "/"))
            for byte in element {
                let isPlain = plain[Int(byte)] && byte != UInt8(ascii: "/")
                if isPlain { result.append(byte) } else { PercentCoding.append(byte, to: &result) }
            }
        }
        if endsInSlash { result.append(UInt8(ascii: "/")) }
        return result
    }

    private static func withoutParameters(_ element: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        element.prefix { $0 != UInt8(ascii: ";") }
    }

    private static func isDots(_ element: some Collection<UInt8>) -> Bool {
        (1...2).contains(element.count) && element.allSatisfy { $0 == UInt8(ascii: ".") }
    }

    /// Percent-encoding undone, once. What is not well encoded stands for itself.
    private static func decoded(_ path: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        var index = path.startIndex
        while index < path.endIndex {
            if path[index] == UInt8(ascii: "%"), index + 2 < path.endIndex,
                let high = PercentCoding.digit(path[index + 1]), let low = PercentCoding.digit(path[index + 2])
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(path[index])
                index += 1
            }
        }
        return result
    }
}
