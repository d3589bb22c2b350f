internal import MartletBase
internal import MartletHTTP

/// Connects to peers and says hello.
struct PeerDialer: Sendable {
    let world: any World
    let security: PeerSecurity?

    /// A stream on which the other side has said welcome, and what it sent after that.
    struct Connection: Sendable {
        var stream: any ByteStream
        var reader: PeerFrameReader
        var welcome: PeerHello
    }

    /// Connects, shakes hands and says `hello`, all within ``Limits/peerDial``.
    /// - Throws: ``PeerError``, ``NetworkError`` or `TLSError`.
    func dial(_ endpoint: Endpoint, _ hello: PeerHello) async throws -> Connection {
        try await world.limited(to: Limits.peerDial, "connecting to \(endpoint)") {
            let raw = try await world.connect(to: endpoint)
            do {
                return try await greet(try await secured(raw, endpoint), hello, at: endpoint)
            } catch {
                raw.close()
                throw error
            }
        }
    }

    private func secured(_ raw: any ByteStream, _ endpoint: Endpoint) async throws -> any ByteStream {
        guard let security else { return raw }
        let address = if case .ip(let host, _) = endpoint { host } else { "localhost" }
        return try await security.client.connect(raw, serverName: security.serverName ?? address)
    }

    private func greet(_ stream: any ByteStream, _ hello: PeerHello, at endpoint: Endpoint) async throws -> Connection {
        var writer = ByteWriter(capacity: 48)
        PeerFrame.hello(hello).encode(into: &writer)
        try await stream.write(writer.bytes)
        var reader = PeerFrameReader()
        switch try await reader.next(from: stream, at: "\(endpoint)") {
        case .welcome(let welcome):
            guard welcome.version == PeerHello.version else {
                throw PeerError.refused(
                    "it speaks version \(welcome.version) of the peers' protocol, this member \(PeerHello.version); "
                        + "run releases that know each other")
            }
            return Connection(stream: stream, reader: reader, welcome: welcome)
        case .refusal(let why): throw PeerError.refused(why)
        default: throw NetworkError.protocolViolation("\(endpoint) did not answer a hello as a peer does")
        }
    }

    /// Asks somebody whose id is not known, as one who has none.
    func ask(_ endpoint: Endpoint, _ request: [UInt8]) async throws -> [UInt8] {
        var connection = try await dial(endpoint, PeerHello(cluster: 0, from: 0, to: 0))
        let stream = connection.stream
        defer { stream.close() }
        var writer = ByteWriter(capacity: request.count + 32)
        PeerFrame.request(1, request).encode(into: &writer)
        try await stream.write(writer.bytes)
        switch try await connection.reader.next(from: stream, at: "\(endpoint)") {
        case .answer(_, let bytes): return bytes
        case .failure(_, let why): throw PeerError.refused(why)
        default: throw NetworkError.protocolViolation("\(endpoint) did not answer a request as a peer does")
        }
    }
}

extension PeerFrameReader {
    /// Waits for the next frame.
    mutating func next(from stream: any ByteStream, at place: String) async throws -> PeerFrame {
        while true {
            if let frame = try next() { return frame }
            let bytes = try await stream.read(atMost: Limits.peerReadBytes)
            if bytes.isEmpty { throw NetworkError.protocolViolation("\(place) ended the connection") }
            feed(bytes)
        }
    }
}
