internal import CMartlet
internal import CMartletLinux
internal import Glibc
public import MartletBase
internal import Synchronization

/// A child process, started by `clone` and watched by its pidfd; all that runs between fork and exec is C.
///
/// It leads a process group of its own, and gets default signal handlers and no descriptor but the three.
public final class ChildProcess: Sendable {
    /// Where a child's standard stream goes.
    public enum Output: Sendable {
        /// `/dev/null`
        case discard
        /// The parent's own.
        case inherit
        /// Appended to a file (made with mode 0600).
        case file(String)
        /// Kept in memory, at most so many bytes; see ``ChildProcess/Result``. What comes after them is read and
        /// dropped, so that the child does not stall.
        case collect(limit: Int)
    }
    /// How a child ended.
    public struct Result: Sendable {
        /// Exit code, or 128 plus the signal that ended it, as a shell says.
        public var status: Int32
        /// What was collected of its output.
        public var output: [UInt8]
        /// What was collected of its error output.
        public var errors: [UInt8]
        /// A result from its parts.
        public init(status: Int32, output: [UInt8] = [], errors: [UInt8] = []) {
            self.status = status
            self.output = output
            self.errors = errors
        }
    }

    /// Its process id.
    public let pid: Int32
    private let watch: ChildWatch

    /// Starts a program. `arguments` come without the program's name. The caller waits for the exec, about a
    /// millisecond. It is reaped at its end, whether somebody waits or not.
    /// - Parameters:
    ///   - environment: all of it; nil for the parent's.
    ///   - input: bytes for its standard input; empty means `/dev/null`.
    ///   - endsWithParent: whether the kernel kills it when we die (PR_SET_PDEATHSIG).
    ///   - endsGroup: whether its end kills all that is left in its process group. Only here is that safe: once the
    ///     child is reaped, the group's number may belong to somebody else.
    ///   - world: a ``Reactor``; with any other world `ENOTSUP` is thrown.
    /// - Throws: `Errno` of the step that failed, `noEntry` when the program is not there.
    public init(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, directory: String? = nil,
        input: [UInt8] = [], output: Output = .discard, errors: Output = .discard, endsWithParent: Bool = true,
        endsGroup: Bool = false, in world: any World
    ) throws(Errno) {
        guard let reactor = world as? Reactor else { throw Errno(ENOTSUP) }
        guard let path = program.utf8.contains(UInt8(ascii: "/")) ? program : Self.find(program) else { throw .noEntry }

        let standardInput = try Descriptor.input(input)
        let (outputEnd, outputPipe) = try Descriptor.output(output, inherited: 1)
        let (errorsEnd, errorsPipe) = try Descriptor.output(errors, inherited: 2)
        var pidfd: Int32 = -1
        let strings = environment.map { $0.map { "\($0.key)=\($0.value)" }.sorted() }
        let started: Int32 = withCStrings([program] + arguments) { arguments in
            withCStrings(strings ?? []) { variables in
                withOptionalCString(directory) { directory in
                    path.withCString { path in
                        var child = cml_child()
                        child.program = path
                        child.arguments = arguments
                        child.environment = strings == nil ? nil : variables
                        child.directory = directory
                        child.input = standardInput.number
                        child.output = outputEnd.number
                        child.errors = errorsEnd.number
                        child.ends_with_parent = endsWithParent
                        return cml_spawn(&child, &pidfd)
                    }
                }
            }
        }
        guard started > 0 else { throw Errno(-started) }
        pid = started
        watch = ChildWatch(
            core: reactor.core, pid: started, pidfd: pidfd, endsGroup: endsGroup, output: outputPipe,
            errors: errorsPipe)
        let watch = watch
        reactor.core.perform { watch.start() }
    }

    /// Sends a signal; nothing happens when it has ended.
    public func signal(_ number: Int32) { watch.signal(number, wholeGroup: false) }

    /// Sends a signal to the child and to those of its descendants that have stayed in its process group; nothing
    /// happens when the child has ended.
    public func signalGroup(_ number: Int32) { watch.signal(number, wholeGroup: true) }

    /// Waits for its end. May be called by several tasks and after the end. Output that grandchildren hold open is
    /// waited for a moment only.
    public func wait() async -> Result {
        await withUnsafeContinuation { watch.wait($0) }
    }

    /// Starts a program and waits for its end; kills it and its group at the timeout (status 137), and also when the
    /// task is cancelled. Up to 1 MiB of each output is kept.
    /// - Throws: `Errno` when it cannot be started.
    public static func run(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, input: [UInt8] = [],
        timeout: Duration = .seconds(60), in world: any World
    ) async throws -> Result {
        let child = try ChildProcess(
            program, arguments, environment: environment, input: input,
            output: .collect(limit: ProcessLimits.collectedByRun),
            errors: .collect(limit: ProcessLimits.collectedByRun),
            in: world)
        let alarm = world.spawn {
            guard (try? await world.sleep(for: timeout)) != nil else { return }
            child.signalGroup(SIGKILL)
        }
        defer { alarm.cancel() }
        return await withTaskCancellationHandler {
            await child.wait()
        } onCancel: {
            child.signalGroup(SIGKILL)
        }
    }

    /// The path of a program in `PATH` (and the sbin folders), if there is one.
    public static func find(_ name: String) -> String? {
        if name.utf8.contains(UInt8(ascii: "/")) { return access(name, X_OK) == 0 ? name : nil }
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        let folders =
            path.split(separator: ":").map(String.init) + ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"]
        return folders.lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 && !Files.isDirectory($0) }
    }
}

/// What bounds child processes.
enum ProcessLimits {
    /// What `run` keeps of each output.
    static let collectedByRun = 1 << 20
    /// How long output is awaited after the child's end, when somebody else holds it open.
    static let outputAfterEnd = Duration.milliseconds(500)
    /// Bytes of one read of output.
    static let pipeRead = 16 * 1024
}

/// A descriptor that is closed with its last reference.
final class Descriptor: Sendable {
    let number: Int32
    private let owned: Bool

    init(_ number: Int32, owned: Bool = true) {
        self.number = number
        self.owned = owned
    }

    deinit {
        if owned { close(number) }
    }

    static func open(_ path: String, _ flags: Int32, mode: UInt32 = 0) throws(Errno) -> Descriptor {
        Descriptor(try Files.check(Glibc.open(path, flags | O_CLOEXEC, mode)))
    }

    /// A child's standard input that yields these bytes.
    static func input(_ bytes: [UInt8]) throws(Errno) -> Descriptor {
        if bytes.isEmpty { return try open("/dev/null", O_RDONLY) }
        let fd = cml_memory_file("input")
        guard fd >= 0 else { throw Errno(-fd) }
        let file = Descriptor(fd)
        try Files.writeAll(bytes, to: fd)
        guard lseek(fd, 0, SEEK_SET) == 0 else { throw Errno(errno) }
        return file
    }

    /// The child's end of an output, and what collects it.
    static func output(_ output: ChildProcess.Output, inherited: Int32) throws(Errno) -> (Descriptor, CollectedPipe?) {
        switch output {
        case .discard: return (try open("/dev/null", O_WRONLY), nil)
        case .inherit: return (Descriptor(inherited, owned: false), nil)
        case .file(let path): return (try open(path, O_WRONLY | O_APPEND | O_CREAT, mode: 0o600), nil)
        case .collect(let limit):
            var ends: (Int32, Int32) = (-1, -1)
            let status = withUnsafeMutablePointer(to: &ends) {
                $0.withMemoryRebound(to: Int32.self, capacity: 2) { cml_pipe($0) }
            }
            guard status == 0 else { throw Errno(-status) }
            return (Descriptor(ends.1), CollectedPipe(end: Descriptor(ends.0), limit: limit))
        }
    }
}

/// The reading end of a pipe and how much of it to keep.
struct CollectedPipe: Sendable {
    let end: Descriptor
    let limit: Int
}

/// Lends an array of C strings that ends with NULL.
private func withCStrings<R>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> R
) -> R {
    var pointers = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
}

private func withOptionalCString<R>(_ string: String?, _ body: (UnsafePointer<CChar>?) -> R) -> R {
    guard let string else { return body(nil) }
    return string.withCString(body)
}
