internal import CNGHTTP2
internal import MartletBase

/// The client's side of one HTTP/2 connection (RFC 9113), by nghttp2: bytes in, events and bytes out. It does no I/O
/// and is used by one actor only.
///
/// Flow control is the caller's: received data holds the peer's window until ``consume(_:_:)`` gives it back.
final class HTTP2Session {
    /// What the peer's bytes said.
    enum Event: Sendable, Hashable {
        /// A field of a header or trailer section; names are in lower case.
        case field(stream: Int32, name: String, value: String)
        /// A part of a body.
        case data(stream: Int32, [UInt8])
        /// The stream is over: both sides have ended, or one has reset it (an error code of RFC 9113, 7).
        case closed(stream: Int32, error: UInt32)
        /// The peer takes no new streams on this connection.
        case goingAway
    }

    /// What the callbacks work on.
    private final class Context {
        var events: [Event] = []
        var bodies: [Int32: (bytes: [UInt8], sent: Int)] = [:]
    }

    private let context = Context()
    private let session: OpaquePointer

    /// Bytes that a peer may send on one stream before they are consumed.
    static let streamWindow: UInt32 = 1 << 20
    /// Bytes that a peer may send on all streams before they are consumed.
    static let connectionWindow: Int32 = 8 << 20

    /// A session, with the preface and settings ready to be sent; nil when there is no memory.
    init?() {
        var made: OpaquePointer?
        guard let callbacks = Self.makeCallbacks() else { return nil }
        defer { nghttp2_session_callbacks_del(callbacks) }
        var option: OpaquePointer?
        guard nghttp2_option_new(&option) == 0 else { return nil }
        defer { nghttp2_option_del(option) }
        nghttp2_option_set_no_auto_window_update(option, 1)
        let user = Unmanaged.passUnretained(context).toOpaque()
        guard nghttp2_session_client_new2(&made, callbacks, user, option) == 0, let made else { return nil }
        session = made
        let settings = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: Self.streamWindow),
        ]
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        nghttp2_session_set_local_window_size(session, 0, 0, Self.connectionWindow)
    }

    deinit { nghttp2_session_del(session) }

    // MARK: Out

    /// Opens a stream with these fields and this body; nil when the connection takes no more streams.
    func open(_ fields: [(name: String, value: String)], body: [UInt8]) -> Int32? {
        var text: [UInt8] = []
        for field in fields { text += Array(field.name.utf8) + Array(field.value.utf8) }
        let stream = text.withUnsafeMutableBufferPointer { text -> Int32 in
            guard var at = text.baseAddress else { return -1 }
            var lines: [nghttp2_nv] = []
            for field in fields {
                let (name, value) = (field.name.utf8.count, field.value.utf8.count)
                lines.append(
                    nghttp2_nv(
                        name: at, value: at + name, namelen: name, valuelen: value,
                        flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
                at += name + value
            }
            var provider = nghttp2_data_provider(source: nghttp2_data_source(), read_callback: Self.readBody)
            return nghttp2_submit_request(session, nil, lines, lines.count, &provider, nil)
        }
        guard stream > 0 else { return nil }
        context.bodies[stream] = (body, 0)
        return stream
    }

    /// Gives up a stream (RFC 9113, 8.1: CANCEL).
    func reset(_ stream: Int32) {
        nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, NGHTTP2_CANCEL.rawValue)
        context.bodies[stream] = nil
    }

    /// Gives the peer's windows back `count` bytes of a stream, which may be over.
    func consume(_ stream: Int32, _ count: Int) {
        nghttp2_session_consume(session, stream, count)
    }

    /// Some bytes to send; empty when there is nothing to send now. Nil when the session is broken.
    func output() -> [UInt8]? {
        var all: [UInt8] = []
        while all.count < HTTPBounds.read {
            var data: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session, &data)
            if count < 0 { return nil }
            guard count > 0, let data else { break }
            all.append(contentsOf: UnsafeBufferPointer(start: data, count: count))
        }
        return all
    }

    // MARK: In

    /// Takes what was received; nil when the peer broke the protocol so that the connection must end.
    func receive(_ bytes: [UInt8]) -> [Event]? {
        let count = nghttp2_session_mem_recv(session, bytes, bytes.count)
        guard count == bytes.count else { return nil }
        defer { context.events = [] }
        return context.events
    }

    /// Whether nghttp2 wants neither to read nor to write any more.
    var isOver: Bool { nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 }

    // MARK: Callbacks

    private static func context(_ user: UnsafeMutableRawPointer?) -> Context? {
        user.map { Unmanaged<Context>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func text(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> String {
        String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    private static func makeCallbacks() -> OpaquePointer? {
        var callbacks: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameCount, value, count, _, user in
            guard let frame else { return 0 }
            HTTP2Session.context(user)?.events.append(
                .field(
                    stream: frame.pointee.hd.stream_id, name: HTTP2Session.text(name, nameCount),
                    value: HTTP2Session.text(value, count)))
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, count, user in
            let bytes = Array(UnsafeBufferPointer(start: data, count: count))
            HTTP2Session.context(user)?.events.append(.data(stream: stream, bytes))
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, error, user in
            let context = HTTP2Session.context(user)
            context?.bodies[stream] = nil
            context?.events.append(.closed(stream: stream, error: error))
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            if let frame, UInt32(frame.pointee.hd.type) == NGHTTP2_GOAWAY.rawValue {
                HTTP2Session.context(user)?.events.append(.goingAway)
            }
            return 0
        }
        return callbacks
    }

    /// Hands nghttp2 the next part of a request's body.
    private static let readBody: nghttp2_data_source_read_callback = { _, stream, buffer, room, flags, _, user in
        guard let context = HTTP2Session.context(user), let body = context.bodies[stream], let buffer, let flags
        else { return ssize_t(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
        let count = min(room, body.bytes.count - body.sent)
        body.bytes.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress, count > 0 { buffer.update(from: start + body.sent, count: count) }
        }
        context.bodies[stream]?.sent += count
        if body.sent + count == body.bytes.count {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            context.bodies[stream] = nil
        }
        return count
    }
}
