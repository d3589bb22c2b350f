internal import MartletObject

/// A refusal, as the API words it: a `Status` of `status: Failure` (meta.k8s.io/v1).
struct APIError: Error, Sendable, Hashable {
    /// Upstream's words for what went wrong (metav1.StatusReason).
    enum Reason: String, Sendable {
        case none = ""
        case badRequest = "BadRequest"
        case unauthorized = "Unauthorized"
        case forbidden = "Forbidden"
        case notFound = "NotFound"
        case methodNotAllowed = "MethodNotAllowed"
        case notAcceptable = "NotAcceptable"
        case timeout = "Timeout"
        case conflict = "Conflict"
        case alreadyExists = "AlreadyExists"
        case expired = "Expired"
        case gone = "Gone"
        case requestEntityTooLarge = "RequestEntityTooLarge"
        case unsupportedMediaType = "UnsupportedMediaType"
        case invalid = "Invalid"
        case tooManyRequests = "TooManyRequests"
        case internalError = "InternalError"
        case serviceUnavailable = "ServiceUnavailable"
    }

    /// HTTP status.
    var code: Int
    var reason: Reason
    /// For people.
    var message: String
    /// `details` of the Status.
    var details: JSON?
    /// Seconds for `Retry-After`.
    var retryAfter: Int?
    /// `metadata.continue` of the Status: where a list goes on whose revision is forgotten.
    var continuation: String?

    init(_ code: Int, _ reason: Reason, _ message: String, details: JSON? = nil, retryAfter: Int? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retryAfter = retryAfter
    }

    /// The Status object.
    var status: JSON {
        var status: JSON = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "message": .string(message),
        ]
        if let continuation { status["metadata", "continue"] = .string(continuation) }
        if reason != .none { status["reason"] = .string(reason.rawValue) }
        if let details { status["details"] = details }
        status["code"] = .int(Int64(code))
        return status
    }
}

/// What a refusal is about.
struct Subject: Sendable {
    var kind: ResourceKind
    var name: String

    /// `pods "x"`, as messages name it.
    var text: String { "\(kind.qualifiedPlural) \"\(name)\"" }

    /// `details` naming the resource.
    func details(_ more: (String, JSON)...) -> JSON {
        var details: JSON = [:]
        if !name.isEmpty { details["name"] = .string(name) }
        if !kind.group.isEmpty { details["group"] = .string(kind.group) }
        details["kind"] = .string(kind.plural)
        for (key, value) in more { details[key] = value }
        return details
    }
}

extension APIError {
    /// No such path or method's target.
    static var noSuchResource: APIError {
        APIError(404, .notFound, "the server could not find the requested resource", details: [:])
    }
    /// The object is not there.
    static func notFound(_ subject: Subject) -> APIError {
        APIError(404, .notFound, "\(subject.text) not found", details: subject.details())
    }
    /// The object is there already.
    static func alreadyExists(_ subject: Subject) -> APIError {
        APIError(409, .alreadyExists, "\(subject.text) already exists", details: subject.details())
    }
    /// The object is not in the state that the request expects.
    static func conflict(_ subject: Subject, _ why: String) -> APIError {
        APIError(
            409, .conflict, "Operation cannot be fulfilled on \(subject.text): \(why)", details: subject.details())
    }
    /// The object has changed since the caller read it.
    static func modified(_ subject: Subject) -> APIError {
        conflict(
            subject,
            "the object has been modified; please apply your changes to the latest version and try again")
    }
    /// Not allowed by admission.
    static func forbidden(_ subject: Subject, _ why: String, causes: [JSON] = []) -> APIError {
        let details = causes.isEmpty ? subject.details() : subject.details(("causes", .array(causes)))
        let text = subject.name.isEmpty ? subject.kind.qualifiedPlural : subject.text
        return APIError(403, .forbidden, "\(text) is forbidden: \(why)", details: details)
    }
    /// The request cannot be understood.
    static func badRequest(_ message: String) -> APIError { APIError(400, .badRequest, message) }

    /// The object breaks rules: every fault is a cause.
    static func invalid(_ kind: ResourceKind, name: String, _ faults: [FieldError]) -> APIError {
        invalid(kind.kind, group: kind.group, name: name, faults)
    }
    /// The same, for what is no object: the options of a request.
    static func invalid(_ kind: String, group: String = "", name: String, _ faults: [FieldError]) -> APIError {
        let texts = faults.map(\.description)
        let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        var details: JSON = [:]
        if !name.isEmpty { details["name"] = .string(name) }
        if !group.isEmpty { details["group"] = .string(group) }
        if !kind.isEmpty { details["kind"] = .string(kind) }
        details["causes"] = .array(
            faults.map {
                [
                    "reason": .string($0.reason.rawValue), "message": .string($0.message), "field": .string($0.field),
                ]
            })
        let qualified = group.isEmpty ? kind : "\(kind).\(group)"
        return APIError(422, .invalid, "\(qualified) \"\(name)\" is invalid: \(list)", details: details)
    }
    /// The verb is not for this resource.
    static var methodNotAllowed: APIError {
        APIError(
            405, .methodNotAllowed, "the server does not allow this method on the requested resource", details: [:])
    }
    /// A patch makes an object that cannot be.
    /// - Parameter shown: the object, or the patch.
    static func unfitPatch(_ shown: String, _ why: String) -> APIError {
        let message = "Invalid value: \(String(decoding: JSON.string(shown).encoded(), as: UTF8.self)): \(why)"
        return .invalid("", name: "", [FieldError(.invalid, field: "patch", message: message)])
    }
    /// The definition of a custom kind is being deleted.
    static var definitionIsGoing: APIError {
        var error = methodNotAllowed
        error.message = "create not allowed while custom resource definition is terminating"
        return error
    }
    /// None of the accepted media types is served.
    static func notAcceptable(_ served: [String] = ["application/json", "application/yaml"]) -> APIError {
        APIError(
            406, .notAcceptable,
            "only the following media types are accepted: \(served.joined(separator: ", "))")
    }
    /// The body's media type is not read here.
    static func unsupportedMediaType(_ accepted: [String]) -> APIError {
        APIError(
            415, .unsupportedMediaType,
            "the body of the request was in an unknown format - accepted media types include: "
                + accepted.joined(separator: ", "))
    }
    /// The body is over the limit.
    static var bodyTooLarge: APIError {
        APIError(413, .requestEntityTooLarge, "Request entity too large: limit is \(Limits.body)")
    }
    /// What the HTTP server refused: `text` says why, but for a body that is too large, which upstream words.
    init(refusal code: Int, _ text: String) {
        switch code {
        case 400: self = .badRequest(text)
        case 408: self.init(408, .timeout, text)
        case 413: self = .bodyTooLarge
        case 503: self.init(503, .serviceUnavailable, text, retryAfter: 1)
        default: self.init(code, .none, text)
        }
    }
    /// The body did not come in time.
    static func bodyTimeout(_ patience: Duration) -> APIError {
        APIError(
            408, .timeout, "the body of the request did not arrive within \(patience.components.seconds) seconds",
            details: [:])
    }
    /// Too much work in flight.
    static var tooManyRequests: APIError {
        APIError(
            429, .tooManyRequests, "Too many requests, please try again later.",
            details: ["retryAfterSeconds": 1], retryAfter: 1)
    }
    /// The history that the request needs is gone.
    static func expired(_ message: String) -> APIError { APIError(410, .expired, message) }
    /// The revision has not happened yet.
    static func tooNew(requested: Int64, current: Int64) -> APIError {
        APIError(
            504, .timeout, "Too large resource version: \(requested), current: \(current)",
            details: [
                "causes": [["reason": "ResourceVersionTooLarge", "message": "Too large resource version"]],
                "retryAfterSeconds": 1,
            ], retryAfter: 1)
    }
    /// Who asks is not known.
    static var unauthorized: APIError { APIError(401, .unauthorized, "Unauthorized") }
    /// Something failed on our side.
    static func internalError(_ why: String) -> APIError {
        APIError(
            500, .internalError, "Internal error occurred: \(why)", details: ["causes": [["message": .string(why)]]])
    }
    /// Not now.
    static func unavailable(_ why: String) -> APIError {
        APIError(503, .serviceUnavailable, why, details: ["retryAfterSeconds": 1], retryAfter: 1)
    }
}
