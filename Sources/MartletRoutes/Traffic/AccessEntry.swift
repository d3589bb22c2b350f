public import MartletBase

/// What the access log says of one request.
public struct AccessEntry: Sendable {
    /// Who passed the request on.
    public enum Part: String, Sendable {
        /// A master's edge.
        case edge
        /// A worker's ingress.
        case ingress
    }
    /// Bytes of a host, path or field that are written; the rest is cut off.
    public static let longestText = 2048

    /// When the request's head had arrived.
    public var time: WallTime
    /// Who passed it on.
    public var part: Part
    /// `X-Request-ID`, the same at the edge, at the ingress and at the pod; nil for a request that got none.
    public var requestID: String?
    /// The client's address.
    public var client: IPAddress?
    /// `HTTP/1.1` or `HTTP/2`.
    public var httpVersion = "HTTP/1.1"
    /// The method.
    public var method: String
    /// The host that was asked for, as the client wrote it.
    public var host: String
    /// The path with its query, as the client wrote it.
    public var path: String
    /// `User-Agent`; nil when it says nothing.
    public var userAgent: String?
    /// The answer's status.
    public var status = 0
    /// Bytes of the answer's body, as they were sent; of an upgraded connection, none are counted.
    public var bytes = 0
    /// How long it took, from the head's arrival until the answer's last byte was handed on.
    public var duration = Duration.zero
    /// Whether the answer's body ended before its time.
    public var isBroken = false
    /// Who answered; nil for nobody but the part itself.
    public var upstream: Endpoint?
    /// How long it was until the upstream's answer began; nil when none was asked.
    public var upstreamDuration: Duration?
    /// How many endpoints were tried.
    public var tries = 0
    /// The rule that the request went by; nil for none.
    public var route: RouteOrigin?
    /// `TLSv1.3`, as the client spoke it to this part; nil for plain HTTP.
    public var tlsVersion: String?
    /// The name that the client named in TLS (SNI).
    public var serverName: String?

    /// A request that has just come.
    public init(_ part: Part, at time: WallTime, method: String, host: String, path: String) {
        (self.part, self.time, self.method, self.host, self.path) = (part, time, method, host, path)
    }

    /// Appends it as a line of JSON. Each name stands in each line, with `null` where there is nothing to say.
    public func append(to line: inout [UInt8]) {
        var writer = LineWriter(line: line)
        line = []
        writer.begin("time")
        writer.time(time)
        writer.text("part", part.rawValue)
        writer.text("requestID", requestID)
        writer.text("client", client?.description)
        writer.text("protocol", httpVersion)
        writer.text("method", method)
        writer.text("host", host)
        writer.text("path", path)
        writer.number("status", status)
        writer.number("bytes", bytes)
        writer.seconds("duration", duration)
        writer.flag("broken", isBroken)
        writer.text("upstream", upstream?.description)
        writer.seconds("upstreamDuration", upstreamDuration)
        writer.number("tries", tries)
        writer.text("kind", route?.kind)
        writer.text("namespace", route?.namespace)
        writer.text("name", route?.name)
        writer.text("tls", tlsVersion)
        writer.text("serverName", serverName)
        writer.text("userAgent", userAgent)
        writer.end()
        line = writer.line
    }
}

/// Writes one line of JSON into an array that it owns meanwhile.
private struct LineWriter {
    var line: [UInt8]
    private var isFirst = true

    init(line: consuming [UInt8]) { self.line = line }

    mutating func begin(_ name: StaticString) {
        line.append(isFirst ? UInt8(ascii: "{") : UInt8(ascii: ","))
        isFirst = false
        line.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { line.append(contentsOf: $0) }
        line.append(UInt8(ascii: "\""))
        line.append(UInt8(ascii: ":"))
    }

    mutating func end() { raw("}\n") }

    private mutating func raw(_ text: StaticString) { text.withUTF8Buffer { line.append(contentsOf: $0) } }

    mutating func flag(_ name: StaticString, _ value: Bool) {
        begin(name)
        raw(value ? "true" : "false")
    }

    mutating func number(_ name: StaticString, _ value: Int) {
        begin(name)
        digits(UInt64(max(0, value)), atLeast: 1)
    }

    /// Seconds with six decimals.
    mutating func seconds(_ name: StaticString, _ value: Duration?) {
        begin(name)
        guard let value else { return raw("null") }
        let micros = UInt64(max(0, value.nanoseconds) / 1000)
        digits(micros / 1_000_000, atLeast: 1)
        line.append(UInt8(ascii: "."))
        digits(micros % 1_000_000, atLeast: 6)
    }

    /// As RFC 3339 has it, with milliseconds.
    mutating func time(_ time: WallTime) {
        let days = time.seconds / 86_400 - (time.seconds % 86_400 < 0 ? 1 : 0)
        let date = CivilDate(daysSinceEpoch: Int(days))
        let second = Int(time.seconds - days * 86_400)
        line.append(UInt8(ascii: "\""))
        digits(UInt64(max(0, date.year)), atLeast: 4)
        pair("-", date.month)
        pair("-", date.day)
        pair("T", second / 3600)
        pair(":", second / 60 % 60)
        pair(":", second % 60)
        line.append(UInt8(ascii: "."))
        digits(UInt64((time.nanoseconds - time.seconds * 1_000_000_000) / 1_000_000), atLeast: 3)
        raw("Z\"")
    }

    private mutating func pair(_ mark: StaticString, _ value: Int) {
        raw(mark)
        digits(UInt64(value), atLeast: 2)
    }

    private mutating func digits(_ value: UInt64, atLeast count: Int) {
        var power: UInt64 = 1
        var width = 1
        while value / power >= 10 || width < count {
            power *= 10
            width += 1
        }
        while power > 0 {
            line.append(UInt8(ascii: "0") + UInt8(value / power % 10))
            power /= 10
        }
    }

    mutating func text(_ name: StaticString, _ value: String?) {
        begin(name)
        guard var value else { return raw("null") }
        line.append(UInt8(ascii: "\""))
        value.withUTF8 { bytes in
            var end = min(bytes.count, AccessEntry.longestText)
            // Not in the middle of a character.
            while end < bytes.count, end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
            for byte in bytes[..<end] {
                switch byte {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                    line.append(UInt8(ascii: "\\"))
                    line.append(byte)
                case 0..<0x20, 0x7F:
                    raw("\\u00")
                    line.append(Self.hex(byte >> 4))
                    line.append(Self.hex(byte & 15))
                default: line.append(byte)
                }
            }
        }
        line.append(UInt8(ascii: "\""))
    }

    private static func hex(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}
