internal import CMartlet
internal import Glibc
internal import MartletBase
internal import Synchronization

/// The log's thread: takes what was asked for, in order, and makes one batch of all appends that stand together.
///
/// The queue holds nothing that a waiting caller does not hold, so its callers bound it.
///
/// `@unchecked Sendable`: `log`, `staged` and `failure` belong to the log's thread once it runs, `bell` is for all; the
/// rest is under the lock.
final class LogWriter: @unchecked Sendable {
    enum Request {
        case append([LogRecord], UnsafeContinuation<Void, any Error>)
        case read(UInt64, Int, UnsafeContinuation<[LogRecord], any Error>)
        case truncateSuffix(UInt64, UnsafeContinuation<Void, any Error>)
        case truncatePrefix(UInt64, UnsafeContinuation<Void, any Error>)
        case close(UnsafeContinuation<Void, Never>?)
    }

    private struct Shared {
        var queue: [Request] = []
        var bounds: Range<UInt64>
        var sleeping = false
        var closed = false
    }

    /// How long the log rests before a record says that all in it was durable: until then damage of the last batch may
    /// look like a torn write. So a log that rests costs no more than five such records a second, and a busy one none.
    private static let restMilliseconds: UInt32 = 200
    /// Bytes after which one read returns what it has.
    private static let readBytes = 8 << 20

    private let log: OpaquePointer
    /// Told what the log does to its files; the C side holds it unretained.
    private let recorder: LogRecorder?
    /// Wakes the log's thread.
    private let bell: UnsafeMutablePointer<UInt32>
    private let shared: Mutex<Shared>
    /// Appends whose records are in the batch, or in one that is durable already.
    private var staged: [UnsafeContinuation<Void, any Error>] = []
    private var failure: String?
    /// Whether there was no room to say that all is durable; tried again after the next append.
    private var isSealRefused = false

    /// What all segments of this log carry, and those of no other.
    let identity: UInt64
    /// What was cut off the end.
    let torn: TornTail?

    init(
        directory: String, segmentBytes: Int, identity wanted: UInt64? = nil, recorder: LogRecorder? = nil
    ) throws(LogError) {
        do {
            try Files.makeDirectory(directory, mode: 0o700)
            // What is acknowledged must not vanish with the folder's name.
            try Files.syncFolder(of: directory)
        } catch {
            throw .system(operation: "make the folder", file: directory, error)
        }
        var opened: OpaquePointer?
        var error = cm_log_error()
        let status = cm_log_open_recorded(
            &opened, directory, UInt64(clamping: segmentBytes), wanted ?? 0, LogRecorder.callback(recorder), &error)
        guard status == 0, let opened else { throw LogError(status: status, error) }
        log = opened
        self.recorder = recorder
        identity = cm_log_identity(opened)
        torn = TornTail(cm_log_torn(opened).pointee)
        bell = .allocate(capacity: 1)
        bell.initialize(to: 0)
        shared = Mutex(Shared(bounds: cm_log_first(opened)..<cm_log_next(opened)))
        do {
            try Threads.start(name: "martlet-log") { self.run() }
        } catch {
            cm_log_close(opened)
            throw .system(operation: "start the thread", file: directory, error)
        }
    }

    deinit { bell.deallocate() }

    var bounds: Range<UInt64> { shared.withLock { $0.bounds } }

    /// Hands over a request; it is answered, whatever happens. Any thread.
    func submit(_ request: Request) {
        let (closed, sleeping) = shared.withLock { shared in
            if shared.closed { return (true, false) }
            shared.queue.append(request)
            defer { shared.sleeping = false }
            return (false, shared.sleeping)
        }
        if closed { return Self.refuse(request, .closed) }
        // Not under the lock, which the thread that wakes takes first.
        if sleeping { cm_bell_ring(bell) }
    }

    // MARK: The thread

    private func run() {
        while true {
            var requests = take()
            for (at, request) in requests.enumerated() {
                if case .close(let continuation) = request {
                    close()
                    for late in requests[(at + 1)...] { Self.refuse(late, .closed) }
                    continuation?.resume()
                    return
                }
                handle(request)
            }
            // Given back before those who wait go on: who has allocated the records frees them, too.
            requests = []
            commit()
        }
    }

    /// Waits until something was asked for.
    private func take() -> [Request] {
        while true {
            let requests = shared.withLock { shared in
                defer { shared.queue = [] }
                shared.sleeping = shared.queue.isEmpty
                return shared.queue
            }
            if !requests.isEmpty { return requests }
            if failure != nil || cm_log_is_sealed(log) != 0 || isSealRefused {
                cm_bell_wait(bell)
            } else if cm_bell_wait_for(bell, Self.restMilliseconds) == 0 {
                seal()
            }
        }
    }

    private func handle(_ request: Request) {
        if let failure { return Self.refuse(request, .failed(failure)) }
        if case .append(let records, let continuation) = request { return append(records, continuation) }
        // What follows must see, and must not overtake, what was appended before.
        commit()
        if let failure { return Self.refuse(request, .failed(failure)) }
        switch request {
        case .read(let index, let limit, let continuation):
            continuation.resume(with: Swift.Result { try read(from: index, limit: limit) })
        case .truncateSuffix(let index, let continuation):
            continuation.resume(with: Swift.Result { try truncateSuffix(from: index) })
        case .truncatePrefix(let index, let continuation):
            continuation.resume(with: Swift.Result { try truncatePrefix(before: index) })
        case .append, .close:
            break
        }
    }

    private func append(_ records: [LogRecord], _ continuation: UnsafeContinuation<Void, any Error>) {
        let limit = cm_log_limit(log)
        for (record, expected) in zip(records, cm_log_next(log)...) {
            var refusal: LogError?
            if record.index != expected {
                refusal = .outOfRange(index: record.index, held: cm_log_first(log)..<cm_log_next(log))
            } else if record.payload.count > limit {
                refusal = .tooLarge(bytes: record.payload.count, limit: Int(limit))
            }
            if let refusal { return continuation.resume(throwing: refusal) }
        }
        staged.append(continuation)
        isSealRefused = false
        let bytes = records.reduce(0) { $0 + cm_log_record_bytes(UInt64($1.payload.count)) }
        var refusal = records.count > 1 ? withRoom { cm_log_together(log, bytes, &$0) } : nil
        for (at, record) in records.enumerated() where refusal == nil && failure == nil {
            refusal = stage(CM_LOG_DATA, record.index, record.payload)
            // The first records of a call that is larger than a segment cannot be taken back.
            if let refusal, at > 0 { return fail(refusal) }
        }
        if let refusal, failure == nil { staged.removeLast().resume(throwing: refusal) }
    }

    /// Says that all before was durable: without it, the log only looks as if it had been killed at work.
    private func seal() {
        isSealRefused = stage(CM_LOG_SEALED, cm_log_next(log), []) != nil
        commit()
    }

    /// Adds a record to the batch. Durable after `commit`; not in the batch when a refusal is returned.
    private func stage(_ kind: Int, _ index: UInt64, _ payload: [UInt8]) -> LogError? {
        withRoom { error in
            payload.withUnsafeBytes {
                cm_log_stage(log, Int32(kind), index, $0.baseAddress, UInt64($0.count), &error)
            }
        }
    }

    /// Does a step that the batch or the segment may be too full for, and commits the batch first where it is. Returns
    /// why no new segment could be made; the log is as before the step then.
    private func withRoom(_ step: (inout cm_log_error) -> Int32) -> LogError? {
        var isFull = false
        var refusal: LogError?
        func tryStep(_ error: inout cm_log_error) -> Int32 {
            let status = step(&error)
            switch Int(status) {
            case CM_LOG_FULL where !isFull: isFull = true
            case CM_LOG_REFUSED: refusal = LogError(status: status, error)
            default: return status
            }
            return 0
        }
        attempt(tryStep)
        guard isFull else { return refusal }
        attempt { cm_log_commit(log, &$0) }
        attempt(tryStep)
        return refusal
    }

    private func commit() {
        attempt { cm_log_commit(log, &$0) }
        if failure == nil { publishBounds() }
        for continuation in staged { continuation.resume() }
        staged.removeAll(keepingCapacity: true)
    }

    private func publishBounds() {
        let bounds = cm_log_first(log)..<cm_log_next(log)
        shared.withLock { $0.bounds = bounds }
    }

    private func read(from index: UInt64, limit: Int) throws(LogError) -> [LogRecord] {
        let held = cm_log_first(log)..<cm_log_next(log)
        guard index < held.upperBound else { return [] }
        guard index >= held.lowerBound else { throw .outOfRange(index: index, held: held) }
        var records: [LogRecord] = []
        var total = 0
        for at in index..<held.upperBound where records.count < limit && (total < Self.readBytes) {
            var payload: UnsafeRawPointer?
            var length: UInt64 = 0
            var error = cm_log_error()
            let status = cm_log_read(log, at, &payload, &length, &error)
            guard status == 0 else { throw LogError(status: status, error) }
            records.append(
                LogRecord(index: at, payload: Array(UnsafeRawBufferPointer(start: payload, count: Int(length)))))
            total += Int(length)
        }
        return records
    }

    private func truncateSuffix(from index: UInt64) throws(LogError) {
        let held = cm_log_first(log)..<cm_log_next(log)
        guard index >= held.lowerBound else { throw .outOfRange(index: index, held: held) }
        guard index < held.upperBound else { return }
        try control(CM_LOG_CUT, index)
    }

    private func truncatePrefix(before index: UInt64) throws(LogError) {
        if index > cm_log_next(log) { try control(CM_LOG_RESET, index) }
        var error = cm_log_error()
        let status = cm_log_drop_before(log, index, &error)
        publishBounds()
        if status != 0 { throw LogError(status: status, error) }
    }

    private func control(_ kind: Int, _ index: UInt64) throws(LogError) {
        let refusal = stage(kind, index, [])
        commit()
        if let failure { throw .failed(failure) }
        if let refusal { throw refusal }
    }

    /// Ends the log's service; the thread ends after it.
    private func close() {
        commit()
        if failure == nil, cm_log_is_sealed(log) == 0 { seal() }
        let late = shared.withLock { shared in
            shared.closed = true
            defer { shared.queue = [] }
            return shared.queue
        }
        cm_log_close(log)
        for request in late { Self.refuse(request, .closed) }
    }

    /// Does a step unless an earlier one has failed. A failure is final: what the disk holds is not known any more.
    private func attempt(_ step: (inout cm_log_error) -> Int32) {
        guard failure == nil else { return }
        var error = cm_log_error()
        let status = step(&error)
        guard status != 0 else { return }
        fail(LogError(status: status, error))
    }

    private func fail(_ cause: LogError) {
        failure = cause.description
        for continuation in staged { continuation.resume(throwing: cause) }
        staged.removeAll()
    }

    private static func refuse(_ request: Request, _ error: LogError) {
        switch request {
        case .append(_, let continuation), .truncateSuffix(_, let continuation), .truncatePrefix(_, let continuation):
            continuation.resume(throwing: error)
        case .read(_, _, let continuation): continuation.resume(throwing: error)
        case .close(let continuation): continuation?.resume()
        }
    }
}

/// The text in a C array.
private func text<Characters>(_ characters: Characters) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

extension TornTail {
    fileprivate init?(_ tail: cm_log_tail) {
        guard tail.bytes > 0 else { return nil }
        self.init(file: text(tail.file), offset: tail.offset, bytes: tail.bytes, records: tail.records)
    }
}

extension LogError {
    /// What the C side reports.
    fileprivate init(status: Int32, _ error: cm_log_error) {
        let file = text(error.file)
        let what = text(error.what)
        self =
            switch Int(status) {
            case CM_LOG_CORRUPT: .corrupt(file: file, offset: error.offset, what: what)
            case CM_LOG_FORMAT: .otherFormat(file: file, version: error.version)
            case CM_LOG_LOCKED: .locked(file)
            case CM_LOG_REFUSED: .refused(operation: what, file: file, Errno(error.number))
            default: .system(operation: what, file: file, Errno(error.number))
            }
    }
}
