public import MartletBase

/// Which streams of a process are asked for.
public struct RemoteStreams: Sendable, Hashable {
    /// The standard input.
    public var stdin: Bool
    /// The standard output.
    public var stdout: Bool
    /// The error output; none with a terminal, which has one output.
    public var stderr: Bool
    /// Whether there is a terminal.
    public var tty: Bool
    /// Streams.
    public init(stdin: Bool = false, stdout: Bool = false, stderr: Bool = false, tty: Bool = false) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.tty = tty
    }
}

/// Where a runtime serves streams, once and soon: an HTTP endpoint of this host that speaks what CRI's streaming
/// servers do (SPDY/3.1 and WebSocket, with Kubernetes' subprotocols).
public struct StreamAddress: Sendable, Hashable {
    /// Where to connect to.
    public var endpoint: Endpoint
    /// The request's path, with its query.
    public var path: String
    /// An address.
    public init(endpoint: Endpoint, path: String) {
        self.endpoint = endpoint
        self.path = path
    }

    /// Reads `http://127.0.0.1:PORT/PATH`; nil for any other form.
    init?(url: String) {
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" }
        guard let colon = authority.lastIndex(of: ":"), let port = UInt16(authority[authority.index(after: colon)...])
        else { return nil }
        var host = authority[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, port > 0 else { return nil }
        let path = rest[authority.endIndex...]
        self.init(endpoint: .ip(String(host), port: port), path: path.isEmpty ? "/" : String(path))
    }
}
