public import Logging
public import MartletBase
public import MartletClient
internal import MartletObject
public import MartletRoutes
internal import Synchronization

/// How a node's DNS is set up.
public struct DNSServerConfiguration: Sendable {
    /// Where it answers, over UDP and TCP: one address of this machine, from which answers come. Port 0 takes a free
    /// one.
    public var endpoint: Endpoint
    /// The cluster's domain.
    public var domain = "cluster.local"
    /// Which names of pods there are.
    public var podNames = DNSZone.PodNames.insecure
    /// The resolvers that are asked about all other names, in this order.
    public var upstreams: [Endpoint] = []

    /// A server of `cluster.local` that asks no other.
    public init(endpoint: Endpoint) { self.endpoint = endpoint }
}

/// What bounds a node's DNS.
enum DNSServerLimits {
    /// TCP connections at one time; for a further one, another is closed.
    static let connections = 128
    /// How long a connection may say nothing.
    static let idle = Duration.seconds(10)
    /// Ports tried for one question to another resolver.
    static let ports = 8
    /// The longest between two looks for resolvers that have not answered.
    static let tick = Duration.milliseconds(250)
}

/// A node's DNS: answers for the cluster's names from memory and asks others about the rest.
public final class DNSServer: Sendable {
    private enum Asker {
        case datagram(DatagramPeer)
        case stream(CheckedContinuation<[UInt8], Never>)
    }
    private struct Connection {
        let stream: any ByteStream
        /// The client's address, without its port.
        let client: String
        var lastHeard: MonotonicTime
    }
    private struct State {
        var responder: DNSResponder
        var askers: [UInt64: Asker] = [:]
        var exchanges: [UInt64: Task<Void, Never>] = [:]
        var lastTicket: UInt64 = 0
        var unsynced: Int
        var isTicking = false
        var connections: [UInt64: Connection] = [:]
        var lastConnection: UInt64 = 0
        var port: (any DatagramPort)?
        var listener: (any StreamListener)?
        var followers: [Task<Void, Never>] = []
        var isStopped = false
    }
    private let state: Mutex<State>
    private let kinds: [ResourceKind]
    private let world: any DatagramWorld
    private let logger: Logger

    /// Starts a server. It answers at once: SERVFAIL for the cluster's names until all of them are known.
    /// - Throws: `NetworkError` when the endpoint cannot be had, or the domain is no name.
    public static func start(
        _ configuration: DNSServerConfiguration, client: Client, in world: any DatagramWorld, logger: Logger
    ) async throws -> DNSServer {
        guard case .ip(let address, _) = configuration.endpoint, address != "0.0.0.0", address != "::" else {
            throw NetworkError.badAddress("\(configuration.endpoint), of which answers could not come from, ")
        }
        guard let zone = DNSZone(domain: configuration.domain, address: address, podNames: configuration.podNames)
        else { throw NetworkError.badAddress("the domain \"\(configuration.domain)\"") }
        // A resolver at our own address would ask us.
        let upstreams = configuration.upstreams.filter { $0 != configuration.endpoint }
        let server = DNSServer(
            DNSResponder(zone: zone, forwarder: DNSForwarder(upstreams: upstreams)), world, logger)
        try await server.listen(on: configuration.endpoint)
        server.follow(client)
        server.carryOut(
            server.state.withLock { state in
                state.responder.forwarder.probe(at: world.now(), chance: world.random)
            })
        return server
    }

    private init(_ responder: DNSResponder, _ world: any DatagramWorld, _ logger: Logger) {
        kinds = responder.zone.kinds
        state = Mutex(State(responder: responder, unsynced: responder.zone.kinds.count))
        self.world = world
        self.logger = logger
    }

    /// Where it answers; nil once it has stopped.
    public var endpoint: Endpoint? { state.withLock { $0.port?.endpoint } }

    /// Whether the cluster's names are known.
    public var isSynced: Bool { state.withLock { $0.unsynced == 0 } }

    /// Answers no more.
    public func stop() async {
        let (old, askers) = state.withLock { state in
            state.isStopped = true
            defer {
                (state.port, state.listener, state.askers) = (nil, nil, [:])
                (state.exchanges, state.connections, state.followers) = ([:], [:], [])
            }
            return ((state.port, state.listener, state.exchanges, state.connections, state.followers), state.askers)
        }
        old.0?.close()
        old.1?.close()
        for task in old.2.values { task.cancel() }
        for connection in old.3.values { connection.stream.close() }
        for task in old.4 { task.cancel() }
        for case .stream(let waiter) in askers.values { waiter.resume(returning: []) }
    }

    // MARK: The cluster's names

    private func follow(_ client: Client) {
        let followers = kinds.map { kind in
            world.spawn { [weak self, logger] in
                for await change in client.follow(kind, logger: logger) { self?.take(change, kind) }
            }
        }
        state.withLock { $0.followers = followers }
    }

    private func take(_ change: Change, _ kind: ResourceKind) {
        state.withLock { state in
            switch change {
            case .put(let object): state.responder.zone.put(object, kind: kind)
            case .removed(let object):
                state.responder.zone.remove(ObjectKey(kind, namespace: object.namespace, name: object.name))
            case .synced:
                state.unsynced -= 1
                if state.unsynced == 0 { state.responder.zone.isComplete = true }
            }
        }
    }

    // MARK: Questions

    private func listen(on endpoint: Endpoint) async throws {
        let port = try world.receiveDatagrams(on: endpoint) { [weak self] bytes, peer, answer in
            self?.receive(bytes, overTCP: false, .datagram(peer), &answer)
        }
        let listener: any StreamListener
        do { listener = try await world.listen(on: port.endpoint) } catch {
            port.close()
            throw error
        }
        state.withLock { ($0.port, $0.listener) = (port, listener) }
        world.spawn { [weak self] in
            while let stream = try? await listener.accept() { self?.serve(stream) }
        }
    }

    /// Answers into `answer`, or remembers who waits, and is true.
    @discardableResult
    private func receive(_ bytes: Span<UInt8>, overTCP: Bool, _ asker: Asker, _ answer: inout [UInt8]) -> Bool {
        let (wishes, isPending): ([DNSForwarder.Wish], Bool) = state.withLock { state in
            // Nobody would answer one who waits from now on.
            if state.isStopped { return ([], false) }
            let wishes = state.responder.receive(
                bytes, ticket: state.lastTicket + 1, overTCP: overTCP, at: world.now(), chance: world.random,
                into: &answer)
            if state.responder.isPending {
                state.lastTicket += 1
                state.askers[state.lastTicket] = asker
            }
            return (wishes, state.responder.isPending)
        }
        if !wishes.isEmpty { carryOut(wishes) }
        return isPending
    }

    private func serve(_ stream: any ByteStream) {
        let client = stream.peer.map(Self.client) ?? ""
        let (number, ended): (UInt64?, (any ByteStream)?) = state.withLock { state in
            if state.isStopped { return (nil, nil) }
            var ended: (any ByteStream)?
            if state.connections.count >= DNSServerLimits.connections, let number = Self.leastDeserving(state) {
                ended = state.connections.removeValue(forKey: number)?.stream
            }
            state.lastConnection += 1
            state.connections[state.lastConnection] = Connection(
                stream: stream, client: client, lastHeard: world.now())
            return (state.lastConnection, ended)
        }
        ended?.close()
        guard let number else { return stream.close() }
        world.spawn { [self] in
            try? await converse(stream, number)
            stream.close()
            state.withLock { $0.connections[number] = nil }
        }
    }

    private static func client(_ endpoint: Endpoint) -> String {
        if case .ip(let address, _) = endpoint { address } else { "\(endpoint)" }
    }

    /// Of the client that holds the most connections, the one that has been silent for longest (RFC 7766, 6.2.2 and
    /// 6.2.3): a client that holds all of them takes none from others.
    private static func leastDeserving(_ state: State) -> UInt64? {
        var held: [String: Int] = [:]
        for connection in state.connections.values { held[connection.client, default: 0] += 1 }
        let most = held.values.max()
        return state.connections.filter { held[$0.value.client] == most }
            .min { ($0.value.lastHeard, $0.key) < ($1.value.lastHeard, $1.key) }?.key
    }

    /// One question after the other (RFC 7766), each after its length.
    private func converse(_ stream: any ByteStream, _ number: UInt64) async throws {
        var buffer: [UInt8] = []
        while true {
            guard let message = try await DNSFrames.next(from: stream, &buffer, within: DNSServerLimits.idle, world)
            else { return }
            state.withLock { $0.connections[number]?.lastHeard = world.now() }
            let answer = await withCheckedContinuation { waiter in
                var answer: [UInt8] = []
                if !receive(message.span, overTCP: true, .stream(waiter), &answer) {
                    waiter.resume(returning: answer)
                }
            }
            if answer.isEmpty { return }
            try await stream.write(DNSFrames.framed(answer))
        }
    }

    // MARK: Other resolvers

    private func carryOut(_ wishes: [DNSForwarder.Wish]) {
        for wish in wishes {
            switch wish {
            case .ask(let number, let endpoint, let message, let overTCP):
                let task = world.spawn { [weak self, world] in
                    let exchange = DNSExchange(endpoint: endpoint, message: message, world: world)
                    do {
                        try await exchange.run(overTCP: overTCP) { bytes in self?.heard(bytes, number) }
                    } catch is CancellationError {
                        return
                    } catch {}
                    self?.failed(number)
                }
                state.withLock { $0.exchanges[number] = task }
                tick()
            case .forget(let number): state.withLock { $0.exchanges.removeValue(forKey: number) }?.cancel()
            case .answer(let ticket, let bytes): answer(ticket, bytes)
            case .loop(let endpoint):
                logger.error(
                    """
                    \(endpoint) leads back to this node's DNS and is not asked again: name other resolvers with \
                    --dns-upstream
                    """
                )
            }
        }
    }

    private func answer(_ ticket: UInt64, _ bytes: [UInt8]) {
        let (asker, port) = state.withLock { ($0.askers.removeValue(forKey: ticket), $0.port) }
        switch asker {
        case .datagram(let peer)?: port?.send(bytes, to: peer)
        case .stream(let waiter)?: waiter.resume(returning: bytes)
        case nil: return
        }
    }

    private func heard(_ bytes: [UInt8], _ number: UInt64) {
        carryOut(
            state.withLock {
                $0.responder.forwarder.heard(bytes, number: number, at: world.now(), chance: world.random)
            })
    }

    private func failed(_ number: UInt64) {
        carryOut(
            state.withLock {
                $0.responder.forwarder.failed(number: number, at: world.now(), chance: world.random)
            })
    }

    /// Looks after resolvers that do not answer, while any is asked.
    private func tick() {
        let begins = state.withLock { state in
            defer { state.isTicking = true }
            return !state.isTicking
        }
        guard begins else { return }
        world.spawn { [weak self, world] in
            while let deadline = self?.nextDeadline() {
                try? await world.sleep(until: min(deadline, world.now() + DNSServerLimits.tick))
                self?.expire()
            }
        }
    }

    private func nextDeadline() -> MonotonicTime? {
        state.withLock { state in
            let deadline = state.isStopped ? nil : state.responder.forwarder.nextDeadline
            if deadline == nil { state.isTicking = false }
            return deadline
        }
    }

    private func expire() {
        carryOut(state.withLock { $0.responder.forwarder.expire(at: world.now(), chance: world.random) })
    }
}
