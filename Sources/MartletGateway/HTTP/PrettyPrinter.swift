internal import MartletHTTP
internal import Synchronization

/// Lays canonical JSON out over lines, for people (`pretty=true`): piece by piece, so that a long list is never held
/// whole.
struct PrettyPrinter: Sendable {
    private var depth = 0
    private var inText = false
    private var escaped = false
    /// Whether the last byte opened an object or list of which it is not known yet whether it is empty.
    private var hasOpened = false

    /// Bytes that are here as a whole.
    static func indented(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 2)
        var printer = PrettyPrinter()
        printer.write(bytes, into: &out)
        printer.finish(into: &out)
        return out
    }

    /// Lays out the next piece.
    mutating func write(_ bytes: [UInt8], into out: inout [UInt8]) {
        for byte in bytes {
            if inText {
                out.append(byte)
                takeText(byte)
                continue
            }
            let isEnd = byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
            if isEnd { depth -= 1 }
            if hasOpened != isEnd { newline(into: &out) }
            hasOpened = false
            out.append(byte)
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                hasOpened = true
            case UInt8(ascii: ","): newline(into: &out)
            case UInt8(ascii: ":"): out.append(UInt8(ascii: " "))
            case UInt8(ascii: "\""): inText = true
            default: break
            }
        }
    }

    /// Ends the last line.
    func finish(into out: inout [UInt8]) { out.append(UInt8(ascii: "\n")) }

    private mutating func takeText(_ byte: UInt8) {
        if escaped {
            escaped = false
        } else if byte == UInt8(ascii: "\\") {
            escaped = true
        } else if byte == UInt8(ascii: "\"") {
            inText = false
        }
    }

    private func newline(into out: inout [UInt8]) {
        out.append(UInt8(ascii: "\n"))
        out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * max(depth, 0)))
    }
}

/// Lays the pieces of a body out.
final class PrettyBodyWriter: BodyWriter {
    private let writer: any BodyWriter
    private let printer = Mutex(PrettyPrinter())

    init(_ writer: any BodyWriter) { self.writer = writer }

    func write(_ bytes: [UInt8]) async throws {
        let out = printer.withLock { printer in
            var out: [UInt8] = []
            out.reserveCapacity(bytes.count * 2)
            printer.write(bytes, into: &out)
            return out
        }
        try await writer.write(out)
    }

    func finish() async throws {
        let out = printer.withLock { printer in
            var out: [UInt8] = []
            printer.finish(into: &out)
            return out
        }
        try await writer.write(out)
    }
}
