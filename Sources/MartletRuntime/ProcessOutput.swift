internal import Glibc
internal import MartletBase

/// The two streams of a child process on their way into its log: named pipes that the child writes, and that we read
/// without waiting. Used by one actor only.
final class ProcessOutput {
    /// What the child's standard output is opened on.
    let stdoutPath: String
    /// What the child's standard error output is opened on.
    let stderrPath: String

    /// Read per stream and turn, so that one noisy container does not hold the thread.
    private static let turn = 64 * 1024

    private let stdoutFD: Int32
    private let stderrFD: Int32
    private let logFD: Int32
    private var stdout = ContainerLogEncoder(.stdout)
    private var stderr = ContainerLogEncoder(.stderr)

    /// Makes the pipes in `folder` and opens `log` (made with mode 0640; empty for no log).
    init(folder: String, log: String) throws(Errno) {
        stdoutPath = folder + "/.stdout"
        stderrPath = folder + "/.stderr"
        stdoutFD = try Self.makePipe(stdoutPath)
        do {
            stderrFD = try Self.makePipe(stderrPath)
        } catch {
            close(stdoutFD)
            throw error
        }
        logFD = open(log.isEmpty ? "/dev/null" : log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        if logFD < 0 {
            let error = Errno(errno)
            close(stdoutFD)
            close(stderrFD)
            throw error
        }
    }

    deinit {
        close(stdoutFD)
        close(stderrFD)
        close(logFD)
    }

    /// Opened for both directions, so that the child's opening does not wait for us, nor ours for the child's.
    private static func makePipe(_ path: String) throws(Errno) -> Int32 {
        guard mkfifo(path, 0o600) == 0 else { throw Errno(errno) }
        let fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard fd >= 0 else { throw Errno(errno) }
        return fd
    }

    /// Moves what is there; says whether there was anything.
    func move(at time: WallTime) -> Bool {
        let out = Self.read(stdoutFD)
        let err = Self.read(stderrFD)
        if !out.isEmpty { append(stdout.encode(out, at: time)) }
        if !err.isEmpty { append(stderr.encode(err, at: time)) }
        return !out.isEmpty || !err.isEmpty
    }

    /// Moves the rest, begun lines too; the child has ended.
    func finish(at time: WallTime) {
        // A pipe holds 64 KiB unless someone enlarged it to the system's limit of 1 MiB.
        for _ in 0..<17 where move(at: time) {}
        append(stdout.finish(at: time) + stderr.finish(at: time))
        unlink(stdoutPath)
        unlink(stderrPath)
    }

    private static func read(_ fd: Int32) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: turn) { buffer, count in
            count = max(0, Glibc.read(fd, buffer.baseAddress, turn))
        }
    }

    /// A log that cannot be written (disk full) loses lines; the container goes on.
    private func append(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(logFD, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
    }
}
