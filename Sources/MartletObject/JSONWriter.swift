extension JSON {
    /// The canonical text: UTF-8, no blanks, members in their order.
    public func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.append(value: self)
        return writer.bytes
    }

    /// The text for people: indented by four blanks, as `?pretty=true` asks for.
    public func encodedPretty() -> [UInt8] {
        var writer = JSONWriter()
        writer.appendPretty(self, depth: 0)
        return writer.bytes
    }
}

/// Writes JSON into memory of its own, which grows: an array would look at its bounds and at who shares it for every
/// byte. The result is an array without room to spare.
struct JSONWriter: ~Copyable {
    private var room: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 4096) {
        self.capacity = capacity
        room = .allocate(capacity: capacity)
    }

    deinit { room.deallocate() }

    /// What was written.
    var bytes: [UInt8] { Array(UnsafeBufferPointer(start: room, count: count)) }

    /// The last byte; 0 when there is none.
    var last: UInt8 { count > 0 ? room[count - 1] : 0 }

    /// Takes back all but the first bytes.
    mutating func cut(to count: Int) { self.count = min(count, self.count) }

    // MARK: Bytes

    private mutating func makeRoom(for more: Int) {
        if capacity - count < more { grow(by: more) }
    }

    @inline(never)
    private mutating func grow(by more: Int) {
        capacity = max(2 * capacity, count + more)
        let bigger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        bigger.update(from: room, count: count)
        room.deallocate()
        room = bigger
    }

    mutating func append(_ byte: UInt8) {
        makeRoom(for: 1)
        room[count] = byte
        count += 1
    }

    mutating func append(_ character: Unicode.Scalar) { append(UInt8(ascii: character)) }

    /// Appends bytes as they are.
    mutating func append(contentsOf bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        makeRoom(for: bytes.count)
        (room + count).update(from: start, count: bytes.count)
        count += bytes.count
    }

    /// Appends text as it is.
    mutating func append(raw text: String) {
        var text = text
        text.withUTF8 { append(contentsOf: $0) }
    }

    // MARK: Values

    mutating func append(value: JSON) {
        switch value {
        case .array(let elements):
            append("[")
            var isFirst = true
            for element in elements {
                if !isFirst { append(",") }
                isFirst = false
                append(value: element)
            }
            append("]")
        case .object(let members):
            append("{")
            for (name, value) in members {
                appendName(name)
                append(value: value)
            }
            append("}")
        case .bool(let value): append(raw: value ? "true" : "false")
        case .int(let value): append(number: value)
        // Swift writes the shortest text that reads back as the same number. Infinity has no JSON form.
        case .double(let value): append(raw: value.isFinite ? value.description : "null")
        case .string(let text): append(string: text)
        case .null: append(raw: "null")
        }
    }

    /// Appends an object as it is stored: without `metadata.resourceVersion`, with the text of `managedFields` last in
    /// `metadata` unless it is empty.
    mutating func append(stored object: JSON, managedFields: [UInt8]) {
        guard case .object(let members) = object else { return append(value: object) }
        append("{")
        for (name, value) in members {
            appendName(name)
            guard name == "metadata", case .object(let metadata) = value else {
                append(value: value)
                continue
            }
            append("{")
            for (name, value) in metadata where name != "resourceVersion" {
                appendName(name)
                append(value: value)
            }
            if !managedFields.isEmpty {
                appendName("managedFields")
                managedFields.withUnsafeBufferPointer { append(contentsOf: $0) }
            }
            append("}")
        }
        append("}")
    }

    /// Appends a member's name, with a comma before it unless the object has just begun, and a colon after it.
    private mutating func appendName(_ name: String) {
        if last != UInt8(ascii: "{") { append(",") }
        append(string: name)
        append(":")
    }

    mutating func appendPretty(_ value: JSON, depth: Int) {
        switch value {
        case .array(let elements) where !elements.isEmpty:
            append("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { append(",") }
                beginLine(depth + 1)
                appendPretty(element, depth: depth + 1)
            }
            beginLine(depth)
            append("]")
        case .object(let members) where !members.isEmpty:
            append("{")
            for (index, member) in members.enumerated() {
                if index > 0 { append(",") }
                beginLine(depth + 1)
                append(string: member.key)
                append(raw: ": ")
                appendPretty(member.value, depth: depth + 1)
            }
            beginLine(depth)
            append("}")
        default: append(value: value)
        }
    }

    private mutating func beginLine(_ depth: Int) {
        append("\n")
        for _ in 0..<4 * depth { append(" ") }
    }

    private mutating func append(number value: Int64) {
        if value < 0 { append("-") }
        var rest = value.magnitude
        var digits = 1
        while rest > 9 {
            rest /= 10
            digits += 1
        }
        makeRoom(for: digits)
        rest = value.magnitude
        for place in stride(from: count + digits - 1, through: count, by: -1) {
            room[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += digits
    }

    /// Appends text as a JSON string with its quotes.
    mutating func append(string text: String) {
        append("\"")
        append(escaped: text)
        append("\"")
    }

    /// Appends what stands between the quotes of a JSON string.
    mutating func append(escaped text: String) {
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            while start < bytes.count {
                let end = bytes.endOfPlainText(from: start)
                append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<end]))
                if end < bytes.count { appendEscape(of: bytes[end]) }
                start = end + 1
            }
        }
    }

    private mutating func appendEscape(of byte: UInt8) {
        append("\\")
        switch byte {
        case 0x08: append("b")
        case 0x09: append("t")
        case 0x0A: append("n")
        case 0x0C: append("f")
        case 0x0D: append("r")
        case 0x00..<0x20:
            append(raw: byte < 0x10 ? "u000" : "u001")
            append(raw: String(byte & 0xF, radix: 16))
        default: append(byte)
        }
    }
}
