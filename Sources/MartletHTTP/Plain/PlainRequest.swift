internal import HTTPTypes
internal import MartletBase

/// A request that is as plain as most are: HTTP/1.1, GET, HEAD, OPTIONS or DELETE, without a body, and with fields that
/// all servers read in the same way. It is read where it lies, and can be sent on as it stands.
///
/// One is used for all requests of a connection, one after the other, so that reading costs no memory.
public final class PlainRequest {
    /// The head with its empty line.
    private(set) var bytes: [UInt8] = []
    private(set) var fields: [PlainLine] = []
    /// The method.
    public private(set) var method = ""
    private(set) var target = 0..<0
    private(set) var host = 0..<0
    /// The `Connection` line, which is not sent on.
    private(set) var connection: Range<Int>?

    /// One that has read nothing yet.
    public init() {}

    /// Memory that is kept for the next request.
    private static let kept = 4096

    /// Reads a request that lies at the beginning of `bytes`; the length of its head, or nil for one that is not plain,
    /// not all here, or longer than `limit`.
    func read(_ bytes: Span<UInt8>, limit: Int = 64 * 1024) -> Int? {
        fields.removeAll(keepingCapacity: true)
        (connection, host) = (nil, 0..<0)
        guard var at = readLine(bytes) else { return nil }
        while true {
            switch PlainLine.next(in: bytes, at: at) {
            case .other: return nil
            case .line(let line):
                // `Host` is one more.
                guard fields.count + 1 < HTTPBounds.fields, take(line, bytes) else { return nil }
                at = line.end + 2
            case .end(let end):
                if host.isEmpty || end > limit { return nil }
                self.bytes.removeAll(keepingCapacity: true)
                self.bytes.append(copying: bytes.extracting(0..<end))
                return end
            }
        }
    }

    /// Gives back much memory.
    func forget() {
        if bytes.capacity > Self.kept { bytes = [] }
    }

    /// Reads the request line; the place behind it.
    private func readLine(_ bytes: Span<UInt8>) -> Int? {
        for (start, method) in Self.methods where Self.begins(bytes, with: start) {
            var at = start.utf8CodeUnitCount
            guard at < bytes.count, bytes[at] == UInt8(ascii: "/") else { return nil }
            let place = at
            while at < bytes.count, Characters.isTarget(bytes[at]) { at += 1 }
            guard Self.begins(bytes.extracting(at...), with: Self.lineEnd) else { return nil }
            (target, self.method) = (place..<at, method)
            return at + Self.lineEnd.utf8CodeUnitCount
        }
        return nil
    }

    /// Methods that may be repeated, and mostly come without a body.
    private static let methods: [(StaticString, String)] = [
        ("GET ", "GET"), ("HEAD ", "HEAD"), ("OPTIONS ", "OPTIONS"), ("DELETE ", "DELETE"),
    ]
    private static let lineEnd: StaticString = " HTTP/1.1\r\n"

    private static func begins(_ bytes: Span<UInt8>, with word: StaticString) -> Bool {
        guard bytes.count >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount where unsafe bytes[index] != word.utf8Start[index] { return false }
        return true
    }

    /// What belongs to the connection, tells of a body, or is taken off.
    private static let special = PlainNames(HopByHop.names + [.contentLength, .expect, HopByHop.httpoxy])

    /// Takes a line in; false when there is more to it than passing it on.
    private func take(_ line: PlainLine, _ bytes: Span<UInt8>) -> Bool {
        switch line.name.count {
        case 4 where line.isNamed("host", in: bytes):
            guard host.isEmpty, line.value.allSatisfy({ Self.isHost(bytes[$0]) }) else { return false }
            host = line.value
            return true
        case 10 where line.isNamed("connection", in: bytes):
            guard connection == nil, PlainLine.range(line.value, in: bytes, is: "keep-alive") else { return false }
            connection = line.whole
        default:
            if Self.special.contains(line, in: bytes) { return false }
        }
        fields.append(line)
        return true
    }

    /// Letters, digits, and what addresses and ports are made of.
    private static func isHost(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 11 || byte == 0x2D || byte == 0x2E || byte == 0x5F
    }

    // MARK: For who looks where it goes

    /// The value of `Host`.
    public var authority: String { text(host) }
    /// The path with its query, as sent.
    public var path: String { text(target) }

    /// Calls `body` with the bytes of `Host` and of the path with its query.
    public func withPlace<Result>(_ body: (_ host: Span<UInt8>, _ target: Span<UInt8>) -> Result) -> Result {
        let bytes = bytes
        let all = bytes.span
        return body(all.extracting(host), all.extracting(target))
    }

    /// Whether `Host` is this, byte for byte.
    public func hasHost(_ other: [UInt8]) -> Bool { bytes[host].elementsEqual(other) }

    /// The bytes of `Host`.
    public var hostBytes: [UInt8] { Array(bytes[host]) }

    /// The values of fields of one name, with commas between them; nil when there is none.
    /// - Parameter name: in lower case.
    public func field(_ name: String) -> String? {
        var found: String?
        for line in fields where isNamed(line, name) {
            let value = text(line.value)
            found = found.map { $0 + ", " + value } ?? value
        }
        return found
    }

    /// Whether there is a field of this name.
    /// - Parameter name: in lower case.
    public func has(_ name: StaticString) -> Bool {
        let bytes = bytes
        let all = bytes.span
        for line in fields where line.isNamed(name, in: all) { return true }
        return false
    }

    /// Whether there is a field of one of these names.
    public func hasAny(of names: PlainNames) -> Bool {
        let bytes = bytes
        let all = bytes.span
        for line in fields where names.contains(line, in: all) { return true }
        return false
    }

    private func isNamed(_ line: PlainLine, _ name: String) -> Bool {
        let name = name.utf8
        return line.name.count == name.count
            && zip(line.name, name).allSatisfy { Characters.lower(bytes[$0]) == $1 }
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    // MARK: On the way

    /// Adds the head to `out` as it is sent on.
    /// - Parameter lines: go behind its own; each with its end.
    func write(to out: inout [UInt8], adding lines: [UInt8]) {
        let bytes = bytes
        let all = bytes.span
        let end = bytes.count - 2
        if let connection {
            out.append(copying: all.extracting(0..<connection.lowerBound))
            out.append(copying: all.extracting(connection.upperBound..<end))
        } else {
            out.append(copying: all.extracting(0..<end))
        }
        out += lines
        out.append(Characters.cr)
        out.append(Characters.lf)
    }
}
