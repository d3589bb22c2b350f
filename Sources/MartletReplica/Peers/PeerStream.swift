internal import DequeModule
internal import MartletBase
internal import MartletRaft
internal import Synchronization

/// One connection between two members, whoever made it: it carries messages, questions and answers both ways.
final class PeerStream: Sendable {
    /// Who is at the other end; nil for one that has no id yet, and may only ask.
    let member: MemberID?
    private let stream: any ByteStream
    private let transport: StreamPeerTransport
    private let queue = FrameQueue()
    private let state: Mutex<State>

    private struct State {
        var isOver = false
        var heard: MonotonicTime
        var pinged: MonotonicTime
        /// Questions that wait for answers, in the order in which they were asked.
        var calls: [UInt64: Call] = [:]
        var nextCall: UInt64 = 1
        /// How many of the other side's questions are worked on.
        var answering = 0
    }
    private struct Call: Sendable {
        var continuation: CheckedContinuation<[UInt8], any Error>
        var deadline: MonotonicTime
    }

    init(_ member: MemberID?, _ stream: any ByteStream, of transport: StreamPeerTransport) {
        self.member = member
        self.stream = stream
        self.transport = transport
        let now = transport.world.now()
        state = Mutex(State(heard: now, pinged: now))
    }

    private var name: MemberID { member ?? MemberID(0) }

    // MARK: Out

    /// Sends messages; what does not fit is dropped.
    func send(_ messages: some Sequence<RaftMessage>) { queue.push(messages.lazy.map(PeerFrame.message)) }

    /// Asks the other side.
    /// - Throws: ``PeerError``.
    func call(_ request: [UInt8]) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            let error = state.withLock { state -> PeerError? in
                guard !state.isOver else { return .unreachable(name) }
                guard state.calls.count < Limits.peerCalls,
                    queue.push(CollectionOfOne(PeerFrame.request(state.nextCall, request)))
                else { return .overloaded(name) }
                let deadline = transport.world.now() + Limits.peerCall
                state.calls[state.nextCall] = Call(continuation: continuation, deadline: deadline)
                state.nextCall += 1
                return nil
            }
            if let error { continuation.resume(throwing: error) }
        }
    }

    /// Asks a quiet connection for a sign of life, gives up a dead one, and calls that wait for too long.
    func sweep(_ now: MonotonicTime) {
        let (late, isSilent, asks) = state.withLock { state in
            let late = state.calls.filter { $0.value.deadline < now }.sorted { $0.key < $1.key }
            for call in late { state.calls[call.key] = nil }
            let asks = now - max(state.heard, state.pinged) >= Limits.peerPing
            if asks { state.pinged = now }
            return (late, now - state.heard > Limits.peerSilence, asks)
        }
        for call in late { call.value.continuation.resume(throwing: PeerError.timedOut(name)) }
        if isSilent { end() } else if asks { queue.push(CollectionOfOne(PeerFrame.ping)) }
    }

    /// Ends the connection; calls that wait fail.
    func end() {
        let calls = state.withLock { state in
            state.isOver = true
            defer { state.calls = [:] }
            return state.calls.sorted { $0.key < $1.key }
        }
        queue.end()
        stream.close()
        for call in calls { call.value.continuation.resume(throwing: PeerError.unreachable(name)) }
    }

    // MARK: In

    /// Takes what comes, and writes what is to be sent, until the connection ends.
    func serve(_ reader: PeerFrameReader) async {
        var reader = reader
        let (queue, stream) = (queue, stream)
        let writing = transport.world.spawn {
            while let bytes = await queue.next(), (try? await stream.write(bytes)) != nil {}
            stream.close()
        }
        do {
            while true {
                var events: [PeerEvent] = []
                while let frame = try reader.next() { try take(frame, &events) }
                if !events.isEmpty { await transport.tell(events) }
                let bytes = try await stream.read(atMost: Limits.peerReadBytes)
                if bytes.isEmpty { break }
                let now = transport.world.now()
                state.withLock { $0.heard = now }
                reader.feed(bytes)
            }
        } catch let error as ByteCodecError {
            let who = member.map { "member \($0)" } ?? "a guest"
            transport.complain("\(who) sent what cannot be read (\(error)); its connection is closed")
        } catch {
            // The connection broke; whoever made it makes another.
        }
        end()
        await writing.value
    }

    private func take(_ frame: PeerFrame, _ events: inout [PeerEvent]) throws(ByteCodecError) {
        switch frame {
        case .message(let message):
            guard message.from == member else {
                throw ByteCodecError(offset: 0, what: "a message in the name of member \(message.from)")
            }
            events.append(.message(message))
        case .request(let number, let bytes): answer(number, bytes)
        case .answer(let number, let bytes): settle(number, .success(bytes))
        case .failure(let number, let why): settle(number, .failure(PeerError.refused(why)))
        case .ping: queue.push(CollectionOfOne(PeerFrame.pong))
        case .pong: break
        case .hello, .welcome, .refusal: throw ByteCodecError(offset: 0, what: "a frame out of place")
        }
    }

    private func settle(_ number: UInt64, _ result: Result<[UInt8], any Error>) {
        let call = state.withLock { $0.calls.removeValue(forKey: number) }
        call?.continuation.resume(with: result)
    }

    private func answer(_ number: UInt64, _ request: [UInt8]) {
        let isTaken = state.withLock { state in
            guard state.answering < Limits.peerCalls else { return false }
            state.answering += 1
            return true
        }
        guard isTaken else {
            queue.push(CollectionOfOne(PeerFrame.failure(number, "too many requests at a time; try again")))
            return
        }
        transport.world.spawn {
            let frame: PeerFrame
            do {
                let answer = try await self.transport.answer(request, from: self.member)
                frame = PeerFrame.answer(number, answer).withinBounds
            } catch {
                frame = .failure(number, "\(error)")
            }
            self.state.withLock { $0.answering -= 1 }
            self.queue.push(CollectionOfOne(frame))
        }
    }
}
