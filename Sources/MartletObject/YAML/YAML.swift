/// Why bytes are not YAML that is read here.
public struct YAMLError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, in the words of libyaml, which users of Kubernetes know.
    public var message: String
    /// The line at which it was seen; the first is 1.
    public var line: Int
    /// The innermost bracket that was open then, and the line that it stands in; empty for none.
    public var bracket = ""

    /// An error at `line`.
    public init(_ message: String, line: Int) {
        self.message = message
        self.line = line
    }

    /// One line for people.
    public var description: String { "yaml: line \(line): \(message)" }
}

/// YAML as Kubernetes reads it: YAML 1.2's syntax, YAML 1.1's plain words (`yes`, `off`, `0777`, `~`), merge keys,
/// and all that comes out is JSON (sigs.k8s.io/yaml). Written for outside bytes: it takes time in proportion to the
/// text, nests no deeper than JSON does, and what aliases stand for is bounded.
extension JSON {
    /// Bytes in JSON that all aliases of a text may stand for together. Above it: an error.
    static let maximumExpansion = 4 * 1024 * 1024

    /// Reads one YAML document; nothing but comments is `null`. A second document is an error.
    /// - Parameter duplicates: is told of keys given twice in a mapping, in the words of the strict decoder (`line 3:
    ///   key "a" already set in map`); the last value counts.
    /// - Throws: ``YAMLError``.
    public init(yaml text: some Collection<UInt8>, duplicates: inout [String]) throws(YAMLError) {
        var places = YAMLPlaces()
        try self.init(yaml: text, duplicates: &duplicates, places: &places)
    }

    /// As above, and says where the entries of the outermost mapping stand: for files that people write, whose faults
    /// are told with their lines.
    /// - Throws: ``YAMLError``.
    public init(
        yaml text: some Collection<UInt8>, duplicates: inout [String], places: inout YAMLPlaces
    ) throws(YAMLError) {
        let reading = try JSON.read(text, isStream: false)
        duplicates += reading.duplicates
        places = reading.places
        self = reading.documents.first ?? .null
    }

    /// Reads all documents of a YAML stream, in order; a document without content is `null`.
    /// - Throws: ``YAMLError``.
    public static func documents(yaml text: some Collection<UInt8>) throws(YAMLError) -> [JSON] {
        try read(text, isStream: true).documents
    }

    private typealias Reading = (documents: [JSON], duplicates: [String], places: YAMLPlaces)

    private static func read(_ text: some Collection<UInt8>, isStream: Bool) throws(YAMLError) -> Reading {
        func parse(_ buffer: UnsafeBufferPointer<UInt8>) -> Result<Reading, YAMLError> {
            var parser = YAMLParser(YAMLCursor(buffer))
            do throws(YAMLError) {
                return .success((try parser.documents(isStream: isStream), parser.duplicates, parser.places))
            } catch {
                return .failure(error)
            }
        }
        let result = text.withContiguousStorageIfAvailable(parse) ?? Array(text).withUnsafeBufferPointer(parse)
        return try result.get()
    }
}

/// Where the entries of a document's outermost mapping stand. The first line is 1.
public struct YAMLPlaces: Sendable, Hashable {
    /// The line of each key.
    public internal(set) var keys: [String: Int] = [:]
    /// The lines of the elements of each value that is a block sequence.
    public internal(set) var elements: [String: [Int]] = [:]

    /// None.
    public init() {}
}

/// A place in the text. The byte past the end reads as 0, which no text holds (``checkCharacters()``), so that every
/// loop ends at the end.
struct YAMLCursor {
    private let bytes: UnsafeBufferPointer<UInt8>
    private(set) var position = 0
    /// The first is 1.
    private(set) var line = 1
    private var lineStart = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        lineStart = position
    }

    /// Bytes from the start of the line; the first is 0.
    var column: Int { position - lineStart }
    var isAtEnd: Bool { position >= bytes.count }
    var current: UInt8 { position < bytes.count ? bytes[position] : 0 }
    func peek(_ offset: Int) -> UInt8 { position + offset < bytes.count ? bytes[position + offset] : 0 }
    var isBlank: Bool { current == 0x20 || current == 0x09 }
    var isBreak: Bool { current == 0x0A || current == 0x0D }
    /// Whether the byte `offset` from here is a blank, a line break or the end.
    func isSpace(_ offset: Int) -> Bool { [0x20, 0x09, 0x0A, 0x0D, 0].contains(peek(offset)) }
    /// Whether the current byte is `indicator`, and stands apart from what follows.
    func isIndicator(_ indicator: Unicode.Scalar) -> Bool { current == UInt8(ascii: indicator) && isSpace(1) }

    /// Whether `---` or `...` stands here, at the start of a line.
    var isDocumentMarker: Bool {
        guard column == 0, current == 0x2D || current == 0x2E else { return false }
        return peek(1) == current && peek(2) == current && isSpace(3)
    }

    mutating func advance(_ count: Int = 1) { position += count }
    /// Leaves the line: `\n`, `\r` or `\r\n`.
    mutating func skipBreak() {
        position += current == 0x0D && peek(1) == 0x0A ? 2 : 1
        line += 1
        lineStart = position
    }
    mutating func skipLineBlanks() { while isBlank { position += 1 } }
    mutating func skipToBreak() { while !isBreak && !isAtEnd { position += 1 } }

    func bytes(from start: Int, to end: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[start..<end])
    }

    /// Refuses bytes that are not UTF-8, and characters that YAML does not allow (section 5.1).
    func checkCharacters() throws(YAMLError) {
        var rest = self
        while !rest.isAtEnd {
            let byte = rest.current
            switch byte {
            case 0x0A, 0x0D: rest.skipBreak()
            case 0x20..<0x7F, 0x09: rest.advance()
            case 0x80...: try rest.checkWideCharacter()
            default: throw YAMLError("control characters are not allowed", line: rest.line)
            }
        }
    }

    private mutating func checkWideCharacter() throws(YAMLError) {
        let window = bytes(from: position, to: min(position + 4, bytes.count))
        var iterator = window.makeIterator()
        var decoder = Unicode.UTF8()
        guard case .scalarValue(let scalar) = decoder.decode(&iterator) else {
            throw YAMLError("invalid UTF-8", line: line)
        }
        switch scalar.value {
        case 0x80..<0x85, 0x86..<0xA0, 0xFFFE, 0xFFFF:
            throw YAMLError("control characters are not allowed", line: line)
        default: advance(UTF8.width(scalar))
        }
    }
}
