internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletRuntime
internal import Synchronization

/// The channels of a remote command (k8s.io/apimachinery pkg/util/remotecommand): the first byte of each message.
enum RemoteChannel: UInt8, Sendable, CaseIterable {
    case stdin = 0
    case stdout = 1
    case stderr = 2
    case error = 3
    case resize = 4

    /// v5 only: the message's second byte names a channel that ends.
    static let close: UInt8 = 255

    /// The SPDY stream of it; a client's are odd.
    var stream: UInt32 { UInt32(rawValue) * 2 + 1 }
    /// The value of `streamType`.
    var type: String {
        switch self {
        case .stdin: "stdin"
        case .stdout: "stdout"
        case .stderr: "stderr"
        case .error: "error"
        case .resize: "resize"
        }
    }

    init?(stream: UInt32) {
        guard let channel = Self.allCases.first(where: { $0.stream == stream }) else { return nil }
        self = channel
    }

    /// Those that a command with such streams has, in the order of their numbers, as SPDY wants them opened.
    static func all(of streams: RemoteStreams) -> [RemoteChannel] {
        allCases.filter { channel in
            switch channel {
            case .stdin: streams.stdin
            case .stdout: streams.stdout
            case .stderr: streams.stderr
            case .error: true
            case .resize: streams.tty
            }
        }
    }
}

/// A caller's WebSocket of v5.channel.k8s.io on one side, the runtime's SPDY of v4.channel.k8s.io on the other. Each
/// piece is passed on before the next is read, so that nothing is queued here.
struct RemoteCommandTranslator: Sendable {
    let client: WebSocketStream
    let runtime: SPDYConnection
    let streams: RemoteStreams

    func run(idle: Duration, in world: any World) async {
        await Splice.watched(
            idle: idle, in: world,
            cut: {
                client.cut()
                runtime.cut()
            }
        ) { moved in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await toRuntime(moved) }
                group.addTask { await toClient(moved, in: world) }
                // Whichever side ends first ends the other.
                await group.next()
                group.cancelAll()
            }
        }
        client.cut()
        runtime.cut()
    }

    // MARK: - From the caller

    private func toRuntime(_ moved: @Sendable (Int) -> Void) async {
        do {
            for channel in RemoteChannel.all(of: streams) {
                let headers = [SPDYHeader("streamtype", channel.type)]
                try await runtime.send(.open(stream: channel.stream, headers: headers, isLast: false))
            }
            var inlet = ChannelInlet(RemoteChannel.all(of: streams))
            var isOver = false
            while case .piece(let bytes, _, let isFirst, _)? = try await client.receive() {
                moved(bytes.count)
                guard let frame = inlet.take(bytes, isFirst: isFirst), !isOver else { continue }
                do {
                    try await runtime.send(frame)
                    moved(bytes.count)
                } catch {
                    // The command has ended. What its caller still sends is read, so that it gets to read how.
                    isOver = true
                }
            }
        } catch {
            // The caller has gone, and so does the command's connection.
        }
    }

    // MARK: - From the runtime

    private func toClient(_ moved: @Sendable (Int) -> Void, in world: any World) async {
        var open = Set(RemoteChannel.all(of: streams)).subtracting([.stdin, .resize])
        var hasStatus = false
        var failure: String?
        do {
            loop: while !open.isEmpty, let frame = try await runtime.receive() {
                switch frame {
                case .data(let stream, let bytes, let isLast):
                    guard let channel = RemoteChannel(stream: stream) else { continue }
                    if channel == .error && !bytes.isEmpty { hasStatus = true }
                    if !bytes.isEmpty {
                        moved(bytes.count)
                        try await client.send([channel.rawValue] + bytes)
                    }
                    if isLast { open.remove(channel) }
                case .reset(let stream, _):
                    if let channel = RemoteChannel(stream: stream) { open.remove(channel) }
                case .goAway: break loop
                case .open(let stream, _, _): try await runtime.send(.reset(stream: stream, status: 1))
                case .reply, .headers, .ping, .window, .settings: continue
                }
            }
        } catch {
            failure = "\(error)"
        }
        if Task.isCancelled { return }
        if !hasStatus {
            let why = failure ?? "the container runtime has ended the connection"
            let status: JSON = [
                "metadata": [:], "status": "Failure", "reason": "InternalError", "code": 500,
                "message": .string("Internal error occurred: \(why)"),
            ]
            try? await client.send([RemoteChannel.error.rawValue] + status.encoded())
        }
        await client.close(code: 1000, reason: "")
        // The caller closes its side, too, which ends the other task; it has a moment for it.
        try? await world.sleep(for: Limits.streamFarewell)
    }
}

/// Turns the pieces of a caller's messages into frames. A message's first byte names its channel.
struct ChannelInlet: Sendable {
    private enum Message: Sendable {
        case none
        case channel(RemoteChannel)
        /// The byte that names the channel to end is still to come.
        case close
        /// For a channel that was not asked for.
        case ignored
    }
    private let channels: Set<RemoteChannel>
    private var ended: Set<RemoteChannel> = []
    private var message = Message.none

    init(_ channels: [RemoteChannel]) { self.channels = Set(channels) }

    /// The frame that a piece becomes; nil when it is for nobody.
    mutating func take(_ bytes: [UInt8], isFirst: Bool) -> SPDYFrame? {
        var rest = bytes[...]
        if isFirst {
            guard let name = rest.popFirst() else {
                message = .ignored
                return nil
            }
            if name == RemoteChannel.close {
                message = .close
            } else if let channel = RemoteChannel(rawValue: name), Self.isInward(channel), channels.contains(channel) {
                message = .channel(channel)
            } else {
                message = .ignored
            }
        }
        switch message {
        case .channel(let channel) where !rest.isEmpty && !ended.contains(channel):
            return .data(stream: channel.stream, Array(rest), isLast: false)
        case .close:
            guard let name = rest.popFirst() else { return nil }
            message = .ignored
            guard let channel = RemoteChannel(rawValue: name), Self.isInward(channel), channels.contains(channel),
                ended.insert(channel).inserted
            else { return nil }
            return .data(stream: channel.stream, [], isLast: true)
        default: return nil
        }
    }

    private static func isInward(_ channel: RemoteChannel) -> Bool { channel == .stdin || channel == .resize }
}

/// The messages of a WebSocket as a stream of bytes.
final class WebSocketBytes: ByteStream {
    private let socket: WebSocketStream
    private let left = Mutex<[UInt8]>([])

    init(_ socket: WebSocketStream) { self.socket = socket }

    deinit { socket.cut() }

    var peer: Endpoint? { nil }

    func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            let piece = left.withLock { left in
                let piece = Array(left.prefix(limit))
                left.removeFirst(piece.count)
                return piece
            }
            if !piece.isEmpty { return piece }
            guard case .piece(let bytes, _, _, _)? = try await socket.receive() else { return [] }
            left.withLock { $0 = bytes }
        }
    }

    func write(_ bytes: [UInt8]) async throws { try await socket.send(bytes) }
    func closeWrite() async { await socket.close(code: 1000, reason: "") }
    func close() { socket.cut() }
}
