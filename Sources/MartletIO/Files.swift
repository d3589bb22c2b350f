public import MartletBase

/// Plain file work for start-up and configuration; none of it belongs on a path that a request takes.
public enum Files {
    /// The whole file.
    /// - Throws: `Errno`.
    public static func read(_ path: String) throws(Errno) -> [UInt8] { throw .invalidArgument }
    /// Writes the whole file so that a crash leaves the old or the new one: temporary, fsync, rename, fsync of the
    /// folder.
    /// - Throws: `Errno`.
    public static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(Errno) {
        throw .invalidArgument
    }
    /// Makes a folder and those above it.
    public static func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(Errno) { throw .invalidArgument }
    /// Whether something is there.
    public static func exists(_ path: String) -> Bool { false }
    /// The names in a folder, sorted, without `.` and `..`.
    public static func list(_ path: String) throws(Errno) -> [String] { throw .invalidArgument }
    /// Removes a file, or a folder with all in it; does not cross mounts and does not follow links. Absent is fine.
    public static func remove(_ path: String) throws(Errno) { throw .invalidArgument }
}
