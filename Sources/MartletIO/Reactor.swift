internal import CMartlet
internal import Glibc
public import MartletBase
internal import Synchronization

/// The real world: one thread that owns one io_uring, and runs all tasks of its world.
public final class Reactor: World {
    let core: ReactorCore
    private let tasks: ReactorExecutor
    private let bits = Mutex(RandomBits())

    /// Starts the thread and probes the kernel.
    /// - Throws: ``ReactorError`` when io_uring is absent or forbidden; the text names the sysctl or seccomp cause.
    public init(name: String = "martlet") throws {
        core = try ReactorCore()
        tasks = ReactorExecutor(core: core)
        try core.start(executor: tasks, name: name)
    }

    deinit { shutdown() }

    /// Runs tasks on the reactor's thread.
    public var executor: any TaskExecutor { tasks }

    /// The kernel's monotonic clock; it stands still while the machine sleeps.
    public func now() -> MonotonicTime { Clocks.monotonic() }

    /// The kernel's calendar clock.
    public func wallTime() -> WallTime { Clocks.wall() }

    /// 64 bits from the kernel, which is asked for some at a time.
    public func random() -> UInt64 { bits.withLock { $0.next() } }

    /// Returns when `deadline` has passed.
    public func sleep(until deadline: MonotonicTime) async throws {
        let timer = SleepTimer(core: core, deadline: deadline)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                core.perform { timer.start(continuation) }
            }
        } onCancel: {
            core.perform { timer.cancel() }
        }
    }

    /// Opens a TCP connection or one to a UNIX socket.
    public func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        let connecting = ConnectOperation(core: core, address: try SocketAddress(endpoint), peer: endpoint)
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                core.perform { connecting.start(continuation) }
            }
        } onCancel: {
            core.perform { connecting.cancel() }
        }
    }

    /// Listens on TCP or on a UNIX socket; a socket file that nobody listens on any more is replaced. An IPv6 address
    /// takes no IPv4 connections.
    public func listen(on endpoint: Endpoint) async throws -> any StreamListener {
        let address = try SocketAddress(endpoint)
        let fd = withUnsafePointer(to: address.raw) { cm_socket_listen($0, ReactorLimits.backlog) }
        guard fd >= 0 else { throw NetworkError.system(operation: "listen on \(endpoint)", Errno(-fd)) }
        let state = ListenerState(core: core, fd: fd, endpoint: SocketAddress.local(of: fd) ?? endpoint)
        core.perform { state.open() }
        return SocketListener(state)
    }

    /// Checks that all of these can be listened on, without doing it: for those who have work to do before.
    /// - Throws: ``NetworkError`` that names the first that cannot.
    public static func checkFree(_ endpoints: [Endpoint]) throws {
        var open: [Int32] = []
        defer { for fd in open { _ = Glibc.close(fd) } }
        for endpoint in endpoints {
            let address = try SocketAddress(endpoint)
            let fd = withUnsafePointer(to: address.raw) { cm_socket_listen($0, 1) }
            guard fd >= 0 else { throw NetworkError.system(operation: "listen on \(endpoint)", Errno(-fd)) }
            open.append(fd)
        }
    }

    /// Closes all streams and listeners and refuses new ones. The thread ends with the last of the world's tasks, when
    /// nobody holds the reactor any more. May be called from any thread, and twice.
    public func shutdown() {
        let core = core
        core.perform { core.shutDown() }
    }
}

/// Random bits of the kernel. None is given twice, and none is kept after it was given.
struct RandomBits: RandomNumberGenerator {
    /// So many numbers come with one call: 256 bytes, the most that getentropy(3) gives.
    static let atOnce = 32

    private var left: [UInt64] = []

    mutating func next() -> UInt64 {
        if let number = left.popLast() { return number }
        left.append(contentsOf: repeatElement(0, count: Self.atOnce))
        left.withUnsafeMutableBytes { bytes in
            let status = Glibc.getentropy(bytes.baseAddress, bytes.count)
            precondition(status == 0, "the kernel gives no random numbers: \(Errno(errno))")
        }
        return left.removeLast()
    }
}

/// Why a reactor cannot start; the text says what to do.
public struct ReactorError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }

    /// Explains why the kernel made no ring.
    init(ringError error: Errno) {
        let disabled = (try? Files.read("/proc/sys/kernel/io_uring_disabled")).map {
            String(decoding: $0, as: UTF8.self)
        }
        self.init(ringError: error, disabled: disabled)
    }

    /// As above, with the content of `/proc/sys/kernel/io_uring_disabled`, nil where there is none.
    init(ringError error: Errno, disabled: String?) {
        let value = disabled?.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? "0"
        switch error.code {
        case EPERM where value != "0":
            description =
                "io_uring is switched off on this machine: sysctl kernel.io_uring_disabled is \(value); "
                + "set it to 0 (sysctl -w kernel.io_uring_disabled=0)"
        case EPERM, EACCES:
            description =
                "io_uring is forbidden here, most likely by a container's seccomp profile: "
                + "allow io_uring_setup, io_uring_enter and io_uring_register in it, or run outside of the container"
        case ENOSYS:
            description =
                "this kernel has no io_uring, or a container's seccomp profile hides it: Martlet needs Linux 5.19 "
                + "or newer with CONFIG_IO_URING"
        case ENOMEM:
            description = "io_uring may not lock enough memory: raise RLIMIT_MEMLOCK (ulimit -l), for example to 65536"
        default:
            description = "io_uring cannot be set up: \(error)"
        }
    }
}

/// A task that sleeps.
private final class SleepTimer: Timer, @unchecked Sendable {
    private let core: ReactorCore
    private var continuation: UnsafeContinuation<Void, any Error>?
    private var cancelled = false

    init(core: ReactorCore, deadline: MonotonicTime) {
        self.core = core
        super.init(deadline: deadline)
    }

    func start(_ continuation: UnsafeContinuation<Void, any Error>) {
        if cancelled { return continuation.resume(throwing: CancellationError()) }
        self.continuation = continuation
        core.timers.insert(self)
    }

    override func fire() {
        continuation?.resume()
        continuation = nil
    }

    override func cancel() {
        cancelled = true
        core.timers.remove(self)
        continuation?.resume(throwing: CancellationError())
        continuation = nil
    }
}

/// An endpoint as the kernel takes it.
struct SocketAddress {
    var raw = cm_address()

    init(_ endpoint: Endpoint) throws(NetworkError) {
        switch endpoint {
        case .ip(let host, let port):
            guard cm_address_ip(&raw, host, port) == 0 else { throw .badAddress(host) }
        case .unix(let path):
            let status = cm_address_unix(&raw, path)
            guard status == 0 else { throw .system(operation: "socket path \(path)", Errno(-status)) }
        }
    }

    /// Where a socket is bound, for IP sockets.
    static func local(of fd: Int32) -> Endpoint? { name(of: fd, peer: 0) }
    /// Where a socket's peer is, for IP sockets.
    static func peer(of fd: Int32) -> Endpoint? { name(of: fd, peer: 1) }

    private static func name(of fd: Int32, peer: Int32) -> Endpoint? {
        var port: UInt16 = 0
        var host = [CChar](repeating: 0, count: 80)
        let status = host.withUnsafeMutableBufferPointer {
            cm_socket_name(fd, peer, $0.baseAddress, $0.count, &port)
        }
        guard status == 0 else { return nil }
        let text = host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return .ip(String(decoding: text, as: UTF8.self), port: port)
    }
}
