internal import MartletBase

/// Carries the bytes of an upgraded connection.
enum Splice {
    /// Bytes taken at once. One read is passed on before the next, so a slow side slows the other down.
    private static let piece = 64 * 1024

    /// Both ways until both sides have ended. A side that breaks takes the other with it.
    static func run(_ a: any ByteStream, _ b: any ByteStream) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await pump(from: a, to: b) }
            group.addTask { await pump(from: b, to: a) }
        }
        a.close()
        b.close()
    }

    private static func pump(from source: any ByteStream, to sink: any ByteStream) async {
        do {
            while true {
                let bytes = try await source.read(atMost: piece)
                if bytes.isEmpty { return await sink.closeWrite() }
                try await sink.write(bytes)
            }
        } catch {
            source.close()
            sink.close()
        }
    }
}
