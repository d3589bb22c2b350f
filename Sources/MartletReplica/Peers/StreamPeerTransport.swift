public import Logging
public import MartletBase
internal import MartletHTTP
public import MartletRaft
internal import Synchronization

/// Peers over streams of a world, by default with mutual TLS. Each member connects to each other one; what is queued
/// for a peer goes out in one write.
public final class StreamPeerTransport: PeerTransport {
    let world: any World
    let logger: Logger
    let cluster: UInt64
    let member: MemberID
    let dialer: PeerDialer
    private let listens: Endpoint
    private let security: PeerSecurity?
    private let state = Mutex(State())

    private struct State {
        var receiver: (any PeerReceiver)?
        var listener: (any StreamListener)?
        var isClosed = false
        /// In the order of their members.
        var links: [PeerLink] = []
        var visitors: [UInt64: PeerStream] = [:]
        /// Connections that were accepted and have not ended, those that have not said who they are among them.
        var accepted = 0
        var nextVisitor: UInt64 = 1
        var complaints: Set<String> = []
        var tasks: [Task<Void, Never>] = []
    }

    /// A transport of `member` of `cluster`, which will listen on `endpoint`. Without `security` everybody who reaches
    /// the endpoint is believed: for tests, and for networks that others guard.
    public init(
        cluster: UInt64, member: MemberID, listeningOn endpoint: Endpoint, security: PeerSecurity?, in world: any World,
        logger: Logger
    ) {
        self.cluster = cluster
        self.member = member
        self.world = world
        self.logger = logger
        self.security = security
        listens = endpoint
        dialer = PeerDialer(world: world, security: security)
    }

    /// Where it listens; nil before ``start(_:)``.
    public var endpoint: Endpoint? { state.withLock { $0.listener?.endpoint } }

    /// Listens, and tells `receiver` what comes.
    public func start(_ receiver: any PeerReceiver) async throws {
        let listener = try await world.listen(on: listens)
        state.withLock { state in
            state.receiver = receiver
            state.listener = listener
        }
        let accepting = world.spawn { await self.accept(from: listener) }
        let sweeping = world.spawn {
            while (try? await self.world.sleep(for: Limits.peerPing / 2)) != nil { self.sweep() }
        }
        state.withLock { $0.tasks = [accepting, sweeping] }
    }

    public func connect(to peers: [PeerAddress]) {
        let (gone, new) = state.withLock { state -> ([PeerLink], [PeerLink]) in
            guard !state.isClosed else { return ([], []) }
            let before = state.links
            state.links = peers.filter { $0.member != member }.map { address in
                before.first { $0.address == address } ?? PeerLink(to: address, of: self)
            }
            let now = state.links
            let gone = before.filter { old in !now.contains { $0 === old } }
            return (gone, now.filter { new in !before.contains { $0 === new } })
        }
        for link in gone { link.end() }
        for link in new { link.start() }
    }

    public func send(_ messages: [RaftMessage]) {
        guard let first = messages.first else { return }
        if messages.allSatisfy({ $0.to == first.to }) { return send(messages, to: first.to) }
        for member in Set(messages.map(\.to)).sorted() { send(messages.filter { $0.to == member }, to: member) }
    }

    private func send(_ messages: [RaftMessage], to member: MemberID) {
        let (link, stream) = way(to: member)
        if let stream { stream.send(messages) } else { link?.keep(messages) }
    }

    /// The link to a member, and a connection: the link's own, or else one that the member has made.
    private func way(to member: MemberID) -> (PeerLink?, PeerStream?) {
        state.withLock { state in
            let link = state.links.first { $0.address.member == member }
            if let stream = link?.stream { return (link, stream) }
            return (link, state.visitors.first { $0.value.member == member }?.value)
        }
    }

    /// Asks a peer, and waits for its answer.
    public func call(_ peer: MemberID, _ request: [UInt8]) async throws -> [UInt8] {
        if state.withLock({ $0.isClosed }) { throw PeerError.closed }
        guard let stream = way(to: peer).1 else { throw PeerError.unreachable(peer) }
        return try await stream.call(request)
    }

    public func close() async {
        let (listener, links, visitors, tasks) = state.withLock { state in
            defer {
                state.isClosed = true
                state.receiver = nil
                state.links = []
                state.visitors = [:]
                state.tasks = []
            }
            let visitors = state.visitors.sorted { $0.key < $1.key }.map(\.value)
            return (state.listener, state.links, visitors, state.tasks)
        }
        listener?.close()
        for task in tasks { task.cancel() }
        for visitor in visitors { visitor.end() }
        let ends = links.compactMap { $0.end() }
        for task in tasks + ends { await task.value }
    }

    // MARK: For links and visitors

    func hello(to peer: MemberID) -> PeerHello {
        PeerHello(cluster: cluster, from: member.number, to: peer.number)
    }

    func tell(_ events: [PeerEvent]) async { await state.withLock { $0.receiver }?.receive(events) }

    func answer(_ request: [UInt8], from peer: MemberID?) async throws -> [UInt8] {
        guard let receiver = state.withLock({ $0.receiver }) else { throw PeerError.closed }
        return try await receiver.answer(request, from: peer)
    }

    /// Logs something once.
    func complain(_ what: String) {
        let isNews = state.withLock { state in
            if state.complaints.count >= Limits.peerRefusals { state.complaints = [] }
            return !state.isClosed && state.complaints.insert(what).inserted
        }
        if isNews { logger.warning("peers: \(what)") }
    }

    private func sweep() {
        let now = world.now()
        let (links, visitors) = state.withLock { ($0.links, $0.visitors.sorted { $0.key < $1.key }) }
        for link in links { link.stream?.sweep(now) }
        for (_, visitor) in visitors { visitor.sweep(now) }
    }
}

// MARK: Visitors

extension StreamPeerTransport {
    private func accept(from listener: any StreamListener) async {
        while true {
            do {
                let stream = try await listener.accept()
                let isTaken = state.withLock { state in
                    guard !state.isClosed, state.accepted < Limits.peerConnections else { return false }
                    state.accepted += 1
                    return true
                }
                guard isTaken else {
                    stream.close()
                    continue
                }
                world.spawn { await self.welcome(stream) }
            } catch {
                guard !state.withLock({ $0.isClosed }) else { return }
                complain("\(listener.endpoint) takes no connections now: \(error)")
                guard (try? await world.sleep(for: .milliseconds(100))) != nil else { return }
            }
        }
    }

    /// A visitor from its first byte to its last.
    private func welcome(_ raw: any ByteStream) async {
        defer { state.withLock { $0.accepted -= 1 } }
        let place = raw.peer?.description ?? "an unknown address"
        do {
            let (stream, hello, reader) = try await world.limited(to: Limits.peerDial, "a peer's hello") {
                try await self.hear(raw, place)
            }
            let visitor = PeerStream(hello.from == 0 ? nil : MemberID(hello.from), stream, of: self)
            guard let number = enter(visitor) else { return visitor.end() }
            await visitor.serve(reader)
            if leave(number), let member = visitor.member { await tell([.unreachable(member)]) }
        } catch {
            raw.close()
            if !(error is CancellationError) { complain("a connection from \(Self.host(raw)) was refused: \(error)") }
        }
    }

    /// Without the port, so that one who tries again and again is one complaint.
    private static func host(_ stream: any ByteStream) -> String {
        guard case .ip(let host, _)? = stream.peer else { return "an unknown address" }
        return host
    }

    private func hear(_ raw: any ByteStream, _ place: String) async throws -> (
        any ByteStream, PeerHello, PeerFrameReader
    ) {
        var stream = raw
        if let security {
            let secured = try await security.server.accept(raw)
            guard let subject = secured.peerCertificate, security.allows(subject) else {
                let name = secured.peerCertificate?.commonName ?? "no certificate"
                throw PeerError.refused("\"\(name)\" is not a member's certificate")
            }
            stream = secured
        }
        var reader = PeerFrameReader()
        guard case .hello(let hello) = try await reader.next(from: stream, at: place) else {
            throw PeerError.refused("it did not begin with a hello")
        }
        var writer = ByteWriter(capacity: 64)
        if let why = objection(to: hello) {
            PeerFrame.refusal(why).encode(into: &writer)
            try await stream.write(writer.bytes)
            await stream.closeWrite()
            throw PeerError.refused(why)
        }
        PeerFrame.welcome(PeerHello(cluster: cluster, from: member.number, to: hello.from)).encode(into: &writer)
        try await stream.write(writer.bytes)
        return (stream, hello, reader)
    }

    /// Why one who says so is not taken; nil when it is.
    private func objection(to hello: PeerHello) -> String? {
        func name(_ member: UInt64, _ cluster: UInt64) -> String {
            "member \(MemberID(member)) of cluster \(String(cluster, radix: 16))"
        }
        let (here, there) = (name(member.number, cluster), name(hello.from, hello.cluster))
        if hello.version != PeerHello.version {
            return "\(there) speaks version \(hello.version) of the peers' protocol, \(here) \(PeerHello.version); "
                + "run releases that know each other"
        }
        if hello.cluster == 0, hello.from == 0, hello.to == 0 { return nil }
        if hello.cluster != cluster {
            return "\(there) came to \(here): these are different clusters; correct the peer URLs, or, when one is "
                + "left from before a restore or a recovery, empty its data folder and let it join"
        }
        if hello.from == member.number {
            return "\(there) came to itself, or two processes run as this member; correct the peer URLs, run it once"
        }
        if hello.to != member.number {
            return "\(there) looked for member \(MemberID(hello.to)) and found \(here); correct the peer URLs"
        }
        return nil
    }

    /// Takes a visitor in, in the place of an older connection of the same member. Nil when this is closed.
    private func enter(_ visitor: PeerStream) -> UInt64? {
        let (number, older) = state.withLock { state -> (UInt64?, PeerStream?) in
            guard !state.isClosed else { return (nil, nil) }
            let older = state.visitors.first { $0.value.member != nil && $0.value.member == visitor.member }
            if let older { state.visitors[older.key] = nil }
            let number = state.nextVisitor
            state.nextVisitor += 1
            state.visitors[number] = visitor
            return (number, older?.value)
        }
        older?.end()
        return number
    }

    /// Whether the visitor was still the newest of its member.
    private func leave(_ number: UInt64) -> Bool {
        state.withLock { $0.visitors.removeValue(forKey: number) != nil }
    }
}
