internal import MartletHTTP

/// The tokens of a file: `TOKEN,USER,UID,"GROUP1,GROUP2"` in each line, the form of kube-apiserver's
/// `--token-auth-file`.
public struct TokenFile: Sendable {
    private let identities: [[UInt8]: Identity]

    /// Reads a file's text.
    /// - Throws: ``TokenFileError`` naming the line.
    public init(_ text: String) throws(TokenFileError) {
        var identities: [[UInt8]: Identity] = [:]
        // CR LF is one Character, and one of its own.
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            guard line.contains(where: { !$0.isWhitespace }), !line.hasPrefix("#") else { continue }
            guard let fields = Self.fields(line) else {
                throw TokenFileError("line \(index + 1) of the token file has a quotation mark that is not closed")
            }
            guard fields.count >= 3 else {
                throw TokenFileError(
                    "line \(index + 1) of the token file must have at least 3 columns (token, user name, user uid)")
            }
            guard !fields[0].isEmpty else { throw TokenFileError("line \(index + 1) of the token file has no token") }
            guard identities.count < Limits.fileTokens else {
                throw TokenFileError("the token file has more than \(Limits.fileTokens) tokens")
            }
            let groups = fields.count > 3 ? fields[3].split(separator: ",").map(String.init) : []
            identities[Digest.sha256(Array(fields[0].utf8))] = Identity(
                user: fields[1], groups: groups + [Identity.authenticated], uid: fields[2])
        }
        self.identities = identities
    }

    /// Who shows a token. What is compared is a digest, so that the time it takes tells nothing of the tokens.
    func identity(of token: String) -> Identity? { identities[Digest.sha256(Array(token.utf8))] }

    /// The fields of a line of comma-separated values (RFC 4180); nil when a quotation mark is not closed.
    private static func fields(_ line: Substring) -> [String]? {
        var fields: [String] = []
        var field = ""
        var isQuoted = false
        var before: Character?
        for character in line {
            switch character {
            case "\"":
                // Two in a row inside quotation marks are one of the text.
                if !isQuoted && before == "\"" { field.append("\"") }
                isQuoted.toggle()
            case "," where !isQuoted:
                fields.append(field)
                field = ""
            case " " where field.isEmpty && !isQuoted: break
            default: field.append(character)
            }
            before = character
        }
        if isQuoted { return nil }
        return fields + [field]
    }
}

/// What is wrong with a token file.
public struct TokenFileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    init(_ description: String) { self.description = description }
}
