internal import HTTPTypes
internal import MartletBase
internal import MartletObject

/// Whom a request acts as, when that is not who sent it: the headers `Impersonate-User`, `Impersonate-Group`,
/// `Impersonate-Uid` and `Impersonate-Extra-...`.
struct Impersonation: Sendable, Hashable {
    var user: String
    var groups: [String]
    var uid = ""
    var extra: [String: [String]] = [:]

    private static let prefix = "impersonate-"

    /// Nil when the headers ask for none.
    /// - Throws: 400 when something is asked for, but no user.
    init?(_ fields: HTTPFields) throws(APIError) {
        user = ""
        groups = []
        for field in fields {
            let name = field.name.canonicalName
            guard name.hasPrefix(Self.prefix), !field.value.isEmpty else { continue }
            switch name.dropFirst(Self.prefix.count) {
            case "user": user = user.isEmpty ? field.value : user
            case "group": groups.append(field.value)
            case "uid": uid = uid.isEmpty ? field.value : uid
            case let rest where rest.hasPrefix("extra-"):
                // Keys are escaped as in URLs, because headers cannot say them all.
                extra[PercentCoding.decode(rest.dropFirst("extra-".count)), default: []].append(field.value)
            default: continue
            }
        }
        guard user.isEmpty else { return }
        var asked = groups.map { "group \($0)" }
        if !uid.isEmpty { asked.append("uid") }
        asked += extra.keys.sorted().map { "extra-\($0)" }
        if asked.isEmpty { return nil }
        throw .badRequest("requested [\(asked.joined(separator: ", "))] without impersonating a user")
    }

    /// What the caller must be allowed to `impersonate`.
    func requests(by caller: Identity) -> [AccessRequest] {
        func request(_ resource: String, _ name: String, group: String = "") -> AccessRequest {
            var request = AccessRequest(identity: caller, verb: "impersonate")
            request.group = group
            request.resource = resource
            request.name = name
            return request
        }
        var requests: [AccessRequest] = []
        if let (namespace, name) = Identity.serviceAccount(user) {
            var account = request("serviceaccounts", name)
            account.namespace = namespace
            requests.append(account)
        } else {
            requests.append(request("users", user))
        }
        requests += groups.map { request("groups", $0) }
        for (key, values) in extra.sorted(by: { $0.key < $1.key }) {
            for value in values {
                var one = request("userextras", value, group: "authentication.k8s.io")
                one.subresource = key
                requests.append(one)
            }
        }
        if !uid.isEmpty { requests.append(request("uids", uid, group: "authentication.k8s.io")) }
        return requests
    }

    /// Who the request acts as from here on.
    var identity: Identity {
        var groups = groups
        if groups.isEmpty, let (namespace, _) = Identity.serviceAccount(user) {
            groups = ["system:serviceaccounts", "system:serviceaccounts:\(namespace)"]
        }
        let standing = user == Identity.anonymous.user ? "system:unauthenticated" : Identity.authenticated
        if !groups.contains(standing) { groups.append(standing) }
        return Identity(user: user, groups: groups, uid: uid, extra: extra)
    }
}
