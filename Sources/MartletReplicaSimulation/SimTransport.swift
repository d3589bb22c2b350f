internal import MartletBase
internal import MartletRaft
internal import MartletReplica
internal import MartletSimulation
internal import Synchronization

/// Which transport speaks for which member now.
final class TransportBoard: Sendable {
    private let transports = Mutex<[MemberID: SimTransport]>([:])

    func transport(of member: MemberID) -> SimTransport? { transports.withLock { $0[member] } }
    func put(_ transport: SimTransport, for member: MemberID) { transports.withLock { $0[member] = transport } }
    func remove(_ transport: SimTransport, for member: MemberID) {
        transports.withLock { if $0[member] === transport { $0[member] = nil } }
    }
    var all: [SimTransport] { transports.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }
}

/// A member's way to the others through a simulated network.
final class SimTransport: PeerTransport {
    /// What waits to be taken in; what comes on top is lost.
    private static let inboxLimit = 4096
    private static let callTime: Duration = .seconds(5)

    let member: MemberID
    let host: SimHost
    private let network: SimNetwork
    private let board: TransportBoard
    /// Whether each message goes through its wire form.
    private let encodes: Bool
    private let state = Mutex(State())

    private struct State {
        var receiver: (any PeerReceiver)?
        var inbox: [PeerEvent] = []
        var isPumping = false
        var isCut = false
        var calls: [UInt64: CheckedContinuation<[UInt8], any Error>] = [:]
        var nextCall: UInt64 = 0
    }

    init(_ member: MemberID, on host: SimHost, _ network: SimNetwork, _ board: TransportBoard, encodes: Bool) {
        self.member = member
        self.host = host
        self.network = network
        self.board = board
        self.encodes = encodes
    }

    func start(_ receiver: any PeerReceiver) async throws {
        let isCut = state.withLock { state in
            state.receiver = receiver
            return state.isCut
        }
        if isCut { throw NetworkError.closed }
        board.put(self, for: member)
    }

    func connect(to peers: [PeerAddress]) {}

    func send(_ messages: [RaftMessage]) {
        if state.withLock({ $0.isCut }) { return }
        for message in messages {
            guard let target = board.transport(of: message.to) else { continue }
            let read = encodes ? try? RaftMessage(decoding: message.encoded()) : nil
            let carried = read ?? message
            network.carry(from: host.number, to: target.host.number) { [board] in
                board.transport(of: message.to)?.take(.message(carried))
            }
        }
    }

    /// Something arrives.
    func take(_ event: PeerEvent) {
        let starts = state.withLock { state in
            guard !state.isCut, state.inbox.count < Self.inboxLimit else { return false }
            state.inbox.append(event)
            defer { state.isPumping = true }
            return !state.isPumping
        }
        if starts { host.spawn { await self.pump() } }
    }

    private func pump() async {
        while true {
            let (receiver, events) = state.withLock { state in
                defer { state.inbox = [] }
                if state.inbox.isEmpty || state.isCut { state.isPumping = false }
                return (state.isPumping ? state.receiver : nil, state.inbox)
            }
            guard let receiver else { return }
            await receiver.receive(events)
        }
    }

    // MARK: Calls

    func call(_ peer: MemberID, _ request: [UInt8]) async throws -> [UInt8] {
        guard let target = board.transport(of: peer) else { throw PeerError.unreachable(peer) }
        return try await withCheckedThrowingContinuation { continuation in
            let number: UInt64? = state.withLock { state in
                if state.isCut { return nil }
                state.nextCall += 1
                state.calls[state.nextCall] = continuation
                return state.nextCall
            }
            guard let number else { return continuation.resume(throwing: PeerError.closed) }
            network.carry(from: host.number, to: target.host.number) { [board, member] in
                guard let now = board.transport(of: peer), now === target else { return }
                target.answer(request, from: member, number, of: self)
            }
            host.spawn { [host] in
                try? await host.sleep(for: Self.callTime)
                self.finish(number, .failure(PeerError.timedOut(peer)))
            }
        }
    }

    private func answer(_ request: [UInt8], from peer: MemberID, _ number: UInt64, of asker: SimTransport) {
        guard let receiver = state.withLock({ $0.isCut ? nil : $0.receiver }) else { return }
        host.spawn { [self] in
            let result: Result<[UInt8], any Error>
            do { result = .success(try await receiver.answer(request, from: peer)) } catch let error as PeerError {
                result = .failure(error)
            } catch {
                result = .failure(PeerError.refused("\(error)"))
            }
            if state.withLock({ $0.isCut }) { return }
            network.carry(from: host.number, to: asker.host.number) { asker.finish(number, result) }
        }
    }

    private func finish(_ number: UInt64, _ result: Result<[UInt8], any Error>) {
        state.withLock { $0.calls.removeValue(forKey: number) }?.resume(with: result)
    }

    // MARK: The end

    func close() async { cut(tellingOthers: true) }

    /// Nothing comes or goes any more. The others may notice that at once, or not.
    func cut(tellingOthers: Bool) {
        let calls = state.withLock { state in
            defer { state = State() }
            let calls = state.calls.sorted { $0.key < $1.key }.map(\.value)
            return calls
        }
        state.withLock { $0.isCut = true }
        board.remove(self, for: member)
        for call in calls { call.resume(throwing: PeerError.closed) }
        guard tellingOthers else { return }
        for other in board.all {
            network.carry(from: host.number, to: other.host.number) { [member] in other.take(.unreachable(member)) }
        }
    }
}
