internal import HTTPTypes
internal import MartletHTTP
internal import MartletObject
internal import Synchronization

/// Answers long reads in gzip where the client takes it, as upstream does: above 128 KiB, and at the level of the least
/// work. A piece at a time is deflated, when the connection has taken the one before.
///
/// A deflater takes memory, and deflating takes the time of all others: when ``Limits/compressions`` answers are being
/// deflated, the next ones go as they are.
final class Compression: Sendable {
    private let running = Mutex(0)

    /// The same answer, deflated while it is sent when that may be and is worth it.
    func compressing(_ response: Response, to call: Call) -> Response {
        guard call.mayBeCompressed, response.head.status == .ok, Self.isWorthIt(response), let place = enter()
        else { return response }
        var answer = response
        answer.head.headerFields[.contentEncoding] = "gzip"
        answer.head.headerFields[.contentLength] = nil
        let vary = response.head.headerFields[.vary].map { "\($0), " } ?? ""
        answer.head.headerFields[.vary] = vary + "Accept-Encoding"
        answer.body = .stream { writer in
            let gzip = GzipBodyWriter(writer, place)
            switch response.body {
            case .bytes(let bytes): try await gzip.write(bytes)
            case .stream(let write): try await write(gzip)
            case .upgrade: break
            }
            try await gzip.finish()
        }
        return answer
    }

    /// A list becomes a stream without a known length when it is long.
    private static func isWorthIt(_ response: Response) -> Bool {
        switch response.body {
        case .bytes(let bytes): return bytes.count > Limits.listPiece
        case .stream:
            guard let length = response.head.headerFields[.contentLength] else { return true }
            return Int(length) ?? 0 > Limits.listPiece
        case .upgrade: return false
        }
    }

    private func enter() -> Place? {
        let isFree = running.withLock { running in
            if running >= Limits.compressions { return false }
            running += 1
            return true
        }
        return isFree ? Place(self) : nil
    }

    /// The right to one deflater; given back when nobody holds it any more.
    fileprivate final class Place: Sendable {
        private let office: Compression

        init(_ office: Compression) { self.office = office }

        deinit { office.running.withLock { $0 -= 1 } }
    }
}

/// Deflates the pieces of a body.
private final class GzipBodyWriter: BodyWriter {
    private let writer: any BodyWriter
    private let place: Compression.Place
    private let deflater = Mutex(Deflater(.gzip, level: .fast))

    init(_ writer: any BodyWriter, _ place: Compression.Place) {
        self.writer = writer
        self.place = place
    }

    func write(_ bytes: [UInt8]) async throws {
        for start in stride(from: 0, to: bytes.count, by: Limits.listPiece) {
            let piece = bytes[start..<min(start + Limits.listPiece, bytes.count)]
            try await send(deflater.withLock { $0.deflate(piece, then: .more) })
        }
    }

    func finish() async throws { try await send(deflater.withLock { $0.deflate([], then: .end) }) }

    private func send(_ bytes: [UInt8]) async throws {
        if !bytes.isEmpty { try await writer.write(bytes) }
    }
}

extension Call {
    /// Whether the answer is a document that a client wants once, and takes in gzip. Watches are plain, because their
    /// events must not wait; and what others say (logs, proxied pods) is theirs.
    fileprivate var mayBeCompressed: Bool {
        guard ["get", "list"].contains(verb), case .resource(let target) = route else { return false }
        if target.subresource == "log" || Subresource.connecting.contains(target.subresource) { return false }
        return Self.takesGzip(request.head.headerFields[.acceptEncoding])
    }

    /// Whether `Accept-Encoding` names gzip, and does not refuse it with `q=0`.
    static func takesGzip(_ header: String?) -> Bool {
        let ranges = (header ?? "").split(separator: ",").prefix(32).compactMap { MediaRange(String($0)) }
        return ranges.contains { $0.type == "gzip" && $0.quality > 0 }
    }
}
