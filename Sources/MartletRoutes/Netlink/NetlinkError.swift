public import MartletBase

/// What bounds talk with the kernel, in one place.
public enum NetlinkLimits {
    /// Messages in the answer to one question: a full table of routes or of connections may be long.
    public static let messages = 1 << 20
    /// Bytes of one transaction. The kernel takes a transaction in one piece.
    public static let transactionBytes = 256 << 20
    /// Keys that rules keep in one set: clients that an endpoint of a Service remembers.
    static let remembered: UInt32 = 65_536
    /// Bytes of elements in one message: an attribute's length is a 16-bit number.
    static let elementBytes = 48 << 10
}

/// Why the kernel's tables are not as they were wished.
public enum NetlinkError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kernel refused: what was asked, its error, and its own words where it has some.
    case refused(what: String, Errno, detail: String)
    /// An answer that no kernel gives.
    case malformed(String)
    /// The table changed while it was read; ask again.
    case interrupted(String)
    /// More than ``NetlinkLimits`` allows.
    case tooLarge(what: String, count: Int)
    /// The talk itself failed: a socket's error.
    case broken(what: String, Errno)

    /// One line for people.
    public var description: String {
        switch self {
        case .refused(let what, let errno, let detail):
            "\(what): \(errno)" + (detail.isEmpty ? "" : " (\(detail))") + (errno == .notPermitted ? "; be root" : "")
        case .malformed(let what): "the kernel's answer cannot be read: \(what)"
        case .interrupted(let what): "\(what): the table changed while it was read; ask again"
        case .tooLarge(let what, let count): "\(what) is too large: \(count)"
        case .broken(let what, let errno): "\(what): no talk with the kernel: \(errno)"
        }
    }

    /// Whether what was to be removed or looked up is not there.
    public var isAbsent: Bool {
        guard case .refused(_, let errno, _) = self else { return false }
        return [Errno.noEntry, .noProcess, Errno(19), Errno(99)].contains(errno)
    }

    /// Whether the kernel has no such thing at all: EOPNOTSUPP or EAFNOSUPPORT.
    public var isUnsupported: Bool {
        guard case .refused(_, let errno, _) = self else { return false }
        return [Errno(95), Errno(97)].contains(errno)
    }

    /// Whether what was to be made is there already.
    public var isPresent: Bool {
        if case .refused(_, .exists, _) = self { true } else { false }
    }
}
