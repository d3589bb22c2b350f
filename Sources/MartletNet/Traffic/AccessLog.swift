public import Logging
public import MartletBase
internal import MartletIO
internal import MartletRoutes
internal import Synchronization

/// The access log of a process: one line of JSON for each request. Lines gather in memory and a thread of its own
/// writes them in batches: no request waits for a disk. What there is no room for is left out, and counted.
public final class AccessLog: Sendable {
    /// Bytes of lines that may wait for the disk.
    static let room = 1 << 20
    /// How long lines gather before they are written.
    static let pause = Duration.milliseconds(100)

    private struct State {
        var waiting: [UInt8] = []
        /// An array to gather in while the other is written.
        var spare: [UInt8] = []
        var dropped: UInt64 = 0
        var isWriting = false
        var writer: Task<Void, Never>?
    }
    private let state = Mutex(State())
    private let path: String
    private let thread: BlockingWorker
    private let world: any World
    private let logger: Logger

    /// - Parameter path: a file that lines are added to, made when absent; `-` is the standard output. It is opened for
    ///   each batch: one that was moved away is followed by a new one.
    /// - Throws: `Errno` when the file cannot be written to.
    public init(path: String, in world: any World, logger: Logger) throws {
        self.path = path
        self.world = world
        self.logger = logger
        try Files.append([], to: path)
        thread = try BlockingWorker(name: "access-log")
    }

    /// Lines that there was no room for.
    var dropped: UInt64 { state.withLock { $0.dropped } }

    /// Adds a line. Never waits.
    func add(_ entry: AccessEntry) {
        let begins = state.withLock { state in
            let before = state.waiting.count
            entry.append(to: &state.waiting)
            if state.waiting.count > Self.room {
                state.waiting.removeLast(state.waiting.count - before)
                state.dropped += 1
            }
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if begins {
            let task = world.spawn { await self.write() }
            state.withLock { $0.writer = task }
        }
    }

    /// Writes until nothing waits.
    private func write() async {
        var hasFailed = false
        while true {
            try? await world.sleep(for: Self.pause)
            let batch: [UInt8]? = state.withLock { state in
                if state.waiting.isEmpty {
                    state.isWriting = false
                    return nil
                }
                let batch = state.waiting
                state.waiting = state.spare
                state.spare = []
                return batch
            }
            guard var batch else { return }
            do {
                try await thread.run { [batch, path] in try Files.append(batch, to: path) }
                hasFailed = false
            } catch {
                let lines = batch.count { $0 == UInt8(ascii: "\n") }
                state.withLock { $0.dropped += UInt64(lines) }
                if !hasFailed {
                    logger.warning(
                        "the access log cannot be written", metadata: ["file": "\(path)", "error": "\(error)"])
                }
                hasFailed = true
            }
            batch.removeAll(keepingCapacity: true)
            state.withLock { [batch] in $0.spare = batch }
        }
    }

    /// Writes what waits, and ends.
    public func close() async {
        let writer = state.withLock { $0.writer }
        writer?.cancel()
        await writer?.value
        thread.stop()
    }
}
