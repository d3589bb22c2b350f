#if canImport(Glibc)
internal import Glibc
#else
internal import Musl
#endif

/// A system call's error number.
public struct Errno: Error, Sendable, Hashable, CustomStringConvertible {
    /// The number, positive, as in errno(3).
    public var code: Int32

    /// An error by its (positive) number.
    public init(_ code: Int32) { self.code = code }

    /// The system's text for the number.
    public var description: String {
        unsafe String(cString: strerror(code))
    }

    /// No such file or directory.
    public static let noEntry = Errno(ENOENT)
    /// Permission denied.
    public static let accessDenied = Errno(EACCES)
    /// Operation not permitted.
    public static let notPermitted = Errno(EPERM)
    /// Address already in use.
    public static let addressInUse = Errno(EADDRINUSE)
    /// Connection refused.
    public static let connectionRefused = Errno(ECONNREFUSED)
    /// No space left on device.
    public static let noSpace = Errno(ENOSPC)
    /// File exists.
    public static let exists = Errno(EEXIST)
    /// Interrupted system call.
    public static let interrupted = Errno(EINTR)
    /// Invalid argument.
    public static let invalidArgument = Errno(EINVAL)
    /// No such process.
    public static let noProcess = Errno(ESRCH)
    /// Operation cancelled.
    public static let cancelled = Errno(ECANCELED)
    /// Connection reset by peer.
    public static let connectionReset = Errno(ECONNRESET)
    /// Broken pipe.
    public static let brokenPipe = Errno(EPIPE)
}
