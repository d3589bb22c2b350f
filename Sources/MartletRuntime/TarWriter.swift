/// Writes a tar archive (POSIX.1-1988 ustar), the same bytes for the same entries: owner root, time 0.
struct TarWriter {
    /// What an entry is; the raw value is its type flag.
    enum Kind: UInt8 {
        case file = 0x30
        case symbolicLink = 0x32
        case directory = 0x35
    }

    private static let block = 512
    private var bytes: [UInt8] = []
    private var directories: Set<String> = []

    /// Adds a folder, unless it was added before, and those above it.
    mutating func add(directory path: String, mode: UInt32 = 0o755) throws(ImageError) {
        guard !path.isEmpty, directories.insert(path).inserted else { return }
        if let slash = path.lastIndex(of: "/") { try add(directory: String(path[..<slash])) }
        try header(path + "/", .directory, mode: mode, size: 0)
    }

    /// Adds a file, and the folders above it.
    mutating func add(file path: String, _ content: [UInt8], mode: UInt32) throws(ImageError) {
        if let slash = path.lastIndex(of: "/") { try add(directory: String(path[..<slash])) }
        try header(path, .file, mode: mode, size: content.count)
        bytes.append(contentsOf: content)
        pad()
    }

    /// Adds a symbolic link, and the folders above it.
    mutating func add(link path: String, to target: String) throws(ImageError) {
        if let slash = path.lastIndex(of: "/") { try add(directory: String(path[..<slash])) }
        try header(path, .symbolicLink, mode: 0o777, size: 0, target: target)
    }

    /// The archive: all entries and its end.
    func finish() -> [UInt8] { bytes + [UInt8](repeating: 0, count: 2 * Self.block) }

    private mutating func pad() {
        let rest = bytes.count % Self.block
        if rest > 0 { bytes.append(contentsOf: repeatElement(0, count: Self.block - rest)) }
    }

    private mutating func header(_ path: String, _ kind: Kind, mode: UInt32, size: Int, target: String = "")
        throws(ImageError)
    {
        guard let (prefix, name) = Self.split(path), target.utf8.count <= 100, size < 1 << 33 else {
            throw ImageError("\(path): the path, the link or the file is too long for a tar archive")
        }
        var header = [UInt8](repeating: 0, count: Self.block)
        func put(_ text: some Collection<UInt8>, at offset: Int) {
            header.replaceSubrange(offset..<(offset + text.count), with: text)
        }
        func put(octal number: Int, digits: Int, at offset: Int) {
            let text = String(number, radix: 8)
            put((String(repeating: "0", count: max(0, digits - text.utf8.count)) + text).utf8, at: offset)
        }
        put(name.utf8, at: 0)
        put(octal: Int(mode), digits: 7, at: 100)
        put(octal: 0, digits: 7, at: 108)
        put(octal: 0, digits: 7, at: 116)
        put(octal: size, digits: 11, at: 124)
        put(octal: 0, digits: 11, at: 136)
        header[156] = kind.rawValue
        put(target.utf8, at: 157)
        put("ustar".utf8, at: 257)
        put("00".utf8, at: 263)
        put(prefix.utf8, at: 345)
        // The checksum counts its own field as blanks.
        put(repeatElement(UInt8(ascii: " "), count: 8), at: 148)
        put(octal: header.reduce(0) { $0 + Int($1) }, digits: 6, at: 148)
        header[154] = 0
        bytes.append(contentsOf: header)
    }

    /// A path as at most 155 bytes before a slash and at most 100 after it.
    private static func split(_ path: String) -> (prefix: String, name: String)? {
        let bytes = Array(path.utf8)
        if bytes.count <= 100 { return ("", path) }
        guard let slash = bytes.indices.first(where: { bytes[$0] == 0x2F && bytes.count - $0 - 1 <= 100 }),
            (1...155).contains(slash), slash + 1 < bytes.count
        else { return nil }
        return (
            String(decoding: bytes[..<slash], as: UTF8.self), String(decoding: bytes[(slash + 1)...], as: UTF8.self)
        )
    }
}
