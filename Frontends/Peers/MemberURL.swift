internal import ArgumentParser
public import MartletBase

/// `https://10.0.0.1:2379`: where a member is served.
public struct MemberURL {
    /// The address and port.
    public var endpoint: Endpoint
    /// Whether it is https.
    public var isSecure: Bool
    private let text: String

    /// Reads a URL.
    /// - Throws: `ValidationError` that names the flag.
    public init(_ text: String, flag: String) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3 || parts.count == 4 && parts[3].isEmpty, parts[1].isEmpty,
            parts[0] == "https:" || parts[0] == "http:", let colon = parts[2].lastIndex(of: ":"),
            let port = UInt16(parts[2][parts[2].index(after: colon)...])
        else { throw ValidationError("\(flag) \(text) is not https://ADDRESS:PORT or http://ADDRESS:PORT") }
        let host = parts[2][..<colon].filter { $0 != "[" && $0 != "]" }
        guard !host.isEmpty else { throw ValidationError("\(flag) \(text) has no address") }
        endpoint = .ip(host == "localhost" ? "127.0.0.1" : String(host), port: port)
        isSecure = parts[0] == "https:"
        self.text = text
    }

    /// Checks that there are certificates where the URL wants them, and none where it does not.
    public func expect(secure: Bool, flag: String, files: String) throws {
        if isSecure, !secure { throw ValidationError("\(flag) \(text) is https://, for which \(files) are needed") }
        if !isSecure, secure { throw ValidationError("\(flag) \(text) is http://, but \(files) ask for https://") }
    }
}
