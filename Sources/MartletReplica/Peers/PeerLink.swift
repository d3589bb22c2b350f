internal import DequeModule
internal import Logging
internal import MartletBase
internal import MartletRaft
internal import Synchronization

/// This member's way to one peer: a connection that is made anew whenever it breaks.
final class PeerLink: Sendable {
    let address: PeerAddress
    private let transport: StreamPeerTransport
    private let state = Mutex(State())

    private struct State {
        var isOver = false
        var task: Task<Void, Never>?
        var stream: PeerStream?
        /// The newest messages, while there is no connection.
        var absent: Deque<RaftMessage> = []
        /// What was last said of the peer, so that it is said once.
        var complaint = ""
    }

    init(to address: PeerAddress, of transport: StreamPeerTransport) {
        self.address = address
        self.transport = transport
    }

    /// The connection, while there is one.
    var stream: PeerStream? { state.withLock { $0.stream } }

    func start() {
        guard !address.endpoints.isEmpty else { return }
        let task = transport.world.spawn { await self.run() }
        state.withLock { $0.task = task }
    }

    /// Ends the link for good. Returns its task.
    @discardableResult
    func end() -> Task<Void, Never>? {
        let (task, stream) = state.withLock { state in
            state.isOver = true
            state.absent = []
            return (state.task, state.stream)
        }
        task?.cancel()
        stream?.end()
        return task
    }

    /// Keeps the newest messages until there is a connection.
    func keep(_ messages: [RaftMessage]) {
        state.withLock { state in
            guard !state.isOver else { return }
            for message in messages {
                if state.absent.count >= Limits.peerAbsentMessages { state.absent.removeFirst() }
                state.absent.append(message)
            }
        }
    }

    private var isOver: Bool { state.withLock { $0.isOver } }

    private func run() async {
        let world = transport.world
        var pause = Limits.peerBackoff.lowerBound
        var turn = 0
        while !isOver {
            let endpoint = address.endpoints[turn % address.endpoints.count]
            do {
                let connection = try await transport.dialer.dial(endpoint, transport.hello(to: address.member))
                do { try check(connection.welcome) } catch {
                    connection.stream.close()
                    throw error
                }
                pause = Limits.peerBackoff.lowerBound
                await serve(connection, at: endpoint)
            } catch {
                turn += 1
                complain("\(endpoint): \(error)")
            }
            let jitter = Duration.nanoseconds(Int64(world.random() % UInt64(pause.nanoseconds)))
            guard !isOver, (try? await world.sleep(for: pause / 2 + jitter)) != nil else { return }
            pause = min(pause * 2, Limits.peerBackoff.upperBound)
        }
    }

    private func check(_ welcome: PeerHello) throws(PeerError) {
        guard welcome.cluster == transport.cluster, welcome.from == address.member.number else {
            throw .refused(
                "there is member \(MemberID(welcome.from)) of cluster \(String(welcome.cluster, radix: 16)), not "
                    + "member \(address.member) of cluster \(String(transport.cluster, radix: 16)); "
                    + "correct the peer URLs")
        }
    }

    /// Logs why there is no connection, when that is news.
    private func complain(_ why: String) {
        let isNews = state.withLock { state in
            defer { state.complaint = why }
            return !state.isOver && state.complaint != why
        }
        guard isNews else { return }
        let cluster = String(transport.cluster, radix: 16)
        transport.logger.warning(
            "peers: member \(transport.member) of cluster \(cluster) cannot reach member \(address.member): \(why)")
    }

    private func serve(_ connection: PeerDialer.Connection, at endpoint: Endpoint) async {
        let stream = PeerStream(address.member, connection.stream, of: transport)
        let absent = state.withLock { state -> Deque<RaftMessage>? in
            guard !state.isOver else { return nil }
            state.stream = stream
            state.complaint = ""
            defer { state.absent = [] }
            return state.absent
        }
        guard let absent else { return stream.end() }
        transport.logger.info("peers: connected to member \(address.member) at \(endpoint)")
        stream.send(absent)
        await stream.serve(connection.reader)
        state.withLock { $0.stream = nil }
        guard !isOver else { return }
        transport.logger.info("peers: the connection to member \(address.member) broke")
        await transport.tell([.unreachable(address.member)])
    }
}
