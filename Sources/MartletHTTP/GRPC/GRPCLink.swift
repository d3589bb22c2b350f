internal import CNGHTTP2
internal import DequeModule
internal import MartletBase

/// One call as its connection keeps it. Everything in it is touched under the lock of its ``GRPCLink`` only.
class GRPCStream: HTTP2Stream, @unchecked Sendable {
    final var deframer: GRPCDeframer
    /// Whole messages that wait for their reader.
    final var incoming: Deque<[UInt8]> = []
    /// Bytes of these.
    final var queued = 0
    /// Bytes received whose window was not given back yet.
    final var withheld = 0
    /// What the call holds of ``GRPCLink/held``.
    final var held = 0
    /// Whether the peer sends no more.
    final var isReadToEnd = false
    /// How it ended; nil while it runs.
    final var outcome: GRPCStatus?
    final var deadline: MonotonicTime?
    final var reader: UnsafeContinuation<Void, Never>?
    /// Those who wait until the peer has taken some of what is queued.
    final var senders: [UnsafeContinuation<Void, Never>] = []

    /// What is to be sent.
    final var outgoing = GRPCOutgoing()

    init(limit: Int) { deframer = GRPCDeframer(limit: limit) }

    override var waiting: Int { outgoing.count }
    override var isEnded: Bool { outgoing.isEnded }
    override func take(_ count: Int, into output: inout [UInt8]) { outgoing.take(count, into: &output) }
}

/// One HTTP/2 connection and the calls on it: what server and client share.
class GRPCLink: HTTP2Link, @unchecked Sendable {
    /// Calls by their stream.
    final var streams: [Int32: GRPCStream] = [:]
    /// Bytes of messages that all calls hold.
    final var held = 0
    /// Bytes of messages that wait for their reader in one call, and as many that wait for the peer.
    final let queueLimit: Int
    private var timer: (task: Task<Void, Never>, due: MonotonicTime)?

    init(in world: any World, role: HTTP2Session.Role, queueLimit: Int, hasSession: Bool = true) {
        self.queueLimit = queueLimit
        super.init(in: world, role: role, hasSession: hasSession)
    }

    deinit { timer?.task.cancel() }

    // MARK: For server and client to fill in

    /// The call's data is no message: it ends with this outcome.
    func refuse(_ stream: GRPCStream, _ outcome: GRPCStatus) {}
    /// Makes the head go out before the first message.
    func prepareToSend(_ stream: GRPCStream) {}
    /// How a call ends whose stream was closed with this error code.
    func outcome(of stream: GRPCStream, error: UInt32) -> GRPCStatus { GRPCStatus(code: 13, message: "") }
    /// A call is over, and was taken out of the table.
    func finished(_ stream: GRPCStream) {}

    // MARK: Messages in

    override final func received(_ bytes: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream) {
        guard let call = stream as? GRPCStream else { return }
        guard call.outcome == nil else { return consume(call, bytes.count) }
        hold(call, bytes.count)
        var rest = bytes[...]
        do throws(GRPCStatus) {
            while let message = try call.deframer.next(&rest) {
                call.queued += message.count
                call.incoming.append(message)
            }
            try checkHeld()
        } catch {
            consume(call, bytes.count)
            return refuse(call, error)
        }
        if call.queued < queueLimit { consume(call, bytes.count) } else { call.withheld += bytes.count }
        if !call.incoming.isEmpty { wakeReader(call) }
    }

    /// Room for what the calls hold.
    var heldLimit: Int { .max }

    private func checkHeld() throws(GRPCStatus) {
        if held > heldLimit {
            throw GRPCStatus(code: 8, message: "the calls of this connection hold more than \(heldLimit) bytes")
        }
    }

    final func consume(_ call: GRPCStream, _ count: Int) {
        if count > 0 { session?.consume(call.id, count) }
    }

    final func hold(_ call: GRPCStream, _ count: Int) {
        call.held += count
        held += count
    }

    /// What a step of reading came to.
    private enum Step: Sendable {
        case message([UInt8])
        case end(GRPCStatus?)
        case wait
    }

    private func step(_ call: GRPCStream) -> Step {
        if let message = call.incoming.popFirst() {
            call.queued -= message.count
            let released = min(call.held, message.count + 5)
            hold(call, -released)
            if call.withheld > 0 && call.queued < queueLimit {
                consume(call, call.withheld)
                call.withheld = 0
                wakeWriter()
            }
            return .message(message)
        }
        if let outcome = call.outcome { return .end(outcome.code == 0 ? nil : outcome) }
        return call.isReadToEnd ? .end(nil) : .wait
    }

    /// The next message of a call; nil after its last.
    final func next(_ call: GRPCStream) async throws(GRPCStatus) -> [UInt8]? {
        while true {
            switch locked({ step(call) }) {
            case .message(let message): return message
            case .end(nil): return nil
            case .end(let outcome?): throw outcome
            case .wait: break
            }
            if Task.isCancelled { throw .cancelled }
            let isAlone = await park(call) { waiting in
                if call.reader != nil { return false }
                if !Task.isCancelled && !self.isReadable(call) { call.reader = waiting } else { waiting.resume() }
                return true
            }
            guard isAlone else { throw GRPCStatus(code: 13, message: "two tasks read one call") }
        }
    }

    private func isReadable(_ call: GRPCStream) -> Bool {
        !call.incoming.isEmpty || call.outcome != nil || call.isReadToEnd
    }

    /// Waits until the continuation that `place` puts somewhere is resumed, or the task is cancelled. False when
    /// `place` refused it.
    private func park(
        _ call: GRPCStream, _ place: (UnsafeContinuation<Void, Never>) -> Bool
    ) async -> Bool {
        await park(
            wake: {
                wakeReader(call)
                wakeSenders(call)
            }, place)
    }

    final func wakeReader(_ call: GRPCStream) {
        call.reader?.resume()
        call.reader = nil
    }

    // MARK: Messages out

    /// Whether a message was queued; nil when the call is over.
    final func offer(_ call: GRPCStream, _ message: [UInt8], _ rest: [UInt8] = []) -> Bool? {
        locked {
            guard call.outcome == nil, !call.outgoing.isEnded else { return nil }
            guard call.outgoing.count < queueLimit, held < heldLimit else { return false }
            queue(call, message, rest)
            return true
        }
    }

    /// Queues a message, waiting for room.
    final func send(_ call: GRPCStream, _ message: [UInt8], _ rest: [UInt8] = []) async throws(GRPCStatus) {
        while true {
            switch offer(call, message, rest) {
            case true?: return
            case nil: throw locked { call.outcome } ?? .cancelled
            case false?: try await ready(call)
            }
        }
    }

    /// Waits until there is room for a message.
    final func ready(_ call: GRPCStream) async throws(GRPCStatus) {
        while true {
            if let outcome = locked({ call.outcome }) { throw outcome.code == 0 ? .cancelled : outcome }
            if Task.isCancelled { throw .cancelled }
            let hasRoom = locked { call.outgoing.count < queueLimit }
            if hasRoom {
                try locked { Result { () throws(GRPCStatus) in try checkHeld() } }.get()
                return
            }
            _ = await park(call) { waiting in
                if Task.isCancelled || call.outcome != nil || call.outgoing.count < self.queueLimit {
                    waiting.resume()
                } else {
                    call.senders.append(waiting)
                }
                return true
            }
        }
    }

    /// Adds a message to what is sent. Under the lock.
    final func queue(_ call: GRPCStream, _ message: [UInt8], _ rest: [UInt8] = []) {
        call.outgoing.append(message, rest)
        hold(call, message.count + rest.count + 5)
        prepareToSend(call)
        session?.resume(call)
        wakeWriter()
    }

    /// No message follows. Under the lock.
    final func endSending(_ call: GRPCStream) {
        call.outgoing.isEnded = true
        session?.resume(call)
        wakeWriter()
    }

    override final func sent(_ count: Int, of stream: HTTP2Stream) {
        guard let call = stream as? GRPCStream else { return }
        hold(call, -min(count, call.held))
        if !call.senders.isEmpty && call.outgoing.count < queueLimit { wakeSenders(call) }
    }

    final func wakeSenders(_ call: GRPCStream) {
        for sender in call.senders { sender.resume() }
        call.senders = []
    }

    // MARK: The end of a call

    override final func closed(_ stream: HTTP2Stream, error: UInt32) {
        guard let call = stream as? GRPCStream, streams.removeValue(forKey: call.id) != nil else { return }
        finish(call, outcome(of: call, error: error))
    }

    /// Gives a call up: its stream is reset when it has one.
    final func abort(_ call: GRPCStream, _ outcome: GRPCStatus, _ error: nghttp2_error_code = NGHTTP2_CANCEL) {
        if streams.removeValue(forKey: call.id) != nil {
            session?.reset(call, error)
            consume(call, call.withheld)
            call.withheld = 0
            wakeWriter()
        }
        finish(call, outcome)
    }

    private func finish(_ call: GRPCStream, _ outcome: GRPCStatus) {
        if call.outcome == nil { call.outcome = outcome }
        call.isReadToEnd = true
        if call.outgoing.count > 0 { call.outgoing.removeAll() }
        call.outgoing.isEnded = true
        // What is queued for the reader stays his, and does not count any more.
        hold(call, -call.held)
        if call.withheld > 0 {
            consume(call, call.withheld)
            call.withheld = 0
        }
        wakeReader(call)
        wakeSenders(call)
        finished(call)
    }

    override func lost(_ why: String) {
        timer?.task.cancel()
        timer = nil
        let lost = streams
        streams = [:]
        for (_, call) in lost.sorted(by: { $0.key < $1.key }) {
            finish(call, GRPCStatus(code: 14, message: why))
        }
    }

    // MARK: Time

    /// Makes sure that ``expire()`` runs when this call's time is up. One timer serves all calls. Under the lock.
    final func watch(_ deadline: MonotonicTime) {
        if let timer, timer.due <= deadline { return }
        if let timer { cancelled.append(timer.task) }
        let world = world
        let task = world.spawn { [weak self] in
            guard (try? await world.sleep(until: deadline)) != nil else { return }
            self?.expire(deadline)
        }
        timer = (task, deadline)
    }

    private func expire(_ due: MonotonicTime) {
        let now = world.now()
        locked {
            guard timer?.due == due else { return }
            timer = nil
            var next: MonotonicTime?
            for call in Array(streams.values) {
                guard let deadline = call.deadline, call.outcome == nil else { continue }
                if deadline <= now {
                    refuse(call, GRPCStatus(code: 4, message: "the call took longer than it was given"))
                } else if next.map({ deadline < $0 }) ?? true {
                    next = deadline
                }
            }
            if let next { watch(next) }
        }
    }
}

extension GRPCStatus {
    static let cancelled = GRPCStatus(code: 1, message: "the call was given up")
}
