internal import MartletBase
internal import Synchronization

/// A stream whose first bytes were read already, to see what it speaks.
final class ReturnedBytes: ByteStream {
    private let stream: any ByteStream
    private let first: Mutex<[UInt8]>

    init(_ first: [UInt8], before stream: any ByteStream) {
        self.first = Mutex(first)
        self.stream = stream
    }

    deinit { stream.close() }

    var peer: Endpoint? { stream.peer }

    func read(atMost limit: Int) async throws -> [UInt8] {
        let piece = first.withLock { bytes in
            let piece = Array(bytes.prefix(limit))
            bytes.removeFirst(piece.count)
            return piece
        }
        return piece.isEmpty ? try await stream.read(atMost: limit) : piece
    }

    func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }
    func closeWrite() async { await stream.closeWrite() }
    func close() { stream.close() }
}
