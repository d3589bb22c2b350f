internal import CMartlet
internal import Glibc
public import MartletBase

/// An open file for work in large pieces: snapshots on their way in and out. All calls block.
public struct RegularFile: ~Copyable, Sendable {
    private let descriptor: Int32

    /// Opens a file for reading.
    /// - Throws: `Errno`.
    public init(reading path: String) throws(Errno) {
        descriptor = try Files.check(open(path, O_RDONLY | O_CLOEXEC))
    }

    /// Makes a file that must not be there yet, for its owner only.
    /// - Throws: `Errno`.
    public init(making path: String) throws(Errno) {
        descriptor = try Files.check(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600))
    }

    deinit { close(descriptor) }

    /// How many bytes the file has.
    /// - Throws: `Errno`.
    public func size() throws(Errno) -> Int {
        var info = stat()
        try Files.check(fstat(descriptor, &info))
        return Int(info.st_size)
    }

    /// The bytes from `offset` on, at most `limit`; fewer only at the file's end.
    /// - Throws: `Errno`.
    public func read(at offset: Int, limit: Int) throws(Errno) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, filled in
            while filled < limit {
                let count = pread(descriptor, buffer.baseAddress! + filled, limit - filled, off_t(offset + filled))
                if count < 0, errno == EINTR { continue }
                if count < 0 { failure = errno }
                if count <= 0 { return }
                filled += count
            }
        }
        if failure != 0 { throw Errno(failure) }
        return bytes
    }

    /// Writes at the place that the writes before have reached.
    /// - Throws: `Errno`.
    public func append(_ bytes: [UInt8]) throws(Errno) { try Files.writeAll(bytes, to: descriptor) }

    /// Makes the file durable. Its name is not: see ``Files/move(_:to:)``.
    /// - Throws: `Errno`.
    public func sync() throws(Errno) { try Files.check(fsync(descriptor)) }
}

extension Files {
    /// Gives a durable file another name in the same folder, durably; what had that name is gone.
    /// - Throws: `Errno`.
    public static func move(_ path: String, to target: String) throws(Errno) {
        try check(rename(path, target))
        try syncFolder(of: target)
    }

    /// Removes the name of one file; one that is open can still be read. Absent is fine.
    /// - Throws: `Errno`.
    public static func unlinkFile(_ path: String) throws(Errno) {
        if unlink(path) != 0, errno != ENOENT { throw Errno(errno) }
    }
}

/// A CRC-32C (Castagnoli) of parts that come one after the other. It finds damage, not malice.
public struct Checksum: Sendable, Hashable {
    /// The checksum of all that was taken in.
    public private(set) var value: UInt32 = 0

    /// The checksum of nothing.
    public init() {}

    /// Takes in bytes.
    public mutating func add(_ bytes: [UInt8]) { value = cm_crc32c(value, bytes, UInt64(bytes.count)) }

    /// Takes in a number, as its eight bytes in little-endian order.
    public mutating func add(_ number: Int64) {
        var number = number.littleEndian
        value = withUnsafeBytes(of: &number) { cm_crc32c(value, $0.baseAddress, 8) }
    }
}
