internal import CNGHTTP2
internal import MartletBase

/// A call on the client's side.
final class GRPCCall: GRPCStream, @unchecked Sendable {
    var httpStatus: Int?
    var grpcStatus: Int?
    var grpcMessage = ""
    /// Fields of head and trailers that are not the protocol's own.
    var metadata = GRPCMetadata()
    var metadataBytes = 0
    /// Whether the server has refused the stream before it looked at the call: it may be made again.
    var isUntouched = false
}

/// A gRPC connection on the client's side. It connects by itself; calls that come before wait for it.
final class GRPCClientLink: GRPCLink, @unchecked Sendable {
    /// Calls at one time; more are refused with status 8.
    static let callLimit = 16 * 1024
    /// Bytes of whole messages of one call that wait for their reader, and that wait for the server.
    static let queueLimit = 1 << 20
    /// Bytes of metadata that a server may send with one call; more are dropped.
    static let metadataLimit = 64 * 1024

    private let name: String
    private let connect: @Sendable () async throws -> any ByteStream
    private let authority: [UInt8]
    private let scheme: StaticString
    private var isStarted = false
    private var isGoingAway = false

    /// - Parameter hasSession: false stands for a system without memory: every call fails then.
    init(
        in world: any World, name: String, authority: String = "localhost", isSecure: Bool = false,
        hasSession: Bool = true, connect: @escaping @Sendable () async throws -> any ByteStream
    ) {
        self.name = name
        self.connect = connect
        self.authority = Array(authority.utf8)
        scheme = isSecure ? "https" : "http"
        super.init(in: world, role: .client(HTTP2Settings()), queueLimit: Self.queueLimit, hasSession: hasSession)
    }

    // MARK: Calls

    /// What a new call says.
    struct Head {
        var path: String
        var metadata: GRPCMetadata = [:]
        var timeout: Duration?
    }

    /// Begins a call, with its only message or with messages to come; nil when this connection takes none any more.
    /// - Throws: ``GRPCStatus`` when there are too many calls.
    func begin(_ head: Head, message: [UInt8]?) throws(GRPCStatus) -> GRPCCall? {
        let deadline = head.timeout.map { world.now() + $0 }
        let begun: Result<GRPCCall?, GRPCStatus> = locked {
            if isGoingAway || failure != nil { return .success(nil) }
            guard streams.count < Self.callLimit else {
                return .failure(GRPCStatus(code: 8, message: "too many calls to \(name) at once"))
            }
            let call = GRPCCall(limit: GRPCDeframer.limit)
            if let message {
                call.outgoing.append(message)
                call.outgoing.isEnded = true
            }
            guard let session, fields(of: head).lend({ session.request($0, call) }) else {
                if session != nil { isGoingAway = true }
                start()
                return session == nil ? .failure(GRPCStatus(code: 14, message: "no memory")) : .success(nil)
            }
            streams[call.id] = call
            if let deadline {
                call.deadline = deadline
                watch(deadline)
            }
            start()
            wakeWriter()
            return .success(call)
        }
        return try begun.get()
    }

    private func start() {
        guard !isStarted else { return }
        isStarted = true
        world.spawn { await self.run() }
    }

    private func fields(of head: Head) -> HTTP2Fields {
        var fields = HTTP2Fields([
            HTTP2Fields.constant(":method", "POST"), HTTP2Fields.constant(":scheme", scheme),
        ])
        fields.append(":path", head.path.utf8)
        fields.append(":authority", authority)
        fields.append("te", "trailers".utf8)
        fields.append("content-type", "application/grpc".utf8)
        fields.append("user-agent", "martlet".utf8)
        if let timeout = head.timeout { fields.append("grpc-timeout", GRPCText.timeout(timeout).utf8) }
        if !head.metadata.isEmpty { fields.append(head.metadata) }
        return fields
    }

    /// The only answer of a unary call; waits for its status.
    func answer(to call: GRPCCall) async throws(GRPCStatus) -> [UInt8] {
        guard let answer = try await next(call) else {
            throw GRPCStatus(code: 13, message: "the call ended without an answer")
        }
        guard try await next(call) == nil else {
            throw GRPCStatus(code: 13, message: "a unary call gave more than one answer")
        }
        return answer
    }

    /// Whether the call ended without having reached the server's methods.
    func isUntouched(_ call: GRPCCall) -> Bool { locked { call.isUntouched } }

    /// The call's reader has gone, or wants no more.
    func giveUp(_ call: GRPCCall) {
        locked {
            if call.outcome == nil { abort(call, .cancelled) }
            closeIfDone()
        }
    }

    override func refuse(_ stream: GRPCStream, _ outcome: GRPCStatus) {
        abort(stream, outcome)
        closeIfDone()
    }

    // MARK: The connection

    private func run() async {
        let opened: any ByteStream
        do {
            opened = try await connect()
        } catch {
            return fail("\(name): \(error)")
        }
        let isWanted = locked {
            if session == nil { end("there is no memory for a session") }
            guard failure == nil else { return false }
            attach(opened)
            return true
        }
        guard isWanted else { return opened.close() }
        while true {
            do {
                let bytes = try await opened.read(atMost: HTTPBounds.read)
                if bytes.isEmpty { return fail("\(name): the server closed the connection") }
                let goesOn = locked {
                    guard receive(bytes) else { return false }
                    closeIfDone()
                    return failure == nil
                }
                if !goesOn { return fail("\(name): the server does not speak HTTP/2, or has ended the connection") }
            } catch {
                return fail("\(name): \(error)")
            }
        }
    }

    override func goingAway() { isGoingAway = true }

    private func closeIfDone() {
        if isGoingAway && streams.isEmpty { end("\(name): the server is going away") }
    }

    // MARK: What the server says

    override func received(
        _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, for stream: HTTP2Stream
    ) -> Bool {
        if let call = stream as? GRPCCall { take(name, value, call) }
        return true
    }

    private func take(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, _ call: GRPCCall) {
        switch name.count {
        case 7 where name.equals(":status"): call.httpStatus = Self.number(value)
        case 11 where name.equals("grpc-status"): call.grpcStatus = Self.number(value) ?? 2
        case 12 where name.equals("grpc-message"):
            call.grpcMessage = PercentCoding.decode(String(decoding: value, as: UTF8.self))
        case 12 where name.equals("content-type"): return
        default:
            call.metadataBytes += name.count + value.count
            if call.metadataBytes <= Self.metadataLimit { call.metadata.append(name, value) }
        }
    }

    private static func number(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
        guard !text.isEmpty, text.count <= 9 else { return nil }
        var number = 0
        for digit in text {
            guard Characters.isDigit(digit) else { return nil }
            number = number * 10 + Int(digit - 48)
        }
        return number
    }

    override func outcome(of stream: GRPCStream, error: UInt32) -> GRPCStatus {
        guard let call = stream as? GRPCCall else { return .cancelled }
        if let code = call.grpcStatus {
            if code == 0 && call.deframer.isInMessage {
                return GRPCStatus(code: 13, message: "the answer ended in the middle of a message")
            }
            return code == 0 ? .ok : GRPCStatus(code: code, message: call.grpcMessage)
        }
        if let status = call.httpStatus, status != 200 {
            return GRPCStatus(code: GRPCText.code(httpStatus: status), message: "HTTP status \(status)")
        }
        if error != 0 {
            call.isUntouched = error == NGHTTP2_REFUSED_STREAM.rawValue
            return GRPCStatus(code: GRPCText.code(reset: error), message: "the server reset the call (\(error))")
        }
        return GRPCStatus(code: 13, message: "the server ended the call without a status")
    }
}
