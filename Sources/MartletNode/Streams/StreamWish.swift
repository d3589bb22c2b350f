internal import HTTPTypes
internal import MartletHTTP
internal import MartletRuntime

/// What a request for a stream wants, as its path and query say.
struct StreamWish: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case exec(command: [String], RemoteStreams)
        case attach(RemoteStreams)
        case portForward(ports: [Int]?)
        /// Runs a command and answers with what it printed.
        case run(command: [String])
    }
    var kind: Kind
    var namespace: String
    var pod: String
    /// Empty for any.
    var uid: String
    /// Empty for a port-forward.
    var container: String

    /// Nil when the path leads elsewhere: `exec`, `attach` and `run` want `NAMESPACE/POD[/UID]/CONTAINER`,
    /// `portForward` `NAMESPACE/POD[/UID]`.
    init?(_ path: [String], _ query: Query) {
        switch path.first {
        case "exec": kind = .exec(command: query.command, query.streams)
        case "attach": kind = .attach(query.streams)
        case "portForward": kind = .portForward(ports: query.ports)
        case "run": kind = .run(command: (query["cmd"] ?? "").split(separator: " ").map(String.init))
        default: return nil
        }
        var rest = Array(path.dropFirst())
        if path.first == "portForward" {
            container = ""
        } else {
            guard rest.count >= 3, let last = rest.popLast() else { return nil }
            container = last
        }
        guard rest.count == 2 || rest.count == 3 else { return nil }
        namespace = rest[0]
        pod = rest[1]
        uid = rest.count == 3 ? rest[2] : ""
    }

    /// What is wrong with it, in the kubelet's words.
    var fault: String? {
        switch kind {
        case .exec(let command, _) where command.isEmpty: "you must specify a command"
        case .exec(_, let streams) where streams.isEmpty: "you must specify at least 1 of stdin, stdout, stderr"
        case .attach(let streams) where streams.isEmpty: "you must specify at least 1 of stdin, stdout, stderr"
        case .portForward(nil): "query parameter \"port\" must be a list of numbers from 1 to 65535"
        case .run(let command) where command.isEmpty: "you must specify a command in the query parameter \"cmd\""
        default: nil
        }
    }
}

extension RemoteStreams {
    fileprivate var isEmpty: Bool { !stdin && !stdout && !stderr }
}

/// How a stream gets from its caller to the runtime.
enum StreamRoute: Sendable, Hashable {
    /// The runtime speaks the caller's protocol: its bytes are passed through.
    case passed
    /// The caller speaks a WebSocket protocol that only this side knows; the runtime gets SPDY.
    case translated
    /// SPDY inside the messages of a WebSocket.
    case tunnelled
    /// Neither SPDY nor WebSocket.
    case refused(String)

    /// The subprotocol that can end the standard input alone.
    static let closing = "v5.channel.k8s.io"
    /// The subprotocol that carries SPDY.
    static let tunnel = "SPDY/3.1+portforward.k8s.io"

    init(_ head: HTTPRequest, _ kind: StreamWish.Kind) {
        if head.headerFields[.upgrade]?.lowercased() == "spdy/3.1" {
            self = .passed
            return
        }
        guard WebSocketHandshake.isWanted(head) else {
            self = .refused("Upgrade request required")
            return
        }
        let offered = WebSocketHandshake.protocols(of: head)
        if case .portForward = kind {
            self = offered.contains(Self.tunnel) ? .tunnelled : .passed
        } else {
            self = offered.contains(Self.closing) ? .translated : .passed
        }
    }
}
