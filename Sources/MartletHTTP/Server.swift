internal import HTTPTypes
public import Logging
public import MartletBase
internal import Synchronization

/// Bounds of an HTTP server. Above them a request is refused with 413, 431 or 503, or its connection closed.
public struct HTTPServerLimits: Sendable {
    /// Bytes of a request's head.
    public var head = 64 * 1024
    /// Bytes of a request's body.
    public var body = 3 * 1024 * 1024
    /// Connections at one time. Above it those give way that wait for a request the longest; when none does, the new
    /// one is turned away.
    public var connections = 4096
    /// How long a connection may take for a handshake or a head.
    public var headTimeout: Duration = .seconds(30)
    /// How long a connection may be idle between requests, take for one write, or pause in a request's body.
    public var idleTimeout: Duration = .seconds(120)
    /// What a connection of HTTP/2 may do; nil to speak HTTP/1.1 alone. Over TLS the protocol is agreed on (ALPN `h2`);
    /// in the clear, it is told by the first bytes.
    public var http2: HTTP2Limits?

    /// The bounds that suit an API server.
    public init() {}
}

/// Bounds of one connection of HTTP/2, beside those that it shares with HTTP/1.1.
public struct HTTP2Limits: Sendable {
    /// Requests at one time; a client that respects the protocol waits with more.
    public var streams = 128
    /// Bytes that a client may send of one body before they are taken.
    public var streamWindow = 256 * 1024
    /// Bytes that a client may send of all bodies before they are taken.
    public var connectionWindow = 1024 * 1024
    /// Requests that a client may give up at once, or make us give up; more end the connection (CVE-2023-44487).
    public var resets = 1000
    /// How many more it may give up each second.
    public var resetsPerSecond = 100
    /// Frames that move nothing (settings, pings, priorities, windows, empty data) that may come at once; more end the
    /// connection.
    public var controls = 1000
    /// How many more may come each second. What moves something earns some, too.
    public var controlsPerSecond = 100

    /// The bounds that suit clients.
    public init() {}
}

/// Serves HTTP/1.1 (keep-alive, chunked, 100-continue, upgrades) and HTTP/2 where it is asked to, over TLS when given.
///
/// Dropping the server stops it at once, as ``shutdown(grace:)`` with no grace would.
public final class HTTPServer: Sendable {
    private let core: ServerCore

    private init(core: ServerCore) { self.core = core }

    deinit { core.cutAll() }

    /// Starts serving on `endpoint`.
    /// - Parameters:
    ///   - world: where it runs.
    ///   - tls: nil for plain text.
    ///   - preface: whose connections begin with a PROXY header (``ProxyPreface``), and are closed without one; nil for
    ///     nobody's.
    /// - Throws: ``NetworkError`` when the endpoint cannot be listened on.
    public static func start(
        on endpoint: Endpoint, in world: any World, tls: TLSServer? = nil, limits: HTTPServerLimits = .init(),
        preface: (@Sendable (IPAddress) -> Bool)? = nil, logger: Logger, handler: any RequestHandler
    ) async throws -> HTTPServer {
        let listener = try await world.listen(on: endpoint)
        let core = ServerCore(
            listener: listener, world: world, tls: tls, limits: limits, preface: preface, logger: logger,
            handler: handler)
        world.spawn { await core.accept() }
        return HTTPServer(core: core)
    }

    /// What is really listened on.
    public var endpoint: Endpoint { core.listener.endpoint }

    /// How many connections are open.
    public var connections: Int { core.connections }

    /// Each connection that is open now ends with its next answer, which says so: clients go elsewhere, and no request
    /// is lost on the way.
    public func retireConnections() { core.retire(newOnes: false) }

    /// Ends without losing a request of anybody who may go elsewhere. For `settle`, connections are still taken, and
    /// each ends with its next answer; it is skipped when nobody is connected. Then as ``shutdown(grace:)``.
    public func drain(settle: Duration, grace: Duration) async {
        core.retire(newOnes: true)
        await core.waitUntilAlone(atMost: settle)
        await core.shutdown(grace: grace)
    }

    /// Stops accepting, lets requests in flight end for at most `grace`, then closes every connection.
    public func shutdown(grace: Duration) async {
        await core.shutdown(grace: grace)
    }
}

/// What the connections of one server share.
final class ServerCore: Sendable {
    let listener: any StreamListener
    let world: any World
    let limits: HTTPServerLimits
    let handler: any RequestHandler
    let scratch = PlainScratch()
    /// What serves HTTP/2, when that is spoken here.
    private let grpc: GRPCServing?
    private let tls: TLSServer?
    private let preface: (@Sendable (IPAddress) -> Bool)?
    private let logger: Logger

    private struct State: Sendable {
        var isStopping = false
        var isRetiring = false
        var sweeps = false
        var nextID: UInt64 = 0
        var records: [UInt64: ServerRecord] = [:]
        var whenEmpty: [CheckedContinuation<Void, Never>] = []
        var dateSecond: Int64 = .min
        var dateLine: [UInt8] = []
    }
    private let state: Mutex<State>

    init(
        listener: any StreamListener, world: any World, tls: TLSServer?, limits: HTTPServerLimits,
        preface: (@Sendable (IPAddress) -> Bool)? = nil, logger: Logger, handler: any RequestHandler,
        grpc: GRPCServing? = nil
    ) {
        self.listener = listener
        self.world = world
        self.tls = tls
        self.preface = preface
        self.limits = limits
        self.logger = logger
        self.handler = handler
        self.grpc = grpc
        state = Mutex(State())
    }

    /// How many connections are open.
    var connections: Int { state.withLock { $0.records.count } }

    /// Whether the server takes no further requests.
    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// The `Date` line of this second, made once a second.
    func dateLine() -> [UInt8] {
        let second = world.wallTime().seconds
        return state.withLock {
            if $0.dateSecond != second {
                $0.dateSecond = second
                $0.dateLine = DateLine.bytes(at: second)
            }
            return $0.dateLine
        }
    }

    // MARK: Accepting

    /// Takes connections until the listener is closed. When the system refuses (too many open files, say), it waits
    /// a little and tries again.
    func accept() async {
        var pause = Duration.milliseconds(10)
        while !isStopping {
            do {
                let stream = try await listener.accept()
                pause = .milliseconds(10)
                admit(stream)
            } catch NetworkError.closed {
                return
            } catch is CancellationError {
                return
            } catch {
                if isStopping { return }
                logger.warning("\(listener.endpoint): cannot accept: \(error); next try in \(pause)")
                try? await world.sleep(for: pause)
                pause = min(pause * 2, .seconds(1))
            }
        }
    }

    private func admit(_ stream: any ByteStream) {
        let record = ServerRecord(stream, in: world)
        let (id, late): (UInt64?, [ServerRecord]) = state.withLock { state in
            let late = state.records.count < limits.connections ? [] : makeRoom(in: &state)
            guard !state.isStopping, state.records.count < limits.connections else { return (nil, late) }
            state.nextID += 1
            state.records[state.nextID] = record
            if state.isRetiring { record.retire() }
            return (state.nextID, late)
        }
        for record in late { record.cut() }
        guard let id else { return turnAway(stream) }
        record.enter(.handshake, for: limits.headTimeout)
        record.setTask(
            world.spawn {
                await self.serve(stream, record)
                self.remove(id)
            })
        startSweeping()
    }

    /// Takes out those that wait for a request, or for its head, the longest: some at once, so that many who come do
    /// not each look at all.
    private func makeRoom(in state: inout State) -> [ServerRecord] {
        let waiting = state.records.compactMap { id, record in record.waitsUntil.map { (id: id, until: $0) } }
            .sorted { $0.until < $1.until }
        return waiting.prefix(max(1, limits.connections / HTTPBounds.roomMade))
            .compactMap { state.records.removeValue(forKey: $0.id) }
    }

    /// One connection too many: told so in plain text, just closed under TLS.
    private func turnAway(_ stream: any ByteStream) {
        guard tls == nil else { return stream.close() }
        world.spawn {
            try? await stream.write(
                Refusal.bytes(.serviceUnavailable, "too many connections; try again later", by: self.handler))
            stream.close()
        }
    }

    private func serve(_ stream: any ByteStream, _ record: ServerRecord) async {
        var peer = Peer(endpoint: stream.peer)
        guard await takePreface(of: stream, into: &peer) else { return stream.close() }
        var carrier = stream
        if let tls {
            do {
                let secure = try await tls.accept(stream)
                peer.isSecure = true
                peer.certificate = secure.peerCertificate
                peer.showedBadCertificate = secure.peerIsUnverified
                peer.serverName = secure.serverName
                peer.tlsVersion = secure.version
                carrier = secure
                record.setStream(secure)
            } catch {
                logger.debug("\(listener.endpoint): handshake failed: \(error)")
                return stream.close()
            }
        }
        if let grpc { return await grpc.serve(carrier, peer: peer, record: record, core: self) }
        var first: [UInt8] = []
        if let http2 = limits.http2 {
            guard let begun = await firstBytes(of: carrier) else { return carrier.close() }
            if begun.starts(with: GRPCServing.preface) {
                peer.isHTTP2 = true
                let link = WebServerLink(self, http2, peer: peer, record: record)
                return await link.run(carrier, first: begun)
            }
            first = begun
        }
        await ServerConnection(carrier, first: first, peer: peer, record: record, core: self).run()
    }

    /// Takes what a load balancer says off its connection; false when it says nothing that can be read.
    private func takePreface(of stream: any ByteStream, into peer: inout Peer) async -> Bool {
        guard let preface, case .ip(let text, _)? = peer.endpoint, let address = IPAddress(text), preface(address)
        else { return true }
        do {
            if let source = try await ProxyPreface.take(from: stream) {
                peer.endpoint = source
                peer.isBehindBalancer = true
            }
            return true
        } catch {
            logger.info(
                "a load balancer's connection ends",
                metadata: ["listener": "\(listener.endpoint)", "balancer": "\(address)", "error": "\(error)"])
            return false
        }
    }

    /// So many bytes that it is clear which protocol they are of; nil when there are none.
    private func firstBytes(of stream: any ByteStream) async -> [UInt8]? {
        if let secure = stream as? TLSStream, let name = secure.applicationProtocol {
            if name != "h2" { return [] }
        }
        var first: [UInt8] = []
        while first.count < GRPCServing.preface.count && GRPCServing.preface.starts(with: first) {
            guard let more = try? await stream.read(atMost: HTTPBounds.read), !more.isEmpty else {
                return first.isEmpty ? nil : first
            }
            first += more
        }
        return first
    }

    private func remove(_ id: UInt64) {
        let waiting: [CheckedContinuation<Void, Never>] = state.withLock { state in
            state.records[id] = nil
            guard state.records.isEmpty else { return [] }
            defer { state.whenEmpty = [] }
            return state.whenEmpty
        }
        for continuation in waiting { continuation.resume() }
    }

    // MARK: Time

    /// One task looks after the deadlines of all connections, while there are any: a request costs no timer.
    private func startSweeping() {
        let starts = state.withLock { state in
            defer { state.sweeps = true }
            return !state.sweeps
        }
        guard starts else { return }
        let tick = min(max(min(limits.headTimeout, limits.idleTimeout) / 8, .milliseconds(5)), .seconds(1))
        world.spawn {
            while self.sweep() { try? await self.world.sleep(for: tick) }
        }
    }

    private func sweep() -> Bool {
        let records: [ServerRecord]? = state.withLock {
            if $0.records.isEmpty { $0.sweeps = false }
            return $0.sweeps ? Array($0.records.values) : nil
        }
        guard let records else { return false }
        let now = world.now()
        for record in records { record.expire(at: now, handler) }
        return true
    }

    // MARK: Stopping

    /// How often it is looked whether anybody is connected still.
    private static let lookEvery = Duration.milliseconds(20)

    /// Lets connections end with their next answers: those that are open, and those to come where `newOnes` says so.
    func retire(newOnes: Bool) {
        let records = state.withLock { state in
            if newOnes { state.isRetiring = true }
            return Array(state.records.values)
        }
        for record in records { record.retire() }
    }

    /// Returns when nobody is connected, or the time is over. Connections that end with their answers leave nobody for
    /// a moment, before those who asked come again: once somebody was there, nobody may come for a quarter of the time.
    func waitUntilAlone(atMost limit: Duration) async {
        var (last, isAlone) = state.withLock { ($0.nextID, $0.records.isEmpty) }
        if isAlone { return }
        let end = world.now() + limit
        var quietUntil = end
        while world.now() < min(end, quietUntil) {
            guard (try? await world.sleep(for: Self.lookEvery)) != nil else { return }
            let before = (last, isAlone)
            (last, isAlone) = state.withLock { ($0.nextID, $0.records.isEmpty) }
            if !isAlone {
                quietUntil = end
            } else if before != (last, true) {
                quietUntil = world.now() + limit / 4
            }
        }
    }

    func shutdown(grace: Duration) async {
        let records = stop()
        for record in records where !record.stop() { record.cut() }
        let timer = world.spawn {
            guard (try? await self.world.sleep(for: grace)) != nil else { return }
            self.cutAll()
        }
        await whenEmpty()
        timer.cancel()
    }

    /// Ends everything at once.
    func cutAll() {
        for record in stop() { record.cut() }
    }

    private func stop() -> [ServerRecord] {
        listener.close()
        return state.withLock {
            $0.isStopping = true
            return Array($0.records.values)
        }
    }

    private func whenEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock {
                if !$0.records.isEmpty { $0.whenEmpty.append(continuation) }
                return $0.records.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
    }
}
