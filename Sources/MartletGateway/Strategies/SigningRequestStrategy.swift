internal import MartletObject

extension Strategy {
    /// A certificate signing request is judged through `approval` and signed through `status`: neither may do the
    /// other's part. Its spec never changes.
    static let signingRequest = Strategy(
        nameRequester: { request, identity in
            // Whatever the request claims: signers trust these.
            for field in ["username", "uid", "groups", "extra"] { request["spec", field] = nil }
            for (field, value) in identity.userInfo.members { request["spec", field] = value }
        },
        prepareForUpdate: { request, old in request["spec"] = old["spec"] },
        prepareForStatus: { request, old, part in
            var conditions = request["status", "conditions"]?.array ?? []
            if part == .approval {
                request["status", "certificate"] = old["status", "certificate"]
            } else {
                let kept = old["status", "conditions"]?.array ?? []
                conditions = kept.filter(isJudgement) + conditions.filter { !isJudgement($0) }
            }
            request["status", "conditions"] = conditions.isEmpty ? nil : .array(conditions)
        })

    private static func isJudgement(_ condition: JSON) -> Bool {
        ["Approved", "Denied"].contains(condition["type"]?.string ?? "")
    }
}
