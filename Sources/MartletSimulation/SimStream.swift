internal import DequeModule
internal import MartletBase
internal import Synchronization

/// Byte streams of a simulated network: a pair of pipes, each in order and without loss, as TCP gives them.
///
/// While a link is blocked its pipes stand still; after ``resetAfter`` both ends are reset, as by TCP's user timeout.
enum StreamLimits {
    /// Bytes under way in one direction; a writer waits for room.
    static let window = 256 << 10
    /// A pipe that stands still is looked at again after so long.
    static let retry: UInt64 = 50_000_000
    /// A blocked pipe gives up after so long.
    static let resetAfter: UInt64 = 5_000_000_000
    /// Streams that wait to be accepted.
    static let backlog = 128
}

extension SimNetwork {
    func listen(at host: Int, on endpoint: Endpoint) throws -> any StreamListener {
        try state.withLock { state in
            if state.isOver { throw NetworkError.closed }
            var endpoint = endpoint
            if case .ip(let address, 0) = endpoint {
                state.nextPort += 1
                endpoint = .ip(address, port: state.nextPort)
            }
            guard state.listeners[endpoint] == nil else {
                throw NetworkError.system(operation: "listen on \(endpoint)", .addressInUse)
            }
            let listener = SimListener(endpoint, host: host, network: self)
            state.listeners[endpoint] = listener
            return listener
        }
    }

    func connect(from host: Int, to endpoint: Endpoint) async throws -> any ByteStream {
        let (listener, delay) = state.withLock { ($0.listeners[endpoint], $0.delay() + $0.delay()) }
        try await scheduler.sleep(until: scheduler.now + delay)
        guard let listener else {
            throw NetworkError.system(operation: "connect to \(endpoint)", .connectionRefused)
        }
        var waited: UInt64 = 0
        while !isOpen(from: host, to: listener.host) || !isOpen(from: listener.host, to: host) {
            if waited >= StreamLimits.resetAfter { throw NetworkError.timedOut("connect to \(endpoint)") }
            try await scheduler.sleep(until: scheduler.now + StreamLimits.retry)
            waited += StreamLimits.retry
        }
        let there = SimPipe(from: host, to: listener.host, self)
        let back = SimPipe(from: listener.host, to: host, self)
        let near = SimStream(reads: back, writes: there, peer: endpoint)
        let far = SimStream(reads: there, writes: back, peer: .ip("10.0.0.\(host)", port: 40_000))
        state.withLock { state in
            state.streams = state.streams.filter { $0.value.stream != nil }
            state.streams[ObjectIdentifier(near)] = WeakStream(stream: near, host: host)
            state.streams[ObjectIdentifier(far)] = WeakStream(stream: far, host: listener.host)
        }
        guard listener.offer(far) else {
            throw NetworkError.system(operation: "connect to \(endpoint)", .connectionRefused)
        }
        return near
    }

    func forget(_ listener: SimListener) {
        state.withLock { state in
            if state.listeners[listener.endpoint] === listener { state.listeners[listener.endpoint] = nil }
        }
    }
}

/// Listens in a simulated network.
final class SimListener: StreamListener {
    let endpoint: Endpoint
    let host: Int
    private let network: SimNetwork
    private struct State {
        var arrived: Deque<SimStream> = []
        var waiting: Deque<CheckedContinuation<SimStream, any Error>> = []
        var isClosed = false
    }
    private let state = Mutex(State())

    init(_ endpoint: Endpoint, host: Int, network: SimNetwork) {
        self.endpoint = endpoint
        self.host = host
        self.network = network
    }

    func offer(_ stream: SimStream) -> Bool {
        let (isTaken, waiter) = state.withLock { state in
            if state.isClosed || state.arrived.count >= StreamLimits.backlog {
                return (false, nil as CheckedContinuation<SimStream, any Error>?)
            }
            if let waiter = state.waiting.popFirst() { return (true, waiter) }
            state.arrived.append(stream)
            return (true, nil)
        }
        waiter?.resume(returning: stream)
        return isTaken
    }

    func accept() async throws -> any ByteStream {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<SimStream, any Error>) in
            let found: Result<SimStream, any Error>? = state.withLock { state in
                if let stream = state.arrived.popFirst() { return .success(stream) }
                if state.isClosed { return .failure(NetworkError.closed) }
                state.waiting.append(continuation)
                return nil
            }
            if let found { continuation.resume(with: found) }
        }
    }

    func close() {
        let (waiting, arrived) = state.withLock { state in
            state.isClosed = true
            defer {
                state.waiting = []
                state.arrived = []
            }
            return (state.waiting, state.arrived)
        }
        for waiter in waiting { waiter.resume(throwing: NetworkError.closed) }
        for stream in arrived { stream.close() }
        network.forget(self)
    }
}

/// One end of a simulated stream.
final class SimStream: ByteStream {
    let peer: Endpoint?
    private let reads: SimPipe
    private let writes: SimPipe

    init(reads: SimPipe, writes: SimPipe, peer: Endpoint?) {
        self.reads = reads
        self.writes = writes
        self.peer = peer
    }

    deinit { close() }

    /// Orders streams for what is done to many of them.
    var id: UInt64 { writes.id }

    func read(atMost limit: Int) async throws -> [UInt8] { try await reads.read(atMost: limit) }
    func write(_ bytes: [UInt8]) async throws { try await writes.write(bytes) }
    func closeWrite() async { writes.finish() }

    func close() {
        writes.finish()
        writes.failWriter(.closed)
        reads.abandon(.closed)
    }

    /// The host is gone: nothing more leaves it, and the peer learns so as it learns of all else, after a while.
    func crash() {
        writes.cut()
        writes.failWriter(.closed)
        reads.abandon(.closed)
    }
}

/// One direction of a stream.
final class SimPipe: Sendable {
    private struct Chunk {
        var bytes: [UInt8]
        var arrival: UInt64
    }

    private struct State {
        /// Under way.
        var flight: Deque<Chunk> = []
        var flightBytes = 0
        /// Arrived.
        var ready: [UInt8] = []
        var lastArrival: UInt64 = 0
        var hasEnded = false
        var isReset = false
        var isPumping = false
        var blockedSince: UInt64?
        var readFailure: NetworkError?
        var writeFailure: NetworkError?
        var readEnd = false
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
    }

    let id: UInt64
    private let from: Int
    private let to: Int
    private let network: SimNetwork
    private let state = Mutex(State())

    init(from: Int, to: Int, _ network: SimNetwork) {
        self.from = from
        self.to = to
        self.network = network
        id = network.state.withLock { $0.random.next() }
    }

    // MARK: The reader's end

    func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            try Task.checkCancellation()
            let found: [UInt8]? = try state.withLock { state in
                if let failure = state.readFailure { throw failure }
                if !state.ready.isEmpty {
                    let bytes = Array(state.ready.prefix(limit))
                    state.ready.removeFirst(bytes.count)
                    return bytes
                }
                return state.readEnd ? [] : nil
            }
            if let found {
                wake()
                return found
            }
            await wait { state, continuation in
                guard state.ready.isEmpty, state.readFailure == nil, !state.readEnd else { return continuation }
                defer { state.reader = continuation }
                return state.reader
            }
        }
    }

    /// The reader goes away; the writer's next write fails.
    func abandon(_ failure: NetworkError) {
        state.withLock { state in
            state.readFailure = state.readFailure ?? failure
            state.ready = []
            state.flight = []
            state.flightBytes = 0
            state.writeFailure =
                state.writeFailure ?? .system(operation: "write", .connectionReset)
        }
        wake()
    }

    // MARK: The writer's end

    func write(_ bytes: [UInt8]) async throws {
        while true {
            try Task.checkCancellation()
            let isTaken = try state.withLock { state in
                if let failure = state.writeFailure { throw failure }
                if state.hasEnded { throw NetworkError.closed }
                guard state.flightBytes + state.ready.count <= StreamLimits.window else { return false }
                send(bytes, &state)
                return true
            }
            if isTaken { return pump() }
            await wait { state, continuation in
                guard state.writeFailure == nil, !state.hasEnded,
                    state.flightBytes + state.ready.count > StreamLimits.window
                else { return continuation }
                defer { state.writer = continuation }
                return state.writer
            }
        }
    }

    private func send(_ bytes: [UInt8], _ state: inout State) {
        let (delay, isReset) = network.state.withLock { ($0.delay(), $0.draw($0.weather.resetOneIn)) }
        state.lastArrival = max(state.lastArrival, network.scheduler.now + delay)
        if isReset { state.isReset = true }
        state.flight.append(Chunk(bytes: bytes, arrival: state.lastArrival))
        state.flightBytes += bytes.count
    }

    /// Nothing more comes; what was written still arrives.
    func finish() {
        state.withLock { state in
            guard !state.hasEnded else { return }
            state.hasEnded = true
            send([], &state)
        }
        pump()
    }

    /// The host is gone: nothing more comes, not even an end, but a reset.
    func cut() {
        state.withLock { state in
            state.hasEnded = true
            state.isReset = true
            send([], &state)
        }
        pump()
    }

    func failWriter(_ failure: NetworkError) {
        state.withLock { $0.writeFailure = $0.writeFailure ?? failure }
        wake()
    }

    // MARK: Between

    /// Sees to it that what is under way arrives.
    private func pump() {
        let delay: UInt64? = state.withLock { state in
            guard !state.isPumping, let next = state.flight.first else { return nil }
            state.isPumping = true
            let now = network.scheduler.now
            return next.arrival > now ? next.arrival - now : 0
        }
        guard let delay else { return }
        network.scheduler.after(delay) { self.arrive() }
    }

    private func arrive() {
        let isOpen = network.isOpen(from: from, to: to)
        let now = network.scheduler.now
        let isStalled = state.withLock { state in
            if !isOpen {
                let since = state.blockedSince ?? now
                state.blockedSince = since
                if now - since < StreamLimits.resetAfter { return true }
                state.isReset = true
            }
            state.blockedSince = nil
            state.isPumping = false
            deliver(&state, now)
            return false
        }
        if isStalled { return network.scheduler.after(StreamLimits.retry) { self.arrive() } }
        wake()
        pump()
    }

    private func deliver(_ state: inout State, _ now: UInt64) {
        if state.isReset {
            let failure = NetworkError.system(operation: "read", .connectionReset)
            state.readFailure = state.readFailure ?? failure
            state.writeFailure = state.writeFailure ?? failure
            state.flight = []
            state.flightBytes = 0
            return
        }
        while let next = state.flight.first, next.arrival <= now {
            state.flight.removeFirst()
            state.flightBytes -= next.bytes.count
            if next.bytes.isEmpty, state.hasEnded, state.flight.isEmpty { state.readEnd = true }
            state.ready += next.bytes
        }
    }

    /// Waits until something changed, or the task is cancelled. `register` returns whom to wake instead.
    private func wait(
        _ register: (inout State, CheckedContinuation<Void, Never>) -> CheckedContinuation<Void, Never>?
    ) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let stale = state.withLock { state in
                    Task.isCancelled ? continuation : register(&state, continuation)
                }
                stale?.resume()
            }
        } onCancel: {
            wake()
        }
    }

    private func wake() {
        let (reader, writer) = state.withLock { state in
            defer {
                state.reader = nil
                state.writer = nil
            }
            return (state.reader, state.writer)
        }
        reader?.resume()
        writer?.resume()
    }
}
