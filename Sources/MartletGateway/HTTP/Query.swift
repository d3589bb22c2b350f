internal import MartletBase

/// The query of a request's path, decoded.
struct Query: Sendable, Hashable {
    private var values: [String: [String]] = [:]

    /// Reads `a=b&c=d`. Text that is not well encoded stands for itself. All of it counts, however much the head of a
    /// request has room for: the words of a command are parameters, too.
    init(_ text: Substring) {
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = PercentCoding.decode(parts[0], plusIsSpace: true)
            values[name, default: []].append(parts.count == 2 ? PercentCoding.decode(parts[1], plusIsSpace: true) : "")
        }
    }

    /// The first value; nil when absent.
    subscript(_ name: String) -> String? { values[name]?.first }
    /// Every value, in order.
    func all(_ name: String) -> [String] { values[name] ?? [] }
    /// The first value if it has any text.
    func text(_ name: String) -> String? { self[name].flatMap { $0.isEmpty ? nil : $0 } }
    /// The value as upstream reads truth: `false` and `0` are false, any other text is true.
    func flag(_ name: String) -> Bool? { self[name].map { !["false", "0"].contains($0.lowercased()) } }
    /// A whole number.
    /// - Throws: 400 when there is text that is none.
    func integer(_ name: String) throws(APIError) -> Int64? {
        guard let text = text(name) else { return nil }
        guard let number = Int64(text) else {
            throw .badRequest("unable to read query parameter \(name): \"\(text)\" is not a whole number")
        }
        return number
    }
}
