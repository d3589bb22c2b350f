/// The bounds of this room that are no setting of a server or client, in one place.
enum HTTPBounds {
    /// Field lines in one head, and in one trailer section. More is refused with 431.
    static let fields = 200
    /// Bytes of an answer's head, as a client takes it. More is an error.
    static let responseHead = 64 * 1024
    /// Bytes of a chunk's size line with its extensions.
    static let chunkLine = 1024
    /// Bytes of a trailer section. Trailers are checked and dropped.
    static let trailers = 16 * 1024
    /// Bytes asked of a stream at once.
    static let read = 64 * 1024
    /// Bytes kept unread of a peer that sends more while its answer is still being written; reading pauses above.
    static let readAhead = 64 * 1024
    /// Bytes of a request's body that are thrown away to keep a connection; with more left it is closed.
    static let drain = 256 * 1024
    /// Bodies up to this size travel in one write with their head.
    static let joinedBody = 32 * 1024
    /// Chunks up to this size are copied to travel in one write. A larger one may be shared by many connections.
    static let copiedChunk = 256 * 1024
    /// Informational answers (1xx) that a client skips before it gives up.
    static let informational = 16
    /// One part in this many of a server's connections gives way at once when one more comes than there may be.
    static let roomMade = 64
    /// How long a refused connection may take to read its refusal, and pause in what it sends meanwhile.
    static let linger: Duration = .seconds(2)
    /// How long a client may go on sending of a body that nobody takes while it reads its answer, and how many bytes.
    static let longestLinger: Duration = .seconds(30)
    static let lingerBytes = 64 * 1024 * 1024
    /// How long an idle connection is kept by a client. Shorter than what servers commonly allow.
    static let clientIdle: Duration = .seconds(45)
    /// Bytes of one answer over HTTP/2 that wait for their reader before the server has to wait.
    static let clientStreamWindow = 128 * 1024
    /// Bytes of all answers of one connection of HTTP/2 that may be on their way. They are given back as they come, so
    /// that a slow reader holds up its own answer only.
    static let clientConnectionWindow = 8 * 1024 * 1024
}
