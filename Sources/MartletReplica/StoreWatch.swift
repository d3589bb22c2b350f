internal import DequeModule
public import MartletStore
internal import Synchronization

/// A running watch. Ordered, without gaps or repeats. One task at a time calls ``next()``; dropping it ends it.
public final class StoreWatch: Sendable {
    private let queue: WatchQueue
    private let replica: Replica

    init(_ queue: WatchQueue, of replica: Replica) {
        self.queue = queue
        self.replica = replica
    }

    deinit { queue.end(.cancelled) }

    /// Waits for the next batch: all changes of one or more whole revisions. An empty batch is progress only: nothing
    /// happened up to `revision`. Nil when the replica closed.
    ///
    /// Progress comes about once a second when the store moves on without this watch's keys, and after
    /// ``requestProgress()``.
    /// - Throws: ``StoreError/compacted(oldest:)`` when this watcher fell too far behind, or `CancellationError`.
    public func next() async throws -> (events: [StoreEvent], revision: Int64)? {
        while true {
            try Task.checkCancellation()
            switch queue.take() {
            case .batch(let events, let revision): return (events, revision)
            case .ended(.closed): return nil
            case .ended(.cancelled): throw CancellationError()
            case .behind: try await replica.catchUp(queue)
            case .nothing: await queue.wait()
            }
        }
    }

    /// What ``poll()`` finds.
    public enum Polled: Sendable {
        /// All changes of one or more whole revisions.
        case events([StoreEvent])
        /// Every change that anybody was told of has been taken.
        case upToDate
        /// The history must be read first: call ``catchUp()``, and poll again.
        case behind
        /// The watch is over.
        case ended
    }

    /// Takes what is there, without waiting: for those who look only when they must know, in place of ``next()``.
    public func poll() -> Polled {
        switch queue.take() {
        case .batch(let events, _): .events(events)
        case .nothing: .upToDate
        case .behind: .behind
        case .ended: .ended
        }
    }

    /// Reads on from the history, after ``poll()`` has said that it must be.
    /// - Throws: ``StoreError/compacted(oldest:)`` when this watcher fell too far behind.
    public func catchUp() async throws { try await replica.catchUp(queue) }

    /// Asks that ``next()`` return soon, with an empty batch when there is nothing else: then all changes up to the
    /// batch's revision, which is at least the store's at this call, have been delivered.
    public func requestProgress() { queue.requestProgress() }

    /// Ends the watch; a waiting ``next()`` throws `CancellationError`.
    public func cancel() { queue.end(.cancelled) }
}

/// What a replica has for one watcher. The replica fills it, the watcher empties it.
final class WatchQueue: Sendable {
    /// Why a watch is over.
    enum End: Sendable {
        case cancelled
        case closed
    }
    /// What a watcher finds.
    enum Found {
        case batch([StoreEvent], revision: Int64)
        case ended(End)
        /// The history must be read first.
        case behind
        case nothing
    }

    let range: KeyRange
    private let state: Mutex<State>
    private let told: ToldRevision

    fileprivate struct State {
        var batches: Deque<(events: [StoreEvent], revision: Int64)> = []
        var queuedEvents = 0
        /// All changes through this revision are queued or delivered; while the queue is live, so are all that the
        /// others were told.
        var position: Int64
        /// Through which revision the watcher knows that it has seen all.
        var told: Int64
        /// Whether new changes are queued; else they are read from the history when the watcher comes for them.
        var isLive = false
        var progressDue = false
        var progressAsked = false
        var end: End?
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// A queue for the changes after `revision`. `told` is what all live queues have been told.
    init(_ range: KeyRange, after revision: Int64, _ told: ToldRevision) {
        self.range = range
        self.told = told
        state = Mutex(State(position: revision, told: revision))
    }

    /// The revision after which the history must be read; nil when the queue is live or over.
    var behindSince: Int64? {
        state.withLock { $0.isLive || $0.end != nil ? nil : $0.position }
    }

    /// Whether the watch is over.
    var isOver: Bool { state.withLock { $0.end != nil } }

    /// Takes the changes of the newest revision. When there is no room the watcher must read on from the history.
    func offer(_ events: [StoreEvent], revision: Int64) {
        wake { state in
            guard state.isLive, state.end == nil else { return false }
            // A revision too large for any queue is taken by an empty one.
            if state.queuedEvents + events.count > Limits.watchEvents, !state.batches.isEmpty {
                leaveLive(&state)
                return false
            }
            state.append(events, revision)
            return true
        }
    }

    /// Takes what the history had after ``behindSince``, through `revision`; `isAll` says that this is the present.
    func fill(_ events: [StoreEvent], through revision: Int64, isAll: Bool) {
        wake { state in
            if events.isEmpty { state.position = revision } else { state.append(events, revision) }
            state.isLive = isAll
            return true
        }
    }

    /// The state was replaced: the watcher goes on from the history, as far as that reaches.
    func fallBehind() {
        wake { state in
            leaveLive(&state)
            return true
        }
    }

    private func leaveLive(_ state: inout State) {
        keepUp(&state)
        state.isLive = false
    }

    /// Sees how far a live queue is.
    private func keepUp(_ state: inout State) {
        if state.isLive { state.position = max(state.position, told.revision) }
    }

    /// Tells a waiting watcher how far the store is, if it does not know.
    func offerProgress() {
        wake { state in
            keepUp(&state)
            guard state.waiter != nil, state.isLive, state.told < state.position else { return false }
            state.progressDue = true
            return true
        }
    }

    func requestProgress() {
        wake { state in
            state.progressAsked = true
            return true
        }
    }

    /// Ends the watch, for the first reason given.
    func end(_ reason: End) {
        wake { state in
            if state.end == nil { state.end = reason }
            if reason == .cancelled { state.batches = [] }
            return true
        }
    }

    /// What there is for the watcher now.
    func take() -> Found {
        state.withLock { state in
            keepUp(&state)
            if state.end == .cancelled { return .ended(.cancelled) }
            if let batch = state.takeBatch() { return .batch(batch.events, revision: batch.revision) }
            if let end = state.end { return .ended(end) }
            if !state.isLive { return .behind }
            if state.progressAsked || (state.progressDue && state.told < state.position) {
                state.progressAsked = false
                state.progressDue = false
                state.told = state.position
                return .batch([], revision: state.position)
            }
            state.progressDue = false
            return .nothing
        }
    }

    /// Returns when there may be something to take, or the task is cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let stale: CheckedContinuation<Void, Never>? = state.withLock { state in
                    // What came between `take` and here is found by the next `take`.
                    if state.hasNews || Task.isCancelled { return continuation }
                    let previous = state.waiter
                    state.waiter = continuation
                    return previous
                }
                stale?.resume()
            }
        } onCancel: {
            wake { _ in true }
        }
    }

    /// Changes the state and wakes the watcher when `change` says so.
    private func wake(_ change: (inout State) -> Bool) {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard change(&state) else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}

extension WatchQueue.State {
    fileprivate mutating func append(_ events: [StoreEvent], _ revision: Int64) {
        batches.append((events, revision))
        queuedEvents += events.count
        position = revision
    }

    fileprivate var hasNews: Bool {
        !batches.isEmpty || end != nil || !isLive || progressAsked || (progressDue && told < position)
    }

    /// Whole revisions, about ``Limits/watchBatchEvents`` events. One revision alone shares its storage with all
    /// watchers of the same keys.
    fileprivate mutating func takeBatch() -> (events: [StoreEvent], revision: Int64)? {
        guard var batch = batches.popFirst() else { return nil }
        while let next = batches.first, batch.events.count + next.events.count <= Limits.watchBatchEvents {
            batch.events += next.events
            batch.revision = next.revision
            batches.removeFirst()
        }
        queuedEvents -= batch.events.count
        // Nothing else happened through `position`, so the watcher is told that much.
        if batches.isEmpty { batch.revision = position }
        told = batch.revision
        return batch
    }
}
