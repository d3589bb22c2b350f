public import MartletBase

/// Writes the lines of a container's log as CRI wants them: `<RFC 3339 time> <stream> <P|F> <text>\n`, where `P` marks
/// a line that goes on in the next record (it was longer than the limit) and `F` a full one.
public struct ContainerLogEncoder: Sendable {
    /// Which of the container's streams.
    public enum Stream: String, Sendable {
        /// Its standard output.
        case stdout
        /// Its standard error output.
        case stderr
    }

    /// The most bytes of one record's text.
    public let lineLimit: Int
    private let stream: Stream
    private var pending: [UInt8] = []

    /// An encoder of one stream.
    public init(_ stream: Stream, lineLimit: Int = 16_384) {
        self.stream = stream
        self.lineLimit = max(1, lineLimit)
    }

    /// The records that are complete with these bytes; a begun line is kept.
    public mutating func encode(_ bytes: [UInt8], at time: WallTime) -> [UInt8] {
        var out: [UInt8] = []
        let stamp = Self.prefix(time, stream)
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                emit(into: &out, stamp, full: true)
            } else {
                if pending.count >= lineLimit { emit(into: &out, stamp, full: false) }
                pending.append(byte)
            }
        }
        return out
    }

    /// The begun line, when the stream has ended in the middle of it.
    public mutating func finish(at time: WallTime) -> [UInt8] {
        guard !pending.isEmpty else { return [] }
        var out: [UInt8] = []
        emit(into: &out, Self.prefix(time, stream), full: true)
        return out
    }

    private mutating func emit(into out: inout [UInt8], _ stamp: [UInt8], full: Bool) {
        out.append(contentsOf: stamp)
        out.append(UInt8(ascii: full ? "F" : "P"))
        out.append(UInt8(ascii: " "))
        out.append(contentsOf: pending)
        out.append(UInt8(ascii: "\n"))
        pending.removeAll(keepingCapacity: true)
    }

    private static func prefix(_ time: WallTime, _ stream: Stream) -> [UInt8] {
        Array("\(timestamp(time)) \(stream.rawValue) ".utf8)
    }

    /// RFC 3339 in UTC with nine digits of fraction, as `2026-11-22T20:35:00.000000001Z`.
    public static func timestamp(_ time: WallTime) -> String {
        let seconds = time.seconds
        let fraction = time.nanoseconds &- seconds &* 1_000_000_000
        let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let clock = seconds - day * 86_400
        let date = CivilDate(daysSinceEpoch: Int(day))
        return pad(Int64(date.year), 4) + "-" + pad(Int64(date.month), 2) + "-" + pad(Int64(date.day), 2) + "T"
            + pad(clock / 3_600, 2) + ":"
            + pad(clock / 60 % 60, 2) + ":" + pad(clock % 60, 2) + "." + pad(fraction, 9) + "Z"
    }

    private static func pad(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
