public import HTTPTypes
public import MartletBase
public import MartletHTTP
internal import Synchronization

/// Carries requests to one of several masters, and to another one when that is gone.
///
/// The master in use is asked for a sign of life all the time. When it gives none, all its connections are closed:
/// watches end and are resumed elsewhere, and requests that may be sent twice are sent to another master. A master that
/// vanishes costs less than a second.
public final class MastersTransport: ClientTransport {
    /// How often the master in use is asked whether it lives, and how long it may take to say so.
    static let pingPause: Duration = .milliseconds(300)
    static let pingPatience: Duration = .milliseconds(500)
    /// The same where there is no other one to go to.
    static let lonelyPatience: Duration = .seconds(5)
    /// How long a connection may take.
    static let connectPatience: Duration = .milliseconds(700)
    /// A look that comes so late says that this machine is busy, and nothing of the master.
    static let lateness: Duration = .milliseconds(150)

    private struct State {
        var endpoints: [Endpoint]
        var line: Line?
        var task: Task<Void, Never>?
    }
    private let state: Mutex<State>
    private let world: any World
    private let tls: TLSClient?

    /// A transport to masters at these endpoints; call ``start()`` before use. It begins with any of them, so that many
    /// workers are spread over the masters.
    public init(_ endpoints: [Endpoint], in world: any World, tls: TLSClient?) {
        self.world = world
        self.tls = tls
        let turn = endpoints.isEmpty ? 0 : Int(world.random() % UInt64(endpoints.count))
        state = Mutex(State(endpoints: Array(endpoints[turn...] + endpoints[..<turn])))
    }

    deinit { state.withLock { $0.task }?.cancel() }

    /// Begins to look after the master in use.
    public func start() {
        let task = world.spawn { [weak self, world] in
            var due = world.now() + Self.pingPause
            while (try? await world.sleep(until: due)) != nil {
                await self?.look(isLate: world.now() - due > Self.lateness)
                due = world.now() + Self.pingPause
            }
        }
        state.withLock { $0.task = task }
    }

    /// Ends it; connections are closed.
    public func stop() {
        let (task, line) = state.withLock { state in
            defer { (state.task, state.line) = (nil, nil) }
            return (state.task, state.line)
        }
        task?.cancel()
        line?.close()
    }

    /// The masters, the one in use first.
    public var endpoints: [Endpoint] { state.withLock { $0.endpoints } }

    /// Goes by another list of masters from now on. The one in use stays so while it is among them.
    public func setEndpoints(_ endpoints: [Endpoint]) {
        guard !endpoints.isEmpty else { return }
        let dropped: Line? = state.withLock { state in
            let kept = state.endpoints.filter(endpoints.contains)
            state.endpoints = kept + endpoints.filter { !kept.contains($0) }
            guard let line = state.line, line.endpoint != state.endpoints[0] else { return nil }
            state.line = nil
            return line
        }
        dropped?.close()
    }

    /// Sends one request; returns when the answer's head is there.
    public func send(_ request: HTTPRequest, body: [UInt8]) async throws -> ClientResponse {
        var tries = 0
        while true {
            let line = line()
            do {
                return try await line.client.send(request, body: .bytes(body))
            } catch let error as CancellationError {
                throw error
            } catch {
                if Task.isCancelled { throw CancellationError() }
                // What is wrong with a message is so at every master; what is cut off is not.
                if let error = error as? HTTPError, error != .unexpectedEnd { throw error }
                leave(line)
                tries += 1
                let isUnsent = error is NotConnected
                guard tries <= endpoints.count, isUnsent || Self.mayBeRepeated(request.method) else {
                    throw (error as? NotConnected)?.cause ?? error
                }
            }
        }
    }

    /// What may be sent twice (RFC 9110, 9.2.2).
    static func mayBeRepeated(_ method: HTTPRequest.Method) -> Bool {
        [.get, .head, .options, .put, .delete].contains(method)
    }

    private func line() -> Line {
        state.withLock { state in
            if let line = state.line { return line }
            let line = Line(state.endpoints.first ?? .ip("127.0.0.1", port: 6443), in: world, tls: tls)
            state.line = line
            return line
        }
    }

    /// Goes to the next master, unless somebody has already.
    private func leave(_ line: Line) {
        state.withLock { state in
            guard state.line === line else { return }
            state.line = nil
            if state.endpoints.first == line.endpoint { state.endpoints.append(state.endpoints.removeFirst()) }
        }
        line.close()
    }

    private func look(isLate: Bool) async {
        guard let line = state.withLock({ $0.line }), !isLate else { return }
        let isLonely = endpoints.count < 2
        let request = Client.request(.get, "/readyz")
        do {
            let answer = try await world.limited(to: isLonely ? Self.lonelyPatience : Self.pingPatience, "the ping") {
                try await line.client.send(request)
            }
            _ = try await answer.body.collect(limit: ClientBounds.line)
            // A master that the others cannot reach answers, but knows nothing new.
            if answer.head.status.code >= 500, !isLonely { leave(line) }
        } catch {
            if !Task.isCancelled { leave(line) }
        }
    }
}

/// The connections to one master.
private final class Line: Sendable {
    let endpoint: Endpoint
    let client: HTTPClient
    private let streams: StreamTable

    init(_ endpoint: Endpoint, in world: any World, tls: TLSClient?) {
        self.endpoint = endpoint
        streams = StreamTable()
        let name = if case .ip(let address, _) = endpoint { address } else { "localhost" }
        client = HTTPClient(
            endpoint: endpoint, serverName: name,
            in: LineWorld(world: ConnectLimit(world: world, limit: MastersTransport.connectPatience), streams: streams),
            tls: tls)
    }

    /// Ends all that is under way.
    func close() {
        client.close()
        streams.closeAll()
    }
}

/// A world whose connections are known.
private struct LineWorld: WorldInFront {
    let world: any World
    let streams: StreamTable

    func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        streams.add(try await world.connect(to: endpoint))
    }
}

/// The streams that are open: one for each connection.
private final class StreamTable: Sendable {
    private struct State {
        var open: [Int: any ByteStream] = [:]
        var next = 0
        var isClosed = false
    }
    private let state = Mutex(State())

    func add(_ stream: any ByteStream) -> any ByteStream {
        let number = state.withLock { state in
            state.next += 1
            if !state.isClosed { state.open[state.next] = stream }
            return state.isClosed ? 0 : state.next
        }
        if number == 0 { stream.close() }
        return KnownStream(stream, number, self)
    }

    func remove(_ number: Int) { _ = state.withLock { $0.open.removeValue(forKey: number) } }

    func closeAll() {
        let all = state.withLock { state in
            state.isClosed = true
            defer { state.open = [:] }
            return state.open.values
        }
        for stream in all { stream.close() }
    }
}

/// A stream that is taken off its table with its end.
private final class KnownStream: ByteStream {
    private let stream: any ByteStream
    private let number: Int
    private let table: StreamTable

    init(_ stream: any ByteStream, _ number: Int, _ table: StreamTable) {
        self.stream = stream
        self.number = number
        self.table = table
    }

    deinit { close() }

    var peer: Endpoint? { stream.peer }
    func read(atMost limit: Int) async throws -> [UInt8] { try await stream.read(atMost: limit) }
    func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }
    func closeWrite() async { await stream.closeWrite() }
    func close() {
        table.remove(number)
        stream.close()
    }
}
