internal import HTTPTypes
internal import MartletHTTP
public import MartletObject

/// What is asked of a cluster's own upkeep, by somebody who may.
public struct DoorRequest: Sendable {
    /// The method: `get`, `post`, `delete`, ...
    public var verb: String
    /// The path under `/martlet/`, as `v1/members/a`.
    public var path: String
    /// Who asks.
    public var identity: Identity
    /// What is asked; null without a body.
    public var body: JSON
}

/// An answer: an object, or a refusal with its reason.
public struct DoorAnswer: Sendable {
    var code: Int
    var object: JSON
    var stream: (length: Int, next: @Sendable () async throws -> [UInt8]?)?

    /// It is done, and this came of it.
    public static func done(_ object: JSON) -> DoorAnswer { DoorAnswer(code: 200, object: object) }

    /// It is done, and these bytes came of it: `length` of them, piece by piece until `next` gives nil.
    public static func done(
        _ length: Int, _ next: @escaping @Sendable () async throws -> [UInt8]?
    ) -> DoorAnswer { DoorAnswer(code: 200, object: .null, stream: (length, next)) }

    /// Whether it is done.
    public var isDone: Bool { code == 200 }

    /// It is not done: an HTTP status, and a sentence that says what to do.
    public static func refused(_ code: Int, _ message: String) -> DoorAnswer {
        let reasons: [Int: APIError.Reason] = [403: .forbidden, 404: .notFound, 409: .conflict, 410: .gone]
        let reason = reasons[code] ?? .badRequest
        return DoorAnswer(code: code, object: APIError(code, reason, message).status)
    }
}

extension Gateway {
    func door(_ call: Call, _ path: String) async throws(APIError) -> Response {
        guard let door = configuration.door else { throw .noSuchResource }
        let bytes = try await call.body()
        var body = JSON.null
        if !bytes.isEmpty {
            do { body = try JSON(parsing: bytes) } catch { throw .badRequest("the body is no JSON: \(error)") }
        }
        let answer = await door(DoorRequest(verb: call.verb, path: path, identity: call.identity, body: body))
        if let stream = answer.stream {
            var head = HTTPResponse(status: .ok)
            head.headerFields[.contentType] = "application/octet-stream"
            head.headerFields[.contentLength] = "\(stream.length)"
            return Response(
                head: head,
                body: .stream { writer in
                    while let piece = try await stream.next() { try await writer.write(piece) }
                })
        }
        return Response(
            status: .init(code: answer.code), contentType: "application/json", bytes: answer.object.encoded())
    }
}
