internal import CMartlet
internal import DequeModule
internal import Glibc
internal import MartletBase

/// A connected socket.
///
/// The descriptor is closed exactly once: after `shut()`, when the kernel has completed the last operation on it, so
/// that no operation can meet a descriptor that was given to somebody else.
///
/// `@unchecked Sendable`: after `init` only the reactor's thread touches what can change.
final class SocketState: ReactorHandle, @unchecked Sendable {
    let core: ReactorCore
    let fd: Int32
    let peer: Endpoint?
    private(set) var closed = false
    private var reading: RingOperation?
    private var writing: WriteOperation?
    /// Made at the first receive, and used again for all that follow.
    private var receiving: ReceiveOperation?
    /// The reactor's turn in which something was last sent at once.
    private var sentInTurn: UInt64 = 0

    init(core: ReactorCore, fd: Int32, peer: Endpoint?) {
        self.core = core
        self.fd = fd
        self.peer = peer
    }

    /// Joins the reactor, or closes at once when that is shut down.
    func open() {
        core.register(self)
        if core.isShutDown { shut() }
    }

    func shut() {
        guard !closed else { return }
        closed = true
        if let reading { core.cancel(reading) }
        if let writing { core.cancel(writing) }
        closeWhenIdle()
    }

    func limitSilence(_ milliseconds: UInt32) {
        if !closed { _ = cm_socket_limit_silence(fd, milliseconds) }
    }

    func endWriting() {
        if !closed { _ = cm_socket_shutdown(fd, Int32(SHUT_WR)) }
    }

    /// Takes the place of the one reader; nil says why not.
    fileprivate func beginReading(_ operation: RingOperation) -> NetworkError? {
        if closed { return .closed }
        if reading != nil { return .system(operation: "read beside another read", Errno(EBUSY)) }
        reading = operation
        return nil
    }

    fileprivate func beginWriting(_ operation: WriteOperation) -> NetworkError? {
        if closed { return .closed }
        if writing != nil { return .system(operation: "write beside another write", Errno(EBUSY)) }
        writing = operation
        return nil
    }

    /// Hands the kernel what it takes without waiting. Mostly that is all, and it costs neither memory nor a visit of
    /// the ring. Once a turn only: a task that always finds room has to give way to others.
    /// - Returns: how many bytes were taken; the ring has to see to the others.
    fileprivate func sendAtOnce(_ bytes: [UInt8]) throws(NetworkError) -> Int {
        guard core.isCurrent, !closed, writing == nil, sentInTurn != core.turns, !Task.isCancelled,
            bytes.count <= ReactorLimits.sendBytes
        else { return 0 }
        sentInTurn = core.turns
        return try sendWithoutWaiting(bytes.span)
    }

    /// Sends what there is room for, which may be nothing.
    fileprivate func sendWithoutWaiting(_ bytes: Span<UInt8>) throws(NetworkError) -> Int {
        let sent = bytes.withUnsafeBufferPointer { cm_socket_send(fd, $0.baseAddress, $0.count) }
        if sent == -Int(EAGAIN) || sent == -Int(EINTR) { return 0 }
        if sent < 0 { throw .system(operation: "write", Errno(Int32(-sent))) }
        return sent
    }

    fileprivate func send(_ bytes: Span<UInt8>) throws(NetworkError) -> Int {
        if closed { throw .closed }
        if writing != nil { throw .system(operation: "write beside another write", Errno(EBUSY)) }
        return try sendWithoutWaiting(bytes)
    }

    fileprivate func receive(for receiver: any StreamReceiver) {
        let operation = receiving ?? ReceiveOperation(self)
        receiving = operation
        operation.start(receiver)
    }

    fileprivate func endedReading() {
        reading = nil
        closeWhenIdle()
    }

    fileprivate func endedWriting() {
        writing = nil
        closeWhenIdle()
    }

    private func closeWhenIdle() {
        guard closed, reading == nil, writing == nil else { return }
        core.forget(self)
        _ = Glibc.close(fd)
    }
}

/// One `read`.
private final class ReadOperation: RingOperation, @unchecked Sendable {
    private let socket: SocketState
    private let limit: Int
    private var memory: UnsafeMutableRawPointer?
    private var continuation: UnsafeContinuation<[UInt8], any Error>?
    private var cancelled = false

    init(_ socket: SocketState, limit: Int) {
        self.socket = socket
        self.limit = min(limit, Int(ReactorLimits.receiveBytes))
        super.init(core: socket.core)
    }

    deinit { memory?.deallocate() }

    func start(_ continuation: UnsafeContinuation<[UInt8], any Error>) {
        if cancelled { return continuation.resume(throwing: CancellationError()) }
        if let refusal = socket.beginReading(self) { return continuation.resume(throwing: refusal) }
        self.continuation = continuation
        receive(intoRing: core.hasBuffers)
    }

    private func receive(intoRing: Bool) {
        if !intoRing && memory == nil { memory = .allocate(byteCount: limit, alignment: 16) }
        core.submit(self) { cm_ring_recv($0, $1, socket.fd, memory, limit) }
    }

    func cancel() {
        cancelled = true
        core.cancel(self)
    }

    override func completed(_ completion: cm_completion) {
        let result = completion.result
        if result == -ENOBUFS && memory == nil && !socket.closed && !cancelled { return receive(intoRing: false) }
        if result == -EINTR && !socket.closed && !cancelled {
            return receive(intoRing: memory == nil && core.hasBuffers)
        }
        let continuation = continuation
        self.continuation = nil
        socket.endedReading()
        if socket.closed {
            continuation?.resume(throwing: NetworkError.closed)
        } else if result >= 0 {
            continuation?.resume(returning: bytes(of: completion))
        } else if result == -ECANCELED || cancelled {
            continuation?.resume(throwing: CancellationError())
        } else {
            continuation?.resume(throwing: NetworkError.system(operation: "read", Errno(-result)))
        }
    }

    private func bytes(of completion: cm_completion) -> [UInt8] {
        let count = Int(completion.result)
        guard count > 0 else { return [] }
        if completion.flags & UInt16(CM_BUFFER) != 0 {
            let start = cm_ring_buffer(core.ring, completion.buffer)
            return Array(UnsafeBufferPointer(start: start, count: count))
        }
        return Array(UnsafeRawBufferPointer(start: memory, count: count))
    }
}

/// The receives of one socket, which bring their bytes to a receiver without a copy. The kernel is asked once, and goes
/// on by itself: what it brings before anybody asks for it waits here.
private final class ReceiveOperation: RingOperation, @unchecked Sendable {
    /// It lives as long as this is in the kernel's hands: it is not given up before.
    private unowned let socket: SocketState
    private var receiver: (any StreamReceiver)?
    private var isArmed = false
    /// What nobody has asked for yet.
    private var ahead: [UInt8] = []
    /// How it ended, as the kernel says it: 0 by the peer's end, else an error.
    private var end: Int32?
    /// Where the bytes go when the ring has no buffer left.
    private var memory: UnsafeMutableBufferPointer<UInt8>?

    init(_ socket: SocketState) {
        self.socket = socket
        super.init(core: socket.core)
    }

    deinit { memory?.deallocate() }

    func start(_ receiver: any StreamReceiver) {
        if socket.closed { return receiver.failed(.closed) }
        if !ahead.isEmpty {
            let piece = Array(ahead.prefix(ReactorLimits.receivedAhead))
            ahead.removeFirst(piece.count)
            return receiver.received(piece.span)
        }
        if let end { return tell(receiver, of: end) }
        self.receiver = receiver
        if isArmed { return }
        if let refusal = socket.beginReading(self) {
            self.receiver = nil
            return receiver.failed(refusal)
        }
        arm(intoRing: core.hasBuffers)
    }

    private func arm(intoRing: Bool) {
        isArmed = true
        if intoRing && core.receivesMany {
            return core.submit(self) { cm_ring_recv_many($0, $1, socket.fd) }
        }
        if !intoRing { memory = .allocate(capacity: Int(ReactorLimits.receiveBytes)) }
        core.submit(self) {
            cm_ring_recv($0, $1, socket.fd, memory?.baseAddress, Int(ReactorLimits.receiveBytes))
        }
    }

    override func completed(_ completion: cm_completion) {
        let goesOn = completion.flags & UInt16(CM_MORE) != 0
        let memory = memory.take()
        defer { memory?.deallocate() }
        // What still comes after the close is nobody's; the cancel ends it.
        if goesOn && socket.closed { return }
        if !goesOn {
            isArmed = false
            if armsAgain(after: completion.result) { return }
            let isClosed = socket.closed
            // May give the socket up.
            socket.endedReading()
            if isClosed {
                receiver.take()?.failed(.closed)
                return
            }
        }
        guard completion.result > 0 else {
            if Self.isNoEnd(completion.result) { return }
            end = completion.result
            if let receiver = receiver.take() { tell(receiver, of: completion.result) }
            return
        }
        let isInRing = completion.flags & UInt16(CM_BUFFER) != 0
        let own = memory.flatMap { UnsafePointer($0.baseAddress) }
        let start = isInRing ? cm_ring_buffer(core.ring, completion.buffer) : own
        take(UnsafeBufferPointer(start: start, count: Int(completion.result)).span, goesOn: goesOn)
    }

    private func take(_ bytes: Span<UInt8>, goesOn: Bool) {
        if let receiver = receiver.take() { return receiver.received(bytes) }
        ahead.append(copying: bytes)
        if goesOn && ahead.count >= ReactorLimits.receivedAhead { core.cancel(self) }
    }

    /// A cancel of our own, no room, or a signal: whoever asks next begins anew.
    private static func isNoEnd(_ result: Int32) -> Bool {
        result == -ECANCELED || result == -ENOBUFS || result == -EINTR
    }

    /// Begins anew for somebody who waits, after what is no end; false where there is nobody, or it is one.
    private func armsAgain(after result: Int32) -> Bool {
        if socket.closed || receiver == nil { return false }
        if result == -EINVAL && core.receivesMany {
            core.receivesMany = false
        } else if !Self.isNoEnd(result) {
            return false
        }
        arm(intoRing: core.hasBuffers && result != -ENOBUFS)
        return true
    }

    private func tell(_ receiver: any StreamReceiver, of end: Int32) {
        if end == 0 { return receiver.received(Span()) }
        receiver.failed(.system(operation: "read", Errno(-end)))
    }
}

/// One `write`, in as many sends as it takes.
private final class WriteOperation: RingOperation, @unchecked Sendable {
    private let socket: SocketState
    private let bytes: [UInt8]
    /// A piece of `bytes` that the kernel reads from.
    private let memory: UnsafeMutableRawPointer
    private var piece: Range<Int>
    /// Where `memory` begins in `bytes`.
    private var base = 0
    private var continuation: UnsafeContinuation<Void, any Error>?
    private var cancelled = false

    /// - Parameter sent: how many of the bytes have been sent already.
    init(_ socket: SocketState, bytes: [UInt8], after sent: Int) {
        self.socket = socket
        self.bytes = bytes
        piece = sent..<sent
        memory = .allocate(byteCount: min(bytes.count - sent, ReactorLimits.sendBytes), alignment: 16)
        super.init(core: socket.core)
    }

    deinit { memory.deallocate() }

    func start(_ continuation: UnsafeContinuation<Void, any Error>) {
        if cancelled { return continuation.resume(throwing: CancellationError()) }
        if let refusal = socket.beginWriting(self) { return continuation.resume(throwing: refusal) }
        self.continuation = continuation
        sendNextPiece()
    }

    private func sendNextPiece() {
        piece = piece.upperBound..<min(bytes.count, piece.upperBound + ReactorLimits.sendBytes)
        base = piece.lowerBound
        bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress! + piece.lowerBound, byteCount: piece.count) }
        send(from: memory)
    }

    private func send(from start: UnsafeMutableRawPointer) {
        core.submit(self) { cm_ring_send($0, $1, socket.fd, start, piece.count) }
    }

    func cancel() {
        cancelled = true
        core.cancel(self)
    }

    override func completed(_ completion: cm_completion) {
        let result = completion.result
        if socket.closed { return finish(NetworkError.closed) }
        if result == -ECANCELED { return finish(CancellationError()) }
        if result < 0 && result != -EINTR {
            return finish(NetworkError.system(operation: "write", Errno(-result)))
        }
        let sent = max(0, Int(result))
        if sent < piece.count {
            if cancelled { return finish(CancellationError()) }
            piece = (piece.lowerBound + sent)..<piece.upperBound
            return send(from: memory + (piece.lowerBound - base))
        }
        if piece.upperBound == bytes.count { return finish(nil) }
        if cancelled { return finish(CancellationError()) }
        sendNextPiece()
    }

    private func finish(_ error: (any Error)?) {
        let continuation = continuation
        self.continuation = nil
        socket.endedWriting()
        if let error { continuation?.resume(throwing: error) } else { continuation?.resume() }
    }
}

/// A connected socket, as its users see it.
final class SocketStream: DirectStream {
    private let socket: SocketState

    init(_ socket: SocketState) { self.socket = socket }

    deinit { close() }

    var peer: Endpoint? { socket.peer }

    func read(atMost limit: Int) async throws -> [UInt8] {
        guard limit > 0 else { return [] }
        let operation = ReadOperation(socket, limit: limit)
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                socket.core.perform { operation.start(continuation) }
            }
        } onCancel: {
            operation.core.perform { operation.cancel() }
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        let sent = try socket.sendAtOnce(bytes)
        if sent == bytes.count { return }
        let operation = WriteOperation(socket, bytes: bytes, after: sent)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                socket.core.perform { operation.start(continuation) }
            }
        } onCancel: {
            operation.core.perform { operation.cancel() }
        }
    }

    var direct: (any DirectStream)? { self }

    var isHere: Bool { socket.core.isCurrent }

    func receive(for receiver: any StreamReceiver) {
        if socket.core.isCurrent { return socket.receive(for: receiver) }
        let socket = socket
        socket.core.perform { socket.receive(for: receiver) }
    }

    func send(_ bytes: Span<UInt8>) throws(NetworkError) -> (@Sendable () async throws -> Void)? {
        let sent = try socket.send(bytes)
        if sent == bytes.count { return nil }
        let rest = [UInt8](copying: bytes.extracting(sent...))
        return { try await self.write(rest) }
    }

    func limitSilence(_ limit: Duration) {
        let socket = socket
        let milliseconds = UInt32(clamping: limit.nanoseconds / 1_000_000)
        socket.core.perform { socket.limitSilence(milliseconds) }
    }

    func closeWrite() async {
        let socket = socket
        socket.core.perform { socket.endWriting() }
    }

    func close() {
        let socket = socket
        socket.core.perform { socket.shut() }
    }
}

/// One `connect`.
final class ConnectOperation: RingOperation, @unchecked Sendable {
    private let peer: Endpoint
    /// The kernel reads the address while it connects.
    private let address: UnsafeMutablePointer<cm_address>
    private var fd: Int32 = -1
    private var continuation: UnsafeContinuation<any ByteStream, any Error>?
    private var cancelled = false

    init(core: ReactorCore, address: SocketAddress, peer: Endpoint) {
        self.peer = peer
        self.address = .allocate(capacity: 1)
        self.address.initialize(to: address.raw)
        super.init(core: core)
    }

    deinit { address.deallocate() }

    func start(_ continuation: UnsafeContinuation<any ByteStream, any Error>) {
        if cancelled { return continuation.resume(throwing: CancellationError()) }
        if core.isShutDown { return continuation.resume(throwing: NetworkError.closed) }
        fd = cm_socket_for(address)
        guard fd >= 0 else { return continuation.resume(throwing: failure(Errno(-fd))) }
        self.continuation = continuation
        core.submit(self) {
            cm_ring_connect($0, $1, fd, cm_address_pointer(address), address.pointee.length)
        }
    }

    func cancel() {
        cancelled = true
        core.cancel(self)
    }

    override func completed(_ completion: cm_completion) {
        let continuation = continuation
        self.continuation = nil
        if completion.result == 0 && !cancelled {
            let socket = SocketState(core: core, fd: fd, peer: peer)
            socket.open()
            continuation?.resume(returning: SocketStream(socket))
            return
        }
        _ = Glibc.close(fd)
        if cancelled {
            continuation?.resume(throwing: CancellationError())
        } else {
            continuation?.resume(throwing: failure(Errno(-completion.result)))
        }
    }

    private func failure(_ errno: Errno) -> NetworkError { .system(operation: "connect to \(peer)", errno) }
}
