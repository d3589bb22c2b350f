internal import MartletBase

/// The short cut of one connection: plain requests come in, go out to a kept connection of a backend, and their answers
/// go back, all from one completion to the next and without a task.
///
/// It ends when something comes that is not plain, and begins again after that has been handled. What it cannot do
/// itself it leaves as it found it: a request whose backend does not answer is handled from its first byte on, and an
/// answer that is not plain is handed over with its connection (``BegunExchange``).
///
/// `@unchecked Sendable`: all of it happens on the world's thread.
final class PlainLane: Diversion, @unchecked Sendable {
    /// How it ended.
    enum Outcome: Sendable {
        /// With the connection.
        case ended
        /// With a request that is to be handled; its bytes are in the buffer.
        case handling(BegunExchange?)
    }

    /// What it is about.
    private enum State {
        /// The next request is awaited.
        case idle
        /// A backend was sent the request.
        case asked(Exchange)
        /// The answer's head has been passed on, or is just about to be.
        case answering(Exchange, Answer)
    }

    private struct Exchange {
        let choice: PlainChoice
        let connection: ClientConnection
        let began: MonotonicTime

        /// Ends it; what its connection still brings is nobody's.
        func giveUp() {
            connection.inbound.endDiversion()
            connection.close()
        }
    }

    private struct Answer {
        let status: Int
        let began: MonotonicTime
        /// When something of it came or was taken last.
        var moved: MonotonicTime
        var body: PlainBody
        /// Bytes of the body that the client was sent.
        var sent = 0
        /// Whether more came than the answer says: who sends that is not asked again.
        var isTooLong = false
    }

    private let inbound: Inbound
    private let stream: any DirectStream
    private let way: any PlainWay
    private let record: ServerRecord
    private let core: ServerCore
    private let request = PlainRequest()
    private var state = State.idle
    private var waiter: UnsafeContinuation<Outcome, Never>?

    /// - Parameters:
    ///   - inbound: reads `stream`.
    ///   - way: says where requests go.
    init(
        _ inbound: Inbound, _ stream: any DirectStream, _ way: any PlainWay, _ record: ServerRecord, _ core: ServerCore
    ) {
        self.inbound = inbound
        self.stream = stream
        self.way = way
        self.record = record
        self.core = core
        // Not weakly, which would make each use of this cost more: ``ServerConnection`` ends it.
        record.setWatcher { now in self.look(at: now) }
    }

    /// Passes requests on for as long as they are plain.
    func run() async -> Outcome {
        guard inbound.divert(to: self) else { return .handling(nil) }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                waiter = continuation
                takeNext()
            }
        } onCancel: {
            core.world.spawn { self.cancel() }
        }
    }

    func received(_ bytes: Span<UInt8>, by source: Inbound) {
        if source === inbound { return fromClient(bytes) }
        switch state {
        case .asked(let exchange) where source === exchange.connection.inbound:
            if bytes.isEmpty { broke(exchange) } else { answer(bytes, exchange) }
        case .answering(let exchange, let answer) where source === exchange.connection.inbound:
            if bytes.isEmpty { cut() } else { passBody(bytes, exchange, answer) }
        case .idle, .asked, .answering: break
        }
    }

    private func fromClient(_ bytes: Span<UInt8>) {
        switch state {
        case .idle:
            if bytes.isEmpty { end(.ended) } else { begin(bytes) }
        // The next request has its turn when this one has its answer, and is asked for no further.
        case .asked where !bytes.isEmpty, .answering where !bytes.isEmpty: inbound.addUnread([UInt8](copying: bytes))
        // Who only ends his side gets his answer; who does so in the middle of it is gone.
        case .asked: break
        case .answering: cut()
        }
    }

    private func end(_ outcome: Outcome) {
        inbound.endDiversion()
        waiter.take()?.resume(returning: outcome)
    }

    // MARK: The request

    private func takeNext() {
        let unread = inbound.takeUnread()
        if !unread.isEmpty {
            begin(unread.span)
        } else if inbound.isOver {
            end(.ended)
        } else {
            inbound.ask()
        }
    }

    private func begin(_ bytes: Span<UInt8>) {
        let now = core.world.now()
        let scratch = core.scratch
        scratch.clear()
        guard !isLeaving, let length = request.read(bytes, limit: core.limits.head),
            let choice = way.choose(request, at: now, adding: &scratch.lines),
            let connection = choice.client.takeKept()
        else { return leave(bytes) }
        request.write(to: &scratch.out, adding: scratch.lines)
        let exchange = Exchange(choice: choice, connection: connection, began: now)
        guard connection.inbound.divert(to: self), connection.inbound.takesAtOnce(scratch.out.span) else {
            exchange.giveUp()
            return leave(bytes)
        }
        record.enter(.busy, for: nil)
        if length < bytes.count { inbound.addUnread([UInt8](copying: bytes.extracting(length...))) }
        state = .asked(exchange)
        connection.inbound.ask()
    }

    /// Whether the connection ends with its next answer, which has to say so.
    private var isLeaving: Bool { core.isStopping || record.isRetiring }

    /// Has a request handled that was not begun.
    private func leave(_ bytes: Span<UInt8>) {
        inbound.addUnread([UInt8](copying: bytes))
        end(.handling(nil))
    }

    /// Has the request handled that is under way.
    private func handOver(_ begun: BegunExchange?) {
        state = .idle
        let behind = inbound.takeUnread()
        inbound.addUnread(request.bytes + behind)
        end(.handling(begun))
    }

    // MARK: The answer

    private func answer(_ bytes: Span<UInt8>, _ exchange: Exchange) {
        let scratch = core.scratch
        scratch.clear()
        let isToHead = request.method == "HEAD"
        guard !isLeaving,
            let head = PlainAnswer(bytes, isToHead: isToHead, date: core.dateLine(), to: &scratch.out),
            var body = PlainBody(head.framing),
            body.pass(bytes.extracting(head.end...), to: &scratch.out) == bytes.count - head.end
        else {
            let connection = exchange.connection
            connection.inbound.endDiversion()
            connection.inbound.addUnread([UInt8](copying: bytes))
            return handOver(BegunExchange(exchange.choice, began: exchange.began, connection))
        }
        let now = core.world.now()
        state = .answering(exchange, Answer(status: head.status, began: now, moved: now, body: body))
        passOn()
        // Who goes away before a long answer is over is seen to do so.
        if !body.isWhole, case .answering = state { inbound.ask() }
    }

    private func passBody(_ bytes: Span<UInt8>, _ exchange: Exchange, _ answer: Answer) {
        var answer = answer
        let scratch = core.scratch
        scratch.clear()
        guard let count = answer.body.pass(bytes, to: &scratch.out) else { return cut() }
        answer.isTooLong = count < bytes.count
        answer.moved = core.world.now()
        state = .answering(exchange, answer)
        passOn()
    }

    /// Sends what was put together, and goes on when that is done.
    private func passOn() {
        let scratch = core.scratch
        do {
            if try send(scratch.out.span) { goOn() }
        } catch {
            cut()
        }
    }

    /// False when a task sends the rest, and goes on then.
    private func send(_ bytes: Span<UInt8>) throws(NetworkError) -> Bool {
        // Of a chunk, maybe only the size has come.
        guard !bytes.isEmpty, let rest = try stream.send(bytes) else { return true }
        record.limit(core.limits.idleTimeout)
        core.world.spawn { self.sent((try? await rest()) != nil) }
        return false
    }

    private func sent(_ isWhole: Bool) {
        record.limit(nil)
        guard isWhole, case .answering(let exchange, var answer) = state else { return cut() }
        answer.moved = core.world.now()
        state = .answering(exchange, answer)
        goOn()
    }

    private func goOn() {
        guard case .answering(let exchange, var answer) = state else { return }
        answer.sent = answer.body.count
        guard answer.body.isWhole else {
            state = .answering(exchange, answer)
            return exchange.connection.inbound.ask()
        }
        state = .idle
        request.forget()
        if answer.isTooLong {
            exchange.giveUp()
        } else {
            exchange.connection.inbound.endDiversion()
            exchange.choice.client.keep(exchange.connection)
        }
        tell(exchange, answer, isBroken: false)
        if core.isStopping { return end(.ended) }
        record.enter(.idle, for: core.limits.idleTimeout)
        takeNext()
    }

    private func tell(_ exchange: Exchange, _ answer: Answer, isBroken: Bool) {
        let report = PlainReport(
            status: answer.status, bytes: answer.sent, isBroken: isBroken, waited: answer.began - exchange.began,
            took: core.world.now() - exchange.began)
        way.answered(exchange.choice, report)
    }

    // MARK: What goes wrong

    /// The backend has ended the connection without an answer, or it has failed.
    private func broke(_ exchange: Exchange) {
        exchange.giveUp()
        handOver(nil)
    }

    /// An answer that has begun cannot be ended: the client sees that something is missing.
    private func cut() {
        guard case .answering(let exchange, let answer) = state else { return }
        state = .idle
        exchange.giveUp()
        stream.close()
        tell(exchange, answer, isBroken: true)
        end(.ended)
    }

    /// The answer has not come in time: who handles the request does not ask that backend again.
    private func giveUp(on exchange: Exchange) {
        exchange.giveUp()
        handOver(BegunExchange(exchange.choice, began: exchange.began, nil))
    }

    /// The connection's task is cancelled. A request that has no answer yet is handled by it, as one that was given up.
    private func cancel() {
        guard case .asked(let exchange) = state else { return cut() }
        stream.close()
        giveUp(on: exchange)
    }

    /// Gives up what takes too long.
    private func look(at now: MonotonicTime) {
        guard stream.isHere else { return }
        switch state {
        case .asked(let exchange) where exchange.began + exchange.choice.answerLimit < now: giveUp(on: exchange)
        case .answering(let exchange, let answer) where answer.moved + exchange.choice.bodyLimit < now: cut()
        case .idle, .asked, .answering: break
        }
    }
}

/// Where the lanes of a server put messages together: each is sent before the next is begun.
///
/// `@unchecked Sendable`: used on the world's thread only.
final class PlainScratch: @unchecked Sendable {
    /// A message.
    var out: [UInt8] = []
    /// The lines that are added to it.
    var lines: [UInt8] = []

    /// Makes room, and keeps the memory.
    func clear() {
        out.removeAll(keepingCapacity: true)
        lines.removeAll(keepingCapacity: true)
    }
}
