internal import MartletBase

/// The head of an answer to a plain request that can be passed on line by line: HTTP/1.1, final, no failure of the
/// server's, with a length, in chunks or without a body, on a connection that goes on.
struct PlainAnswer {
    /// The status.
    var status: Int
    /// Behind the head.
    var end: Int
    /// How the body ends.
    var framing: BodyFraming

    /// Reads the head at the beginning of `bytes` and adds to `out` what the client is told of it; nil for one that is
    /// not plain or not all here, and then what was added is of no use.
    /// - Parameters:
    ///   - isToHead: whether it answers HEAD, and so has no body, whatever it says.
    ///   - date: the line that takes the place of the server's own.
    init?(_ bytes: Span<UInt8>, isToHead: Bool, date: [UInt8], to out: inout [UInt8]) {
        guard let (status, first) = Self.readLine(bytes) else { return nil }
        var at = first
        // Lines that are passed on and follow each other are copied together.
        var copied = 0
        var framing: BodyFraming?
        var count = 0
        while true {
            switch PlainLine.next(in: bytes, at: at) {
            case .other: return nil
            case .line(let line):
                count += 1
                guard count <= HTTPBounds.fields, at < HTTPBounds.responseHead else { return nil }
                switch Self.meaning(of: line, in: bytes) {
                case .passedOn: break
                case .leftOut:
                    out.append(copying: bytes.extracting(copied..<line.start))
                    copied = line.end + 2
                case .framing(let found):
                    if framing != nil { return nil }
                    framing = found
                case .special: return nil
                }
                at = line.end + 2
            case .end(let end):
                guard let body = Self.body(of: status, framing, isToHead: isToHead) else { return nil }
                out.append(copying: bytes.extracting(copied..<at))
                // To GET it would be sent so.
                if isToHead, framing == nil, status != 204 { out += "Transfer-Encoding: chunked\r\n".utf8 }
                out += date
                out.append(Characters.cr)
                out.append(Characters.lf)
                (self.status, self.end, self.framing) = (status, end, body)
                return
            }
        }
    }

    /// How the body ends (RFC 9112, 6.3); nil for what is not plain.
    /// - Parameter named: what the head says.
    private static func body(of status: Int, _ named: BodyFraming?, isToHead: Bool) -> BodyFraming? {
        switch status {
        case 204: named == nil ? .some(.none) : nil
        // It names the length of what it does not bring.
        case 304 where !isToHead: named == .chunked ? nil : .some(.none)
        default: isToHead ? .some(.none) : named
        }
    }

    /// Reads the status line: the status, and the place behind the line.
    private static func readLine(_ bytes: Span<UInt8>) -> (status: Int, end: Int)? {
        let start: StaticString = "HTTP/1.1 "
        guard bytes.count > 15 else { return nil }
        for index in 0..<start.utf8CodeUnitCount where unsafe bytes[index] != start.utf8Start[index] { return nil }
        guard let status = PlainLine.number(9..<12, in: bytes), (200..<500).contains(status),
            bytes[12] == Characters.space
        else { return nil }
        var at = 13
        while at < bytes.count, bytes[at] >= 0x20, bytes[at] < 0x7F { at += 1 }
        guard at > 13, at + 1 < bytes.count, bytes[at] == Characters.cr, bytes[at + 1] == Characters.lf else {
            return nil
        }
        return (status, at + 2)
    }

    private enum Meaning {
        case passedOn, leftOut, framing(BodyFraming), special
    }

    private static func meaning(of line: PlainLine, in bytes: Span<UInt8>) -> Meaning {
        switch line.name.count {
        case 4 where line.isNamed("date", in: bytes): .leftOut
        case 10 where line.isNamed("connection", in: bytes):
            PlainLine.range(line.value, in: bytes, is: "keep-alive") ? .leftOut : .special
        case 10 where line.isNamed("keep-alive", in: bytes): .leftOut
        case 14 where line.isNamed("content-length", in: bytes):
            PlainLine.number(line.value, in: bytes).map { .framing(.length($0)) } ?? .special
        case 17 where line.isNamed("transfer-encoding", in: bytes):
            PlainLine.range(line.value, in: bytes, is: "chunked") ? .framing(.chunked) : .special
        default: HopByHop.plainNames.contains(line, in: bytes) ? .special : .passedOn
        }
    }
}
