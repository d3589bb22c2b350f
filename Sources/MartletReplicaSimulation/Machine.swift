internal import Logging
internal import MartletBase
internal import MartletRaft
internal import MartletReplica
internal import MartletSimulation
internal import MartletStore
internal import Synchronization

/// One run of a member, from its start to its crash.
final class Life: Sendable {
    private let state = Mutex<(isOver: Bool, asks: [UInt64: @Sendable () -> Void], next: UInt64)>((false, [:], 0))

    var isOver: Bool { state.withLock { $0.isOver } }

    /// Calls `broken` if the life ends; nil when it has ended already.
    func register(_ broken: @escaping @Sendable () -> Void) -> UInt64? {
        state.withLock { state in
            if state.isOver { return nil }
            state.next += 1
            state.asks[state.next] = broken
            return state.next
        }
    }

    func forget(_ ask: UInt64) { state.withLock { $0.asks[ask] = nil } }

    func end() {
        let asks = state.withLock { state in
            state.isOver = true
            defer { state.asks = [:] }
            return state.asks.sorted { $0.key < $1.key }.map(\.value)
        }
        for ask in asks { ask() }
    }
}

/// A computer with a disk, and the member that lives on it.
final class Machine: Sendable {
    let number: Int
    let host: SimHost
    let disk: SimDisk
    let folder: String
    private let state: Mutex<State>

    struct State {
        /// The member's id.
        var member: MemberID
        var bootstrap: Bootstrap
        var life: Life?
        var replica: Replica?
        var transport: SimTransport?
        var isPaused = false
        /// The disk cannot be used any more, or the member was removed.
        var isRetired = false
        /// Whether a start is planned.
        var isStarting = false
        var failure: String?
        /// Whether the member has files to go on from.
        var hasFiles = false
        /// Whether somebody asked for its removal.
        var mayBeRemoved = false
    }

    init(
        _ number: Int, member: MemberID, _ bootstrap: Bootstrap, host: SimHost, disk: SimDisk, folder: String
    ) {
        self.number = number
        self.host = host
        self.disk = disk
        self.folder = folder
        state = Mutex(State(member: member, bootstrap: bootstrap))
    }

    var name: String { "m\(number)" }
    var bootstrap: Bootstrap { state.withLock { $0.bootstrap } }
    var member: MemberID { state.withLock { $0.member } }
    var isRetired: Bool { state.withLock { $0.isRetired } }
    /// The member, as long as it runs.
    var running: (replica: Replica, life: Life)? {
        state.withLock { state in
            guard let replica = state.replica, let life = state.life, !life.isOver else { return nil }
            return (replica, life)
        }
    }
    var isUp: Bool { running != nil }
    var isPaused: Bool { state.withLock { $0.isPaused } }
    /// Why the last start failed.
    var failure: String? { state.withLock { $0.failure } }

    var hasFiles: Bool { state.withLock { $0.hasFiles } }

    func filesAreMade() { state.withLock { $0.hasFiles = true } }

    var mayBeRemoved: Bool { state.withLock { $0.mayBeRemoved } }

    func removalIsAsked() { state.withLock { $0.mayBeRemoved = true } }

    func retire() { state.withLock { $0.isRetired = true } }

    // MARK: Pauses

    func pause() {
        state.withLock { $0.isPaused = true }
        host.pause()
    }

    func resume() {
        state.withLock { $0.isPaused = false }
        host.resume()
    }

    // MARK: Life and death

    /// Starts the member, unless it runs. Returns when it runs, or could not be started.
    func start(
        _ parts: (Machine, Life, SimTransport) -> SimulatedParts, _ network: SimNetwork, _ board: TransportBoard,
        encodes: Bool, _ logger: Logger
    ) {
        let life = Life()
        let transport = SimTransport(member, on: host, network, board, encodes: encodes)
        let isFree = state.withLock { state in
            guard !state.isRetired, state.life?.isOver ?? true else { return false }
            (state.life, state.transport, state.replica, state.failure) = (life, transport, nil, nil)
            return true
        }
        guard isFree else { return }
        let simulated = parts(self, life, transport)
        host.spawn { [self] in
            do {
                let log = try disk.open()
                let replica = try await Replica.open(
                    on: log, simulated: simulated, in: host, logger: logger)
                let isAlive = state.withLock { state in
                    guard state.life === life, !life.isOver else { return false }
                    state.replica = replica
                    return true
                }
                if !isAlive { await Self.bury(replica) }
            } catch {
                state.withLock { if $0.life === life { $0.failure = "\(error)" } }
                transport.cut(tellingOthers: false)
                life.end()
            }
        }
    }

    /// The power fails, or the process is killed. What is left of the member's tasks finds that nothing works any more.
    func crash(tellingOthers: Bool, _ network: SimNetwork) {
        let (life, transport, replica) = state.withLock { state in
            defer { (state.replica, state.transport) = (nil, nil) }
            return (state.life, state.transport, state.replica)
        }
        guard let life, !life.isOver else { return }
        life.end()
        transport?.cut(tellingOthers: tellingOthers)
        disk.crash()
        network.crash(host.number)
        if isPaused { resume() }
        if let replica {
            replica.dropFiles()
            host.spawn { await Self.bury(replica) }
        }
    }

    private static func bury(_ replica: Replica) async {
        replica.dropFiles()
        await replica.close()
    }

    /// Asks the member something, as a client does over a connection that breaks when the member crashes.
    func ask<Value: Sendable>(
        in world: SimWorld, _ chance: Chance, limit: Duration = .seconds(9),
        _ body: @escaping @Sendable (Replica) async throws -> Value
    ) async -> Answer<Value> {
        try? await world.sleep(for: chance.duration(.microseconds(20) ... .microseconds(500)))
        guard let (replica, life) = running else { return .notSent }
        let box = AnswerBox<Value>()
        guard let ticket = life.register({ box.put(.lost) }) else { return .notSent }
        let back = chance.duration(.microseconds(20) ... .microseconds(500))
        host.spawn { [host] in
            let answer: Answer<Value>
            do { answer = .value(try await body(replica)) } catch { answer = .failure(error) }
            if life.isOver { return }
            try? await host.sleep(for: back)
            box.put(answer)
        }
        world.after(limit) { box.put(.lost) }
        let answer = await box.take()
        life.forget(ticket)
        return answer
    }
}

/// What came of a question.
enum Answer<Value: Sendable>: Sendable {
    case value(Value)
    case failure(any Error)
    /// The member was not there.
    case notSent
    /// Nobody knows.
    case lost

    var value: Value? { if case .value(let value) = self { value } else { nil } }
}

/// Where the first answer is kept for the one who waits.
private final class AnswerBox<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<Answer<Value>, Never>)
        case full(Answer<Value>)
        case over
    }
    private let state = Mutex(State.empty)

    func put(_ answer: Answer<Value>) {
        let waiter: CheckedContinuation<Answer<Value>, Never>? = state.withLock { state in
            switch state {
            case .empty: state = .full(answer)
            case .waiting(let continuation):
                state = .over
                return continuation
            case .full, .over: break
            }
            return nil
        }
        waiter?.resume(returning: answer)
    }

    func take() async -> Answer<Value> {
        await withCheckedContinuation { continuation in
            let found: Answer<Value>? = state.withLock { state in
                if case .full(let answer) = state {
                    state = .over
                    return answer
                }
                state = .waiting(continuation)
                return nil
            }
            if let found { continuation.resume(returning: found) }
        }
    }
}
