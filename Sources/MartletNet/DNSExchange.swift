internal import MartletBase

/// One question to another resolver.
struct DNSExchange: Sendable {
    var endpoint: Endpoint
    var message: [UInt8]
    var world: any DatagramWorld

    /// Sends the question and tells all that comes back, until the task is cancelled.
    /// - Throws: `NetworkError` when nothing can come back any more.
    func run(overTCP: Bool, heard: ([UInt8]) -> Void) async throws {
        if !overTCP {
            let stream = try open()
            defer { stream.close() }
            try await stream.write(message)
            while true { heard(try await stream.read(atMost: 65_535)) }
        }
        let stream = try await world.connect(to: endpoint)
        defer { stream.close() }
        try await stream.write(DNSFrames.framed(message))
        var buffer: [UInt8] = []
        while let answer = try await DNSFrames.next(from: stream, &buffer, within: DNSServerLimits.idle, world) {
            heard(answer)
        }
    }

    /// A port by chance, so that whoever wants to answer in the resolver's place must guess it.
    private func open() throws -> any ByteStream {
        for attempt in 1... {
            let port = UInt16(1024 + world.random() % (65_536 - 1024))
            do { return try world.datagramStream(to: endpoint, from: port) } catch let error as NetworkError {
                guard case .system(_, .addressInUse) = error, attempt < DNSServerLimits.ports else { throw error }
            }
        }
        throw NetworkError.closed
    }
}

/// Messages over TCP: each after its length in two bytes.
enum DNSFrames {
    static func framed(_ message: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
    }

    /// The next message; nil when the peer has ended its side. What was read beyond it stays in `buffer`.
    static func next(
        from stream: any ByteStream, _ buffer: inout [UInt8], within time: Duration, _ world: any World
    ) async throws -> [UInt8]? {
        // A peer that says nothing is cut off.
        let watchdog = world.spawn {
            if (try? await world.sleep(for: time)) != nil { stream.close() }
        }
        defer { watchdog.cancel() }
        while true {
            if buffer.count >= 2 {
                let length = Int(buffer[0]) << 8 | Int(buffer[1])
                if buffer.count >= 2 + length {
                    defer { buffer.removeFirst(2 + length) }
                    return Array(buffer[2..<2 + length])
                }
            }
            let bytes = try await stream.read(atMost: 65_537)
            if bytes.isEmpty { return nil }
            buffer += bytes
        }
    }
}
