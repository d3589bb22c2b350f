internal import MartletBase
internal import MartletObject

/// POST serviceaccounts/NAME/token: a token of a service account (authentication.k8s.io/v1 TokenRequest).
extension Gateway {
    func requestToken(_ target: Target, body: ObjectBody, as identity: Identity) async throws(APIError) -> JSON {
        guard let accounts else {
            throw APIError(
                404, .notFound, "this gateway signs no tokens: it was started without a key for them", details: [:])
        }
        let account = try await registry.current(target).object()
        var request = try SmallBody.parse(body, as: "TokenRequest")
        for (field, given, own) in [
            ("name", request.name, account.name), ("namespace", request.namespace, account.namespace),
        ] where !given.isEmpty && given != own {
            let fault = FieldError(
                .invalid, field: "metadata.\(field)",
                message: "Invalid value: \"\(given)\": must match the service account \(field) if specified")
            throw .invalid(Self.tokenRequest, name: account.name, [fault])
        }
        request["apiVersion"] = "authentication.k8s.io/v1"
        request["kind"] = "TokenRequest"
        let seconds = try Self.seconds(request, account)
        var audiences = (request["spec", "audiences"]?.array ?? []).filter { $0.string?.isEmpty == false }
        if audiences.isEmpty { audiences = [.string(accounts.settings.issuer)] }
        request["spec", "audiences"] = .array(audiences)
        request["spec", "expirationSeconds"] = .int(seconds)
        let bound = try await boundObject(request["spec", "boundObjectRef"], account, by: identity)

        let now = world.wallTime()
        // What every pod asks for lives longer than it says: old clients read their token but once.
        let isLenient =
            seconds == ServiceAccountAdmission.tokenSeconds && bound["pod"] != nil
            && audiences == [.string(accounts.settings.issuer)]
        var own: JSON = ["namespace": .string(account.namespace)]
        for (name, reference) in bound.members { own[name] = reference }
        own["serviceaccount"] = ["name": .string(account.name), "uid": .string(account.uid)]
        if isLenient { own["warnafter"] = .int(now.seconds + seconds) }
        let life = isLenient ? Limits.lenientTokenSeconds : seconds
        let claims: JSON = [
            "aud": .array(audiences), "exp": .int(now.seconds + life), "iat": .int(now.seconds),
            "iss": .string(accounts.settings.issuer), "jti": .string(registry.uuid()), "kubernetes.io": own,
            "nbf": .int(now.seconds),
            "sub": .string(Identity.user(ofServiceAccount: account.name, in: account.namespace)),
        ]
        request["metadata"] = [
            "name": .string(account.name), "namespace": .string(account.namespace),
            "creationTimestamp": .string(now.rfc3339),
        ]
        request["status"] = [
            "token": .string(try accounts.issue(claims)),
            "expirationTimestamp": .string((now + .seconds(seconds)).rfc3339),
        ]
        return request
    }

    private static let tokenRequest = ResourceKind(
        group: "authentication.k8s.io", version: "v1", kind: "TokenRequest", plural: "tokenrequests",
        singular: "tokenrequest", isNamespaced: true)

    private static func seconds(_ request: JSON, _ account: JSON) throws(APIError) -> Int64 {
        guard let given = request["spec", "expirationSeconds"], given != .null else { return 3600 }
        let value = given.int.map(Int64.init) ?? 0
        if Limits.tokenSeconds.contains(value) { return value }
        let why =
            value < Limits.tokenSeconds.lowerBound
            ? "may not specify a duration less than 10 minutes" : "may not specify a duration larger than 2^32 seconds"
        throw .invalid(
            tokenRequest, name: account.name,
            [FieldError(.invalid, field: "spec.expirationSeconds", message: "Invalid value: \(value): \(why)")])
    }

    private static let bindable: [String: ResourceKind] = ["Pod": .pod, "Secret": .secret, "Node": .node]

    /// What the token is bound to, as the claim `kubernetes.io` names it.
    private func boundObject(
        _ reference: JSON?, _ account: JSON, by identity: Identity
    ) async throws(APIError) -> JSON {
        try await NodeRestriction.checkToken(reference, account, by: identity, registry)
        guard let reference, reference != .null else { return [:] }
        let (kindName, version) = (reference["kind"]?.string ?? "", reference["apiVersion"]?.string ?? "")
        guard let kind = Self.bindable[kindName], version.isEmpty || version == "v1" else {
            throw .badRequest("cannot bind token to object of type \(version), Kind=\(kindName)")
        }
        let name = reference["name"]?.string ?? ""
        let target = Target(
            kind: kind, namespace: kind.isNamespaced ? account.namespace : "", name: name, subresource: "")
        guard Route.isSafe(name) else { throw .notFound(target.subject) }
        let object = try await registry.current(target).object()
        if kind == .pod, let other = object["spec", "serviceAccountName"]?.string, other != account.name {
            throw .badRequest(
                "cannot bind token for serviceaccount \"\(account.name)\" to pod running with different serviceaccount "
                    + "name.")
        }
        if let uid = reference["uid"]?.string, !uid.isEmpty, uid != object.uid {
            throw APIError(
                409, .conflict,
                "Operation cannot be fulfilled on \(kindName) \"\(name)\": the UID in the bound object reference "
                    + "(\(uid)) does not match the UID in record. The object might have been deleted and then "
                    + "recreated",
                details: ["name": .string(name), "kind": .string(kindName)])
        }
        var bound: JSON = [kindName.lowercased(): ["name": .string(name), "uid": .string(object.uid)]]
        if kind == .pod, let node = object["spec", "nodeName"]?.string, !node.isEmpty {
            bound["node"] = ["name": .string(node)]
            if let found = try await registry.get(.node, namespace: "", name: node) {
                bound["node", "uid"] = .string(found.uid)
            }
        }
        return bound
    }
}
