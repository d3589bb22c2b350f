internal import MartletBase

/// Paths in the one form in which rules and requests are compared: `%41` is `A`, `//` is `/`, `/./` and `/../` are
/// gone, what may not stand in a path is percent-encoded in upper case (RFC 3986, section 6.2.2). So a request cannot
/// get around a rule by writing its path in another way; what is sent on stays as it came.
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

    /// Whether the path is in that form as it is.
    static func isNormal(_ path: Span<UInt8>) -> Bool {
        guard path.count > 0, path[0] == UInt8(ascii: "/") else { return false }
        var previous: UInt8 = 0
        for index in path.indices {
            let byte = path[index]
            guard plain[Int(byte)] else { return false }
            // A dot or a slash right after a slash is looked at closely; names like `.well-known` are rare enough.
            if previous == UInt8(ascii: "/"), byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") { return false }
            previous = byte
        }
        return true
    }

    /// The path in that form. It always begins with `/`.
    static func normal(_ path: some Sequence<UInt8>) -> [UInt8] {
        var segments: [[UInt8]] = []
        var endsInSlash = true
        var segment: [UInt8] = []
        func finish(_ isLast: Bool) {
            endsInSlash = true
            if segment == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                _ = segments.popLast()
            } else if !segment.isEmpty && segment != [UInt8(ascii: ".")] {
                segments.append(segment)
                endsInSlash = !isLast
            }
            segment = []
        }
        for byte in decoded(Array(path)) {
            if byte == UInt8(ascii: "/") { finish(false) } else { segment.append(byte) }
        }
        finish(true)
        var result: [UInt8] = []
        for segment in segments { result += [UInt8(ascii: "/")] + segment }
        if endsInSlash || result.isEmpty { result.append(UInt8(ascii: "/")) }
        return result
    }

    /// Unreserved bytes decoded, all that may not stand in a path encoded.
    private static func decoded(_ path: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        var index = 0
        while index < path.count {
            let byte = path[index]
            if byte == UInt8(ascii: "%"), index + 2 < path.count, let high = PercentCoding.digit(path[index + 1]),
                let low = PercentCoding.digit(path[index + 2])
            {
                index += 3
                let value = high << 4 | low
                if PercentCoding.isUnreserved(value) {
                    result.append(value)
                } else {
                    PercentCoding.append(value, to: &result)
                }
                continue
            }
            index += 1
            if plain[Int(byte)] { result.append(byte) } else { PercentCoding.append(byte, to: &result) }
        }
        return result
    }
}
