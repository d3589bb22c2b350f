internal import CNGHTTP2
internal import MartletBase

/// Whose session it is. Called from within ``HTTP2Session/receive(_:)`` and ``HTTP2Session/output(into:)``; must not
/// call these.
protocol HTTP2SessionOwner: AnyObject {
    /// Server: a header section of a new stream begins. Nil refuses the stream (REFUSED_STREAM).
    func opened(_ id: Int32) -> HTTP2Stream?
    /// A field of a header or trailer section; names are in lower case. The bytes are lent. False resets the stream.
    func received(
        _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream
    ) -> Bool
    /// A header or trailer section is whole.
    func receivedHead(for stream: HTTP2Stream)
    /// A part of a body. The bytes are lent.
    func received(_ bytes: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream)
    /// The peer has ended its side of the stream.
    func receivedEnd(of stream: HTTP2Stream)
    /// The stream is over: both sides have ended, or one has reset it (an error code of RFC 9113, 7).
    func closed(_ stream: HTTP2Stream, error: UInt32)
    /// The peer takes no new streams.
    func goingAway()
    /// A frame of any kind has come whole.
    func receivedFrame(_ kind: HTTP2FrameKind)
    /// The last part of the body has been taken: sends what comes behind it. False ends the stream with the body.
    func submitTrailers(for stream: HTTP2Stream) -> Bool
    /// Bytes of the stream's messages went out.
    func sent(_ count: Int, of stream: HTTP2Stream)
    /// Server: the answer is complete before its request is.
    func answeredEarly(_ stream: HTTP2Stream)
}

/// What a frame does, as far as its receiver's patience is concerned.
enum HTTP2FrameKind {
    /// It carries a part of a message, or ends a stream.
    case message
    /// It moves nothing by itself: pings, priorities, windows, empty data.
    case control
    /// The peer's settings; otherwise as ``control``.
    case settings
    /// The answer to a ping of ours.
    case pong
}

/// A stream as the session knows it: who it is and what it has to send.
class HTTP2Stream {
    /// Its number; zero until it has one.
    final var id: Int32 = 0
    /// Whether nghttp2 waits to be told that there is more to send.
    final var isDeferred = false

    /// Bytes that wait to be sent.
    var waiting: Int { 0 }
    /// Whether nothing follows them.
    var isEnded: Bool { true }
    /// Moves the next `count` of them to the end of `output`.
    func take(_ count: Int, into output: inout [UInt8]) {}
}

/// What one side of a connection lets the other do.
struct HTTP2Settings {
    /// Streams that a client may have open at one time.
    var streams = 1024
    /// Streams that a client opens before the server has said how many it takes; nil for nghttp2's own.
    var assumedStreams: Int?
    /// Bytes of a header section, as it is told to the peer; nil tells nothing. To hold to it is the owner's.
    var headerList: Int?
    /// Bytes that a peer may send on one stream before they are consumed.
    var streamWindow = 1 << 20
    /// Bytes that a peer may send on all streams before they are consumed.
    var connectionWindow = 8 << 20
    /// Streams that a client may reset at once, and how many more each second (CVE-2023-44487).
    var resets = 1000
    var resetsPerSecond = 100
    /// Whether messages must be as HTTP wants them (RFC 9113, 8). Streams with others are reset.
    var checksMessages = true
}

/// One side of one HTTP/2 connection (RFC 9113), by nghttp2: bytes in, calls to the owner and bytes out. It does no I/O
/// and knows no lock: its owner has one.
///
/// Flow control is the owner's: received data holds the peer's window until ``consume(_:_:)`` gives it back.
final class HTTP2Session {
    /// What makes a session a server's or a client's.
    enum Role {
        case client(HTTP2Settings)
        case server(HTTP2Settings)
    }
    /// Set before the first byte. The owner owns the session.
    unowned(unsafe) var owner: (any HTTP2SessionOwner)?
    private var session: OpaquePointer?
    private var buffer: [UInt8] = []
    private let checksMessages: Bool

    /// Frames that one header section may be cut into.
    static let continuations = 8
    /// About how many bytes ``output(into:)`` gives at once.
    static let outputBatch = 256 * 1024
    /// Bytes of memory for output that a connection keeps while it has nothing to send.
    static let keptOutput = 2 * 1024

    /// A session, with the preface and settings ready to be sent; nil when there is no memory.
    init?(_ role: Role) {
        guard let callbacks = Self.makeCallbacks() else { return nil }
        defer { nghttp2_session_callbacks_del(callbacks) }
        var option: OpaquePointer?
        guard nghttp2_option_new(&option) == 0 else { return nil }
        defer { nghttp2_option_del(option) }
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_continuations(option, Self.continuations)
        switch role {
        case .client(let limits), .server(let limits): checksMessages = limits.checksMessages
        }
        let user = Unmanaged.passUnretained(self).toOpaque()
        switch role {
        case .client(let limits):
            if let count = limits.assumedStreams {
                nghttp2_option_set_peer_max_concurrent_streams(option, UInt32(clamping: count))
            }
            guard nghttp2_session_client_new2(&session, callbacks, user, option) == 0 else { return nil }
            announce(limits, [(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)])
        case .server(let limits):
            nghttp2_option_set_stream_reset_rate_limit(
                option, UInt64(max(1, limits.resets)), UInt64(max(1, limits.resetsPerSecond)))
            if !checksMessages { nghttp2_option_set_no_http_messaging(option, 1) }
            guard nghttp2_session_server_new2(&session, callbacks, user, option) == 0 else { return nil }
            announce(limits, [(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams)])
        }
    }

    private func announce(_ limits: HTTP2Settings, _ more: [(nghttp2_settings_id, Int)]) {
        var values = [(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.streamWindow)] + more
        if let size = limits.headerList { values.append((NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, size)) }
        let entries = values.map { id, value in
            nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value))
        }
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), entries, entries.count)
        nghttp2_session_set_local_window_size(session, 0, 0, Int32(clamping: limits.connectionWindow))
    }

    deinit { if session != nil { nghttp2_session_del(session) } }

    // MARK: Out

    /// Client: opens a stream with these fields; its body is what the stream has to send. False when the connection
    /// takes no more streams.
    func request(_ fields: [nghttp2_nv], _ stream: HTTP2Stream, hasBody: Bool = true) -> Bool {
        var provider = nghttp2_data_provider(source: nghttp2_data_source(), read_callback: Self.readBody)
        let user = Unmanaged.passUnretained(stream).toOpaque()
        let id =
            hasBody
            ? nghttp2_submit_request(session, nil, fields, fields.count, &provider, user)
            : nghttp2_submit_request(session, nil, fields, fields.count, nil, user)
        guard id > 0 else { return false }
        stream.id = id
        return true
    }

    /// Server: the head of an answer, with its body behind it or none.
    func respond(_ fields: [nghttp2_nv], _ stream: HTTP2Stream, hasBody: Bool) {
        var provider = nghttp2_data_provider(source: nghttp2_data_source(), read_callback: Self.readBody)
        if hasBody {
            nghttp2_submit_response(session, stream.id, fields, fields.count, &provider)
        } else {
            nghttp2_submit_response(session, stream.id, fields, fields.count, nil)
        }
    }

    /// Server: an answer that only informs (1xx).
    func inform(_ fields: [nghttp2_nv], _ stream: HTTP2Stream) {
        nghttp2_submit_headers(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, nil, fields, fields.count, nil)
    }

    /// The fields that end a message.
    func trail(_ fields: [nghttp2_nv], _ stream: HTTP2Stream) {
        nghttp2_submit_trailer(session, stream.id, fields, fields.count)
    }

    /// There is more to send on a stream, or its end.
    func resume(_ stream: HTTP2Stream) {
        guard stream.isDeferred else { return }
        stream.isDeferred = false
        nghttp2_session_resume_data(session, stream.id)
    }

    /// Ends a stream at once (an error code of RFC 9113, 7). Its owner hears no more of it.
    func reset(_ stream: HTTP2Stream, _ error: nghttp2_error_code = NGHTTP2_CANCEL) {
        nghttp2_session_set_stream_user_data(session, stream.id, nil)
        nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, error.rawValue)
    }

    /// Server: the rest of a request whose answer is complete is not wanted (RFC 9113, 8.1).
    func declineRest(of stream: HTTP2Stream) {
        nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_NO_ERROR.rawValue)
    }

    /// Gives the peer's windows back `count` bytes of a stream, which may be over.
    func consume(_ stream: Int32, _ count: Int) { nghttp2_session_consume(session, stream, count) }

    /// As ``consume(_:_:)``, for the window of all streams alone.
    func consumeConnection(_ count: Int) { nghttp2_session_consume_connection(session, count) }
    /// As ``consume(_:_:)``, for the window of one stream alone.
    func consumeStream(_ stream: Int32, _ count: Int) { nghttp2_session_consume_stream(session, stream, count) }

    /// Streams that the peer lets us open at one time.
    var peerStreams: Int {
        Int(nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
    }

    /// Warns that ``goAway()`` comes soon, and asks for a sign that this was heard (RFC 9113, 6.8): what the client
    /// has begun until then is served.
    func warnOfEnd() {
        nghttp2_submit_shutdown_notice(session)
        nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    }

    /// Says that no new streams are taken; those that run go on.
    func goAway() {
        let last = nghttp2_session_get_last_proc_stream_id(session)
        nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, NGHTTP2_NO_ERROR.rawValue, nil, 0)
    }

    /// Says that the connection ends now, and why; ``isOver`` once that is sent.
    func terminate(_ error: nghttp2_error_code) { nghttp2_session_terminate_session(session, error.rawValue) }

    /// Adds what is to be sent now, in portions of about ``outputBatch`` bytes. False when the session is broken.
    func output(into bytes: inout [UInt8]) -> Bool {
        swap(&bytes, &buffer)
        defer { swap(&bytes, &buffer) }
        while buffer.count < Self.outputBatch {
            var data: UnsafePointer<UInt8>?
            let before = buffer.count
            let count = nghttp2_session_mem_send(session, &data)
            if count < 0 { return false }
            if count == 0 && buffer.count == before { break }
            if count > 0, let data { buffer.append(contentsOf: UnsafeBufferPointer(start: data, count: count)) }
        }
        return true
    }

    // MARK: In

    /// Takes what was received; false when the peer broke the protocol so that the connection must end.
    func receive(_ bytes: [UInt8]) -> Bool {
        nghttp2_session_mem_recv(session, bytes, bytes.count) == bytes.count
    }

    /// Whether there is something to send.
    var wantsWrite: Bool { nghttp2_session_want_write(session) != 0 }
    /// Whether nghttp2 wants neither to read nor to write any more.
    var isOver: Bool { nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 }
}

// MARK: Callbacks

extension HTTP2Session {
    private static func of(_ user: UnsafeMutableRawPointer?) -> HTTP2Session? {
        user.map { Unmanaged<HTTP2Session>.fromOpaque($0).takeUnretainedValue() }
    }

    private func stream(_ id: Int32) -> HTTP2Stream? {
        nghttp2_session_get_stream_user_data(session, id).map {
            Unmanaged<HTTP2Stream>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private static func makeCallbacks() -> OpaquePointer? {
        var callbacks: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
            guard let frame, let session = HTTP2Session.of(user) else { return 0 }
            return session.begin(frame.pointee)
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameCount, value, count, _, user in
            guard let frame, let session = HTTP2Session.of(user),
                let stream = session.stream(frame.pointee.hd.stream_id)
            else { return 0 }
            let isTaken = session.owner?.received(
                UnsafeBufferPointer(start: name, count: nameCount), UnsafeBufferPointer(start: value, count: count),
                for: stream)
            return isTaken == false ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue : 0
        }
        // What HTTP forbids in a field, nghttp2 would leave out in silence: a proxy and what stands behind it could
        // then see two different requests.
        nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) { _, _, _, _, _, _, _, user in
            guard let session = HTTP2Session.of(user), session.checksMessages else { return 0 }
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, data, count, user in
            guard let session = HTTP2Session.of(user) else { return 0 }
            if let stream = session.stream(id) {
                session.owner?.received(UnsafeBufferPointer(start: data, count: count), for: stream)
            } else {
                session.consume(id, count)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, error, user in
            guard let session = HTTP2Session.of(user), let stream = session.stream(id) else { return 0 }
            session.owner?.closed(stream, error: error)
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            if let frame, let session = HTTP2Session.of(user) { session.received(frame.pointee.hd) }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            if let frame, let session = HTTP2Session.of(user) { session.sent(frame.pointee.hd) }
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, head, count, _, user in
            guard let frame, let head, let session = HTTP2Session.of(user),
                let stream = session.stream(frame.pointee.hd.stream_id)
            else { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue }
            session.send(head, count, stream)
            return 0
        }
        return callbacks
    }

    private func begin(_ frame: nghttp2_frame) -> Int32 {
        guard UInt32(frame.hd.type) == NGHTTP2_HEADERS.rawValue, frame.headers.cat == NGHTTP2_HCAT_REQUEST else {
            return 0
        }
        guard let opened = owner?.opened(frame.hd.stream_id) else {
            nghttp2_submit_rst_stream(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), frame.hd.stream_id, NGHTTP2_REFUSED_STREAM.rawValue)
            return 0
        }
        opened.id = frame.hd.stream_id
        nghttp2_session_set_stream_user_data(session, opened.id, Unmanaged.passUnretained(opened).toOpaque())
        return 0
    }

    private func received(_ head: nghttp2_frame_hd) {
        let type = UInt32(head.type)
        owner?.receivedFrame(Self.kind(head))
        if type == NGHTTP2_GOAWAY.rawValue { owner?.goingAway() }
        guard type == NGHTTP2_HEADERS.rawValue || type == NGHTTP2_DATA.rawValue, let stream = stream(head.stream_id)
        else { return }
        if type == NGHTTP2_HEADERS.rawValue { owner?.receivedHead(for: stream) }
        if UInt32(head.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0 { owner?.receivedEnd(of: stream) }
    }

    private static func kind(_ head: nghttp2_frame_hd) -> HTTP2FrameKind {
        let flags = UInt32(head.flags)
        switch UInt32(head.type) {
        case NGHTTP2_PING.rawValue: return flags & NGHTTP2_FLAG_ACK.rawValue != 0 ? .pong : .control
        case NGHTTP2_SETTINGS.rawValue: return flags & NGHTTP2_FLAG_ACK.rawValue != 0 ? .control : .settings
        case NGHTTP2_PRIORITY.rawValue, NGHTTP2_WINDOW_UPDATE.rawValue: return .control
        case NGHTTP2_DATA.rawValue where head.length == 0 && flags & NGHTTP2_FLAG_END_STREAM.rawValue == 0:
            return .control
        default: return .message
        }
    }

    private func sent(_ head: nghttp2_frame_hd) {
        guard UInt32(head.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0, head.stream_id > 0,
            UInt32(head.type) == NGHTTP2_HEADERS.rawValue || UInt32(head.type) == NGHTTP2_DATA.rawValue,
            nghttp2_session_check_server_session(session) != 0,
            nghttp2_session_get_stream_remote_close(session, head.stream_id) == 0,
            let stream = stream(head.stream_id)
        else { return }
        owner?.answeredEarly(stream)
    }

    /// A frame's head (nine bytes) and the bytes behind it, with one copy.
    private func send(_ head: UnsafePointer<UInt8>, _ count: Int, _ stream: HTTP2Stream) {
        if buffer.capacity - buffer.count < count + 9 {
            // Room for all that the stream has, rather than for frame after frame.
            let all = min(stream.waiting, Self.outputBatch) + 9
            buffer.reserveCapacity(max(buffer.count + all, 2 * buffer.capacity))
        }
        buffer.append(contentsOf: UnsafeBufferPointer(start: head, count: 9))
        stream.take(count, into: &buffer)
        owner?.sent(count, of: stream)
    }

    /// Tells nghttp2 how much of what a stream has goes into the next frame; ``send(_:_:_:)`` copies it.
    private static let readBody: nghttp2_data_source_read_callback = { _, id, _, room, flags, _, user in
        guard let session = HTTP2Session.of(user), let stream = session.stream(id), let flags
        else { return ssize_t(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
        let left = stream.waiting
        let count = min(room, left)
        if count == 0 && !stream.isEnded {
            stream.isDeferred = true
            return ssize_t(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if count == left && stream.isEnded {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if session.owner?.submitTrailers(for: stream) == true {
                flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            }
        }
        return count
    }
}
