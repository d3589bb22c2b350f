internal import MartletBase
internal import MartletIO

/// Where the node agent's disk work is done: on a thread of its own, as the world's thread has the API and its clocks
/// to serve, and a pod's folder may take long to delete. Pieces of work are done in the order of their arrival.
struct Disk: Sendable {
    private let worker: BlockingWorker?

    /// On a new thread.
    static func thread() throws(Errno) -> Disk { Disk(worker: try BlockingWorker(name: "node-disk")) }

    /// At once, by whoever asks: for worlds whose clock does not wait for threads.
    static let inline = Disk(worker: nil)

    /// Does a piece of work.
    /// - Throws: what it throws; `Errno` EAGAIN when too much waits, ECANCELED after ``stop()``.
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        if let worker { try await worker.run(work) } else { try work() }
    }

    /// Ends the thread when what waits is done.
    func stop() { worker?.stop() }
}
