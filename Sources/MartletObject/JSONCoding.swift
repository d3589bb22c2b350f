/// Why bytes are not JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// The byte at which it was seen.
    public var offset: Int

    /// An error at `offset`.
    public init(_ message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    /// One line for people.
    public var description: String { "\(message) at byte \(offset)" }
}

extension JSON {
    /// Reads one JSON text (RFC 8259, UTF-8). Nesting is bounded; a name given twice is an error when `strict`.
    /// - Throws: ``JSONError``.
    public init(parsing bytes: some Collection<UInt8>, strict: Bool = false) throws(JSONError) {
        throw JSONError("not built yet", offset: 0)
    }

    /// The canonical text: UTF-8, no blanks, members in their order.
    public func encoded() -> [UInt8] { [] }
}
