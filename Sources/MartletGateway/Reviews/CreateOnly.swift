internal import MartletHTTP
internal import MartletObject

/// Kinds that are created and stored nowhere: a question that is answered, or an order that is carried out.
enum CreateOnly {
    /// Answers an object of the kind.
    typealias Handler = @Sendable (CreateOnlyCall, JSON) async throws(APIError) -> JSON

    /// Who answers which kind.
    static let table: [ResourceKind: Handler] = [
        .selfSubjectReview: Reviews.selfSubject,
        .tokenReview: Reviews.token,
        .subjectAccessReview: Reviews.access,
        .localSubjectAccessReview: Reviews.localAccess,
        .selfSubjectAccessReview: Reviews.ownAccess,
        .selfSubjectRulesReview: Reviews.ownRules,
    ]
}

/// What a handler may know of a call.
struct CreateOnlyCall: Sendable {
    var identity: Identity
    var target: Target
    var access: AccessControl
    var authentication: Authentication
}

extension Gateway {
    /// Reads the object, has it answered, and sends it back with its status.
    func review(_ call: Call, _ target: Target, _ renderer: Renderer) async throws(APIError) -> Response {
        guard let handler = CreateOnly.table[target.kind] else { throw .methodNotAllowed }
        let options = try WriteOptions(call.query)
        var decoder = BodyDecoder(kind: target.kind, validation: options.validation)
        var object = try decoder.object(try await call.objectBody())
        if target.kind.isNamespaced {
            if target.namespace.isEmpty { throw .methodNotAllowed }
            if !object.namespace.isEmpty && object.namespace != target.namespace {
                throw .badRequest(
                    "the namespace of the provided object does not match the namespace sent on the request")
            }
            object["metadata", "namespace"] = .string(target.namespace)
        }
        Defaults.apply(to: &object, kind: target.kind)
        if object["metadata"] == nil { object["metadata"] = [:] }
        object["metadata", "creationTimestamp"] = .null
        let asked = CreateOnlyCall(
            identity: call.identity, target: target, access: access, authentication: authentication)
        let answered = try await handler(asked, object)
        return try response(
            Written(bytes: answered.encoded(), warnings: decoder.warnings), target.kind, code: 201, renderer)
    }
}
