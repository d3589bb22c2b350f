/// One line of a container's log file in CRI's format: `TIME STREAM TAG TEXT`, where TIME is RFC 3339 with
/// nanoseconds, STREAM `stdout` or `stderr`, and TAG begins with `F` (a full line) or `P` (a part of one).
public struct LogLine: Sendable, Hashable {
    /// The time as it was written.
    public var time: String
    /// Whether it went to the error output.
    public var isError: Bool
    /// Whether the line goes on in the next entry of the same stream.
    public var isPartial: Bool
    /// The text, without its line end.
    public var text: [UInt8]

    /// Reads one entry (without its line end); nil when it is not in the format.
    public init?(parsing bytes: ArraySlice<UInt8>) {
        let space = UInt8(ascii: " ")
        guard let first = bytes.firstIndex(of: space), first - bytes.startIndex >= 20, first - bytes.startIndex <= 40,
            let second = bytes[(first + 1)...].firstIndex(of: space),
            let third = bytes[(second + 1)...].firstIndex(of: space)
        else { return nil }
        switch String(decoding: bytes[(first + 1)..<second], as: UTF8.self) {
        case "stdout": isError = false
        case "stderr": isError = true
        default: return nil
        }
        // More tags may follow after colons; the first says whether the line is whole.
        let tag = bytes[(second + 1)..<third].prefix { $0 != UInt8(ascii: ":") }
        switch tag.first {
        case UInt8(ascii: "F") where tag.count == 1: isPartial = false
        case UInt8(ascii: "P") where tag.count == 1: isPartial = true
        default: return nil
        }
        guard bytes[..<first].allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        time = String(decoding: bytes[..<first], as: UTF8.self)
        text = Array(bytes[(third + 1)...])
    }
}

extension LogLine {
    /// The time with nine digits of a second's fraction, as `kubectl logs --timestamps` shows it. Runtimes leave
    /// zeros at the end away, so that times would not stand below each other.
    var fixedTime: String {
        let bytes = Array(time.utf8)
        guard bytes.count > 19 else { return time }
        var (fraction, zone) = (bytes[19...].prefix(0), bytes[19...])
        if zone.first == UInt8(ascii: ".") {
            fraction = zone.dropFirst().prefix { (0x30...0x39).contains($0) }
            zone = bytes[fraction.endIndex...]
        }
        let digits = fraction.prefix(9) + Array(repeating: UInt8(ascii: "0"), count: max(0, 9 - fraction.count))
        return String(decoding: bytes[..<19] + [UInt8(ascii: ".")] + digits + zone, as: UTF8.self)
    }
}

/// Which part of a log is wanted (core/v1 PodLogOptions).
public struct LogOptions: Sendable, Hashable {
    /// `follow`
    public var follow = false
    /// `tailLines`
    public var tailLines: Int?
    /// `sinceTime` or `sinceSeconds`, as nanoseconds since the epoch.
    public var since: Int64?
    /// `timestamps`
    public var timestamps = false
    /// `previous`
    public var previous = false
    /// `limitBytes`
    public var limitBytes: Int?
    /// `stream`: what is left out is the other one's; nil for both.
    public var onlyErrors: Bool?
    /// Everything there is.
    public init() {}
}

/// Turns the bytes of a log file into the lines that `kubectl logs` prints. Fed piece by piece; keeps at most one
/// entry, and hands out longer ones in parts.
public struct LogReader: Sendable {
    /// Bytes of one entry that is kept while its end is awaited. An entry above it is dropped up to its end.
    public static let entryLimit = 1 << 20

    private var pending: [UInt8] = []
    private var isSkipping = false
    private var sent = 0
    /// Per stream: whether the last entry was a part, so that a time stamp is printed once a line.
    private var continues: [Bool: Bool] = [:]
    private let options: LogOptions
    private let sinceTime: @Sendable (String) -> Bool

    /// A reader for these options; `tailLines` is the caller's work (see ``tailOffset(in:lines:)``). `isWanted` says
    /// of an entry's time whether it is late enough.
    public init(_ options: LogOptions, isWanted: @escaping @Sendable (String) -> Bool = { _ in true }) {
        self.options = options
        sinceTime = isWanted
    }

    /// Whether `limitBytes` is reached.
    public var isFull: Bool { options.limitBytes.map { sent >= $0 } ?? false }

    /// Takes bytes of the file in; returns what to print.
    public mutating func feed(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        var rest = bytes[...]
        while !isFull, let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            if isSkipping {
                isSkipping = false
            } else if pending.isEmpty {
                emit(rest[..<end], into: &output)
            } else {
                pending += rest[..<end]
                emit(pending[...], into: &output)
            }
            pending.removeAll(keepingCapacity: true)
            rest = rest[(end + 1)...]
        }
        if !isSkipping { pending += rest }
        if pending.count > Self.entryLimit {
            pending.removeAll()
            isSkipping = true
        }
        return output
    }

    private mutating func emit(_ entry: ArraySlice<UInt8>, into output: inout [UInt8]) {
        guard let line = LogLine(parsing: entry), sinceTime(line.time),
            options.onlyErrors == nil || options.onlyErrors == line.isError
        else { return }
        var text: [UInt8] = []
        if options.timestamps, continues[line.isError] != true { text += Array("\(line.fixedTime) ".utf8) }
        text += line.text
        if !line.isPartial { text.append(UInt8(ascii: "\n")) }
        continues[line.isError] = line.isPartial
        if let limit = options.limitBytes { text = Array(text.prefix(max(0, limit - sent))) }
        sent += text.count
        output += text
    }

    /// Where the last `lines` lines of a file begin: the file is read backwards through `read`, which gives the
    /// bytes of a range. Entries that are parts do not count as lines.
    public static func tailOffset(
        size: Int, lines: Int, read: (Range<Int>) throws -> [UInt8]
    ) rethrows -> Int {
        guard lines > 0 else { return size }
        let blockSize = 64 * 1024
        var found = 0
        var end = size
        var tail: [UInt8] = []  // From `end` on: the beginning of an entry whose head is in the block before.
        while end > 0 {
            let start = max(0, end - blockSize)
            let block = try read(start..<end) + tail
            var lineEnd = block.count
            while let newline = block[..<max(0, lineEnd - 1)].lastIndex(of: UInt8(ascii: "\n")) {
                if isWhole(block[(newline + 1)..<lineEnd]) { found += 1 }
                if found > lines { return start + lineEnd }
                lineEnd = newline + 1
            }
            tail = Array(block[..<lineEnd].prefix(entryLimit))
            end = start
        }
        if isWhole(tail[...]) { found += 1 }
        return found > lines ? tail.count : 0
    }

    private static func isWhole(_ entry: ArraySlice<UInt8>) -> Bool {
        let body = entry.last == UInt8(ascii: "\n") ? entry.dropLast() : entry
        guard let line = LogLine(parsing: body) else { return false }
        return !line.isPartial
    }
}
