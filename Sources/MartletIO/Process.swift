public import MartletBase

/// A child process, started by `clone3` and watched by its pidfd; all that runs between fork and exec is C.
public final class ChildProcess: Sendable {
    /// Where a child's standard stream goes.
    public enum Output: Sendable {
        /// `/dev/null`
        case discard
        /// The parent's own.
        case inherit
        /// Appended to a file (made with mode 0600).
        case file(String)
        /// Kept in memory, at most so many bytes; see ``ChildProcess/Result``.
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

    /// Starts a program. `arguments` come without the program's name.
    /// - Parameters:
    ///   - environment: all of it; nil for the parent's.
    ///   - input: bytes for its standard input; empty means `/dev/null`.
    ///   - endsWithParent: whether the kernel kills it when we die (PR_SET_PDEATHSIG).
    /// - Throws: `Errno` of the step that failed, `noEntry` when the program is not there.
    public init(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, directory: String? = nil,
        input: [UInt8] = [], output: Output = .discard, errors: Output = .discard, endsWithParent: Bool = true,
        in world: any World
    ) throws(Errno) { throw .invalidArgument }

    /// Sends a signal; nothing happens when it has ended.
    public func signal(_ number: Int32) {}

    /// Waits for its end. May be called by several tasks and after the end.
    public func wait() async -> Result { Result(status: 0) }

    /// Starts a program and waits for its end; kills it at the timeout (status 137).
    /// - Throws: `Errno` when it cannot be started.
    public static func run(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, input: [UInt8] = [],
        timeout: Duration = .seconds(60), in world: any World
    ) async throws -> Result { Result(status: 0) }

    /// The path of a program in `PATH` (and the sbin folders), if there is one.
    public static func find(_ name: String) -> String? { nil }
}
