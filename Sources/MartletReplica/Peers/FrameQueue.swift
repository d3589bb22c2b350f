internal import DequeModule
internal import MartletBase
internal import Synchronization

/// Frames on their way into one stream. Many put them in; one task takes all that is there, and writes it at once.
final class FrameQueue: Sendable {
    fileprivate struct State {
        var frames: Deque<PeerFrame> = []
        var bytes = 0
        var isOver = false
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    /// Adds frames. What is over the bound is not taken; returns whether all was.
    @discardableResult
    func push(_ frames: some Sequence<PeerFrame>) -> Bool {
        let (waiter, all) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Bool) in
            guard !state.isOver else { return (nil, false) }
            var all = true
            for frame in frames {
                let cost = frame.cost
                let fits =
                    state.frames.count < Limits.peerQueueFrames
                    && state.bytes + cost <= Limits.peerQueueBytes
                guard fits || state.frames.isEmpty else {
                    all = false
                    continue
                }
                state.frames.append(frame)
                state.bytes += cost
            }
            defer { state.waiter = nil }
            return (state.waiter, all)
        }
        waiter?.resume()
        return all
    }

    /// Waits for frames and returns them as the bytes of one write; nil when the queue is over.
    func next() async -> [UInt8]? {
        while true {
            let (frames, bytes, isOver) = state.withLock { state in state.take() }
            if isOver { return nil }
            if !frames.isEmpty {
                var writer = ByteWriter(capacity: bytes)
                for frame in frames { frame.encode(into: &writer) }
                return writer.bytes
            }
            await wait()
        }
    }

    /// Drops what is there. The one who takes gets nil from now on.
    func end() {
        let waiter = state.withLock { state in
            state.isOver = true
            state.frames = []
            state.bytes = 0
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func wait() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.isOver || !state.frames.isEmpty { return true }
                state.waiter = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}

extension FrameQueue.State {
    /// What goes into the next write.
    fileprivate mutating func take() -> (frames: [PeerFrame], bytes: Int, isOver: Bool) {
        if isOver { return ([], 0, true) }
        guard bytes > Limits.peerWriteBytes else {
            defer {
                frames.removeAll(keepingCapacity: true)
                bytes = 0
            }
            return (Array(frames), bytes, false)
        }
        var batch: [PeerFrame] = []
        var taken = 0
        while taken < Limits.peerWriteBytes, let frame = frames.popFirst() {
            batch.append(frame)
            taken += frame.cost
        }
        bytes -= taken
        return (batch, taken, false)
    }
}
