internal import MartletObject

/// Questions about who somebody is and what they may do (authentication.k8s.io, authorization.k8s.io).
enum Reviews {
    // MARK: Who

    @Sendable static func selfSubject(_ call: CreateOnlyCall, _ object: JSON) async throws(APIError) -> JSON {
        var object = object
        object["status"] = ["userInfo": call.identity.userInfo]
        return object
    }

    @Sendable static func token(_ call: CreateOnlyCall, _ object: JSON) async throws(APIError) -> JSON {
        let token = object["spec", "token"]?.string ?? ""
        if token.isEmpty { throw .badRequest("token is required for TokenReview in authentication") }
        let asked = (object["spec", "audiences"]?.array ?? []).compactMap(\.string)
        let audiences = asked.isEmpty ? call.authentication.audiences : asked
        var object = object
        do {
            let found = try await call.authentication.identity(of: token, audiences: audiences)
            object["status"] = ["authenticated": true, "user": found.identity.userInfo]
            if !found.audiences.isEmpty {
                object["status", "audiences"] = .array(found.audiences.map { .string($0) })
            }
        } catch {
            object["status"] = ["user": [:], "error": .string(error.description)]
        }
        return object
    }

    // MARK: Whether

    @Sendable static func access(_ call: CreateOnlyCall, _ object: JSON) async throws(APIError) -> JSON {
        try await decided(object, for: try subject(object, call.target.kind), call)
    }

    @Sendable static func localAccess(_ call: CreateOnlyCall, _ object: JSON) async throws(APIError) -> JSON {
        let namespace = object["spec", "resourceAttributes", "namespace"]?.string ?? ""
        if object["spec", "nonResourceAttributes"] != nil {
            throw invalid(object, call.target.kind, "spec.nonResourceAttributes", "disallowed on this kind of request")
        }
        guard namespace == call.target.namespace else {
            throw .badRequest(
                "spec.resourceAttributes.namespace must match namespace: \(call.target.namespace)")
        }
        return try await decided(object, for: try subject(object, call.target.kind), call)
    }

    @Sendable static func ownAccess(_ call: CreateOnlyCall, _ object: JSON) async throws(APIError) -> JSON {
        try await decided(object, for: call.identity, call)
    }

    private static func subject(_ object: JSON, _ kind: ResourceKind) throws(APIError) -> Identity {
        let spec = object["spec"] ?? [:]
        let groups = (spec["groups"]?.array ?? []).compactMap(\.string)
        let user = spec["user"]?.string ?? ""
        if user.isEmpty && groups.isEmpty {
            throw invalid(object, kind, "spec.user", "at least one of user or group must be specified")
        }
        var extra: [String: [String]] = [:]
        for (name, values) in (spec["extra"] ?? [:]).members {
            extra[name.lowercased()] = (values.array ?? []).compactMap(\.string)
        }
        return Identity(user: user, groups: groups, uid: spec["uid"]?.string ?? "", extra: extra)
    }

    private static func decided(
        _ object: JSON, for identity: Identity, _ call: CreateOnlyCall
    ) async throws(APIError) -> JSON {
        let resource = object["spec", "resourceAttributes"]
        let path = object["spec", "nonResourceAttributes"]
        guard (resource == nil) != (path == nil) else {
            throw invalid(
                object, call.target.kind, "spec.resourceAttributes",
                resource == nil
                    ? "exactly one of nonResourceAttributes or resourceAttributes must be specified"
                    : "cannot be specified in combination with nonResourceAttributes")
        }
        var request = AccessRequest(
            identity: identity, verb: (resource ?? path)?["verb"]?.string ?? "")
        if let resource {
            func text(_ name: String) -> String { resource[name]?.string ?? "" }
            request.group = text("group")
            request.resource = text("resource")
            request.subresource = text("subresource")
            request.namespace = text("namespace")
            request.name = text("name")
            request.fieldSelector = selector(resource["fieldSelector"] ?? [:])
        } else {
            request.path = path?["path"]?.string ?? ""
        }
        let verdict = try await call.access.decide(request)
        var object = object
        object["status"] = ["allowed": .bool(verdict.isAllowed)]
        if !verdict.reason.isEmpty { object["status", "reason"] = .string(verdict.reason) }
        return object
    }

    /// The terms of a field selector; only what is equal to one value can allow anything.
    private static func selector(_ attributes: JSON) -> [FieldSelector.Term] {
        if let raw = attributes["rawSelector"]?.string { return (try? FieldSelector.terms(parsing: raw)) ?? [] }
        return (attributes["requirements"]?.array ?? []).compactMap { requirement in
            guard requirement["operator"] == "In", let values = requirement["values"]?.array, values.count == 1,
                let key = requirement["key"]?.string, let value = values[0].string
            else { return nil }
            return FieldSelector.Term(key, value)
        }
    }

    // MARK: What

    @Sendable static func ownRules(_ call: CreateOnlyCall, _ object: JSON) async throws(APIError) -> JSON {
        let namespace = object["spec", "namespace"]?.string ?? ""
        if namespace.isEmpty { throw .badRequest("no namespace on request") }
        let (rules, faults) = try await call.access.rules(of: call.identity, in: namespace)
        var (resources, paths): ([JSON], [JSON]) = ([], [])
        for rule in rules {
            if !rule.resources.isEmpty { resources.append(rule.json) }
            if !rule.nonResourceURLs.isEmpty { paths.append(rule.json) }
        }
        var faultTexts = faults
        let isNode = call.identity.node != nil
        if isNode { faultTexts.insert("node authorizer does not support user rule resolution", at: 0) }
        var object = object
        object["status"] = [
            "resourceRules": .array(resources), "nonResourceRules": .array(paths),
            "incomplete": .bool(isNode || !faults.isEmpty),
        ]
        if !faultTexts.isEmpty {
            object["status", "evaluationError"] = .string(faultTexts.joined(separator: ", "))
        }
        return object
    }

    private static func invalid(
        _ object: JSON, _ kind: ResourceKind, _ field: String, _ why: String
    ) -> APIError {
        let names = field.split(separator: ".").map(String.init)
        let value = names.reduce(Optional(object)) { $0?[$1] } ?? "null"
        let text = String(decoding: (field == "spec.user" ? "" : value).encoded(), as: UTF8.self)
        return .invalid(
            kind, name: object.name, [FieldError(.invalid, field: field, message: "Invalid value: \(text): \(why)")])
    }
}
