public import MartletBase

extension WallTime {
    /// `2006-01-02T15:04:05Z`, as metav1.Time is written.
    public var rfc3339: String { calendarText + "Z" }

    /// `2006-01-02T15:04:05.000000Z`, as metav1.MicroTime is written.
    public var rfc3339Micro: String {
        let rest = nanoseconds % 1_000_000_000
        let micros = (rest < 0 ? rest + 1_000_000_000 : rest) / 1000
        return "\(calendarText).\(WallTime.padded(Int(micros), to: 6))Z"
    }

    private var calendarText: String {
        let total = Int(seconds)
        let days = total >= 0 ? total / 86_400 : (total - 86_399) / 86_400
        let second = total - days * 86_400
        let date = CivilDate(daysSinceEpoch: days)
        let pad = WallTime.padded
        return "\(pad(date.year, 4))-\(pad(date.month, 2))-\(pad(date.day, 2))"
            + "T\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2))"
    }

    private static func padded(_ value: Int, to width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// Reads RFC 3339 with or without a fraction, with `Z` or an offset. Nil for other text, for dates that do not
    /// exist, and outside of 1678 to 2261, which is what nanoseconds in 64 bits hold.
    public init?(rfc3339 text: String) {
        var reader = TimeReader(bytes: Array(text.utf8))
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
            let day = reader.number(2), reader.take("T"), let hour = reader.number(2), reader.take(":"),
            let minute = reader.number(2), reader.take(":"), let second = reader.number(2)
        else { return nil }
        guard (1678...2261).contains(year), (1...12).contains(month),
            (1...CivilDate.days(inMonth: month, of: year)).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        guard let fraction = reader.fraction(), let offset = reader.offset(), reader.isAtEnd else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        self.init(nanoseconds: Int64(seconds) * 1_000_000_000 + Int64(fraction))
    }
}

/// Reads the parts of an RFC 3339 text from left to right.
private struct TimeReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    private func digit(at index: Int) -> Int? {
        guard index < bytes.count, (0x30...0x39).contains(bytes[index]) else { return nil }
        return Int(bytes[index]) - 0x30
    }

    mutating func number(_ width: Int) -> Int? {
        var value = 0
        for _ in 0..<width {
            guard let digit = digit(at: position) else { return nil }
            value = value * 10 + digit
            position += 1
        }
        return value
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, UInt32(bytes[position]) == character.value else { return false }
        position += 1
        return true
    }

    /// The nanoseconds of an optional fraction; digits past the ninth are dropped.
    mutating func fraction() -> Int? {
        guard take(".") || take(",") else { return 0 }
        var value = 0
        var count = 0
        while let digit = digit(at: position) {
            if count < 9 {
                value = value * 10 + digit
                count += 1
            }
            position += 1
        }
        if count == 0 { return nil }
        for _ in count..<9 { value *= 10 }
        return value
    }

    /// Seconds east of UTC.
    mutating func offset() -> Int? {
        if take("Z") { return 0 }
        let sign = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0, let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60
        else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}
