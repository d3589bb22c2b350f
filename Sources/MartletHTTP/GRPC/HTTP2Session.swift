internal import CNGHTTP2
internal import MartletBase

/// Whose session it is. Called from within ``HTTP2Session/receive(_:)`` and ``HTTP2Session/output(into:)``; must not
/// call these.
protocol HTTP2SessionOwner: AnyObject {
    /// Server: a header section of a new stream begins. Nil refuses the stream (REFUSED_STREAM).
    func opened(_ id: Int32) -> HTTP2Stream?
    /// A field of a header or trailer section; names are in lower case. The bytes are lent.
    func received(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream)
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
    /// The last part of the body has been taken: sends what comes behind it. False ends the stream with the body.
    func submitTrailers(for stream: HTTP2Stream) -> Bool
    /// Bytes of the stream's messages went out.
    func sent(_ count: Int, of stream: HTTP2Stream)
}

/// A stream as the session knows it: who it is and what it has to send.
class HTTP2Stream {
    /// Its number; zero until it has one.
    final var id: Int32 = 0
    /// What is to be sent.
    final var outgoing = GRPCOutgoing()
    /// Whether nghttp2 waits to be told that there is more to send.
    final var isDeferred = false
}

/// One side of one HTTP/2 connection (RFC 9113), by nghttp2: bytes in, calls to the owner and bytes out. It does no I/O
/// and knows no lock: its owner has one.
///
/// Flow control is the owner's: received data holds the peer's window until ``consume(_:_:)`` gives it back.
final class HTTP2Session {
    /// What makes a session a server's or a client's.
    enum Role {
        case client
        case server(GRPCServerLimits)
    }
    /// Set before the first byte. The owner owns the session.
    unowned(unsafe) var owner: (any HTTP2SessionOwner)?
    private var session: OpaquePointer?
    private var buffer: [UInt8] = []

    /// Bytes that a peer may send on one stream before they are consumed.
    static let streamWindow: UInt32 = 1 << 20
    /// Bytes that a peer may send on all streams before they are consumed.
    static let connectionWindow: Int32 = 8 << 20
    /// About how many bytes ``output(into:)`` gives at once.
    static let outputBatch = 256 * 1024

    /// A session, with the preface and settings ready to be sent; nil when there is no memory.
    init?(_ role: Role) {
        guard let callbacks = Self.makeCallbacks() else { return nil }
        defer { nghttp2_session_callbacks_del(callbacks) }
        var option: OpaquePointer?
        guard nghttp2_option_new(&option) == 0 else { return nil }
        defer { nghttp2_option_del(option) }
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        let user = Unmanaged.passUnretained(self).toOpaque()
        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: Self.streamWindow)
        ]
        switch role {
        case .client:
            guard nghttp2_session_client_new2(&session, callbacks, user, option) == 0 else { return nil }
            settings.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
        case .server(let limits):
            nghttp2_option_set_stream_reset_rate_limit(
                option, UInt64(max(1, limits.resets)), UInt64(max(1, limits.resetsPerSecond)))
            // etcdctl 3.4 names its endpoint, scheme and all, as the authority, which HTTP forbids. Nothing here rests
            // on HTTP's rules for fields: the few that are read are checked one by one, and none is passed on.
            nghttp2_option_set_no_http_messaging(option, 1)
            guard nghttp2_session_server_new2(&session, callbacks, user, option) == 0 else { return nil }
            settings.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: UInt32(clamping: limits.calls)))
            settings.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                    value: UInt32(clamping: limits.metadata)))
        }
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        nghttp2_session_set_local_window_size(session, 0, 0, Self.connectionWindow)
    }

    deinit { if session != nil { nghttp2_session_del(session) } }

    // MARK: Out

    /// Client: opens a stream with these fields; its body is what ``HTTP2Stream/outgoing`` holds and will hold. False
    /// when the connection takes no more streams.
    func request(_ fields: [nghttp2_nv], _ stream: HTTP2Stream) -> Bool {
        var provider = nghttp2_data_provider(source: nghttp2_data_source(), read_callback: Self.readBody)
        let user = Unmanaged.passUnretained(stream).toOpaque()
        let id = nghttp2_submit_request(session, nil, fields, fields.count, &provider, user)
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

    /// The fields that end an answer.
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

    /// Gives the peer's windows back `count` bytes of a stream, which may be over.
    func consume(_ stream: Int32, _ count: Int) { nghttp2_session_consume(session, stream, count) }

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
            session.owner?.received(
                UnsafeBufferPointer(start: name, count: nameCount), UnsafeBufferPointer(start: value, count: count),
                for: stream)
            return 0
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
        if type == NGHTTP2_GOAWAY.rawValue { owner?.goingAway() }
        guard type == NGHTTP2_HEADERS.rawValue || type == NGHTTP2_DATA.rawValue, let stream = stream(head.stream_id)
        else { return }
        if type == NGHTTP2_HEADERS.rawValue { owner?.receivedHead(for: stream) }
        if UInt32(head.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0 { owner?.receivedEnd(of: stream) }
    }

    /// An answer that is complete before its request is: the rest of that is not wanted (RFC 9113, 8.1).
    private func sent(_ head: nghttp2_frame_hd) {
        guard UInt32(head.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0, head.stream_id > 0,
            UInt32(head.type) == NGHTTP2_HEADERS.rawValue || UInt32(head.type) == NGHTTP2_DATA.rawValue,
            nghttp2_session_check_server_session(session) != 0,
            nghttp2_session_get_stream_remote_close(session, head.stream_id) == 0
        else { return }
        nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), head.stream_id, NGHTTP2_NO_ERROR.rawValue)
    }

    /// A frame's head (nine bytes) and the messages behind it, with one copy.
    private func send(_ head: UnsafePointer<UInt8>, _ count: Int, _ stream: HTTP2Stream) {
        if buffer.capacity - buffer.count < count + 9 {
            // Room for all that the stream has, rather than for frame after frame.
            let all = min(stream.outgoing.count, Self.outputBatch) + 9
            buffer.reserveCapacity(max(buffer.count + all, 2 * buffer.capacity))
        }
        buffer.append(contentsOf: UnsafeBufferPointer(start: head, count: 9))
        stream.outgoing.take(count, into: &buffer)
        owner?.sent(count, of: stream)
    }

    /// Tells nghttp2 how much of a stream's messages goes into the next frame; ``send(_:_:_:)`` copies it.
    private static let readBody: nghttp2_data_source_read_callback = { _, id, _, room, flags, _, user in
        guard let session = HTTP2Session.of(user), let stream = session.stream(id), let flags
        else { return ssize_t(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
        let left = stream.outgoing.count
        let count = min(room, left)
        if count == 0 && !stream.outgoing.isEnded {
            stream.isDeferred = true
            return ssize_t(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if count == left && stream.outgoing.isEnded {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if session.owner?.submitTrailers(for: stream) == true {
                flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            }
        }
        return count
    }
}
