internal import DequeModule
internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes
internal import Synchronization

/// Sends copies of requests to mirrors (HTTPRoute's RequestMirror). Nobody hears their answers, and no request waits
/// for its copy: a copy that lags behind is broken off.
final class Mirrors: Sendable {
    /// Copies on their way at one time; no more are made above.
    static let limit = 256
    /// Bytes by which a copy may lag behind its request, and bytes of an answer that are taken before it is given up.
    static let lag = 1024 * 1024

    /// Who gets a copy.
    struct Target {
        var name: String
        var endpoints: [Endpoint]
        var speaks: BackendProtocol
    }
    private let world: any World
    private let running = Atomic<Int>(0)

    init(in world: any World) { self.world = world }

    /// Sends copies of a request on their way.
    /// - Returns: the body that the request itself goes on with.
    func copy(
        _ request: Request, _ head: HTTPRequest, to targets: [Target], through forwarder: Forwarder
    ) -> RequestBody {
        // An upgrade has no copy.
        if targets.isEmpty || head.headerFields.contains(.upgrade) { return request.body }
        var copies: [BodyCopy] = []
        for target in targets {
            guard running.add(1, ordering: .relaxed).newValue <= Self.limit else {
                running.subtract(1, ordering: .relaxed)
                break
            }
            var copied = request
            if case .stream = request.body {
                let copy = BodyCopy()
                copied.body = .stream { try await copy.next() }
                copies.append(copy)
            }
            send(copied, head, to: target, forwarder)
        }
        guard case .stream(let next) = request.body, !copies.isEmpty else { return request.body }
        let source = BodySource(copies)
        return .stream {
            let piece = try await next()
            source.give(piece)
            return piece
        }
    }

    private func send(_ request: Request, _ head: HTTPRequest, to target: Target, _ forwarder: Forwarder) {
        world.spawn {
            var plan = ForwardPlan(name: target.name)
            plan.speaks = target.speaks
            let answer = await forwarder.forward(head, request, to: target.endpoints, plan)
            if case .stream(let write) = answer.response.body { try? await write(Nowhere()) }
            self.running.subtract(1, ordering: .relaxed)
        }
    }

    /// Takes an answer that nobody hears.
    private final class Nowhere: BodyWriter {
        private let taken = Atomic<Int>(0)
        func write(_ bytes: [UInt8]) async throws {
            if taken.add(bytes.count, ordering: .relaxed).newValue > Mirrors.lag { throw NetworkError.closed }
        }
    }
}

/// Gives what is read of a body to its copies. Let go before the body's end, it breaks them off.
private final class BodySource: Sendable {
    private let copies: [BodyCopy]
    init(_ copies: [BodyCopy]) { self.copies = copies }
    deinit { for copy in copies { copy.breakOff() } }

    /// - Parameter piece: nil at the body's end.
    func give(_ piece: [UInt8]?) { for copy in copies { copy.take(piece) } }
}

/// A copy of a body, as far as it was read.
private final class BodyCopy: Sendable {
    private struct State {
        var pieces: Deque<[UInt8]> = []
        var count = 0
        var hasEnded = false
        var isBroken = false
        var reader: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    func take(_ piece: [UInt8]?) {
        change { state in
            if state.isBroken { return }
            guard let piece else { return state.hasEnded = true }
            state.pieces.append(piece)
            state.count += piece.count
            if state.count > Mirrors.lag {
                state.isBroken = true
                state.pieces = []
            }
        }
    }

    func breakOff() { change { if !$0.hasEnded { $0.isBroken = true } } }

    private func change(_ body: (inout State) -> Void) {
        let reader = state.withLock { state in
            body(&state)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    func next() async throws -> [UInt8]? {
        while true {
            try Task.checkCancellation()
            let (piece, isOver, isBroken): ([UInt8]?, Bool, Bool) = state.withLock { state in
                let piece = state.pieces.popFirst()
                state.count -= piece?.count ?? 0
                return (piece, state.hasEnded, state.isBroken)
            }
            if isBroken { throw NetworkError.closed }
            if let piece { return piece }
            if isOver { return nil }
            await withTaskCancellationHandler {
                await withCheckedContinuation { waiting in
                    let isWaiting = state.withLock { state in
                        let waits = state.pieces.isEmpty && !state.hasEnded && !state.isBroken && !Task.isCancelled
                        if waits { state.reader = waiting }
                        return waits
                    }
                    if !isWaiting { waiting.resume() }
                }
            } onCancel: {
                change { _ in }
            }
        }
    }
}
