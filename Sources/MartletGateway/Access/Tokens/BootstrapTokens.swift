internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletStore

/// Tokens by which a machine joins: Secrets of type `bootstrap.kubernetes.io/token` in `kube-system`.
struct BootstrapTokens: Sendable {
    let storage: Storage

    /// The two halves of `ID.SECRET`; nil for tokens of another form.
    static func parts(_ token: String) -> (id: String, secret: String)? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        func isPart(_ part: Substring, _ count: Int) -> Bool {
            part.utf8.count == count
                && part.utf8.allSatisfy {
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                }
        }
        guard parts.count == 2, isPart(parts[0], 6), isPart(parts[1], 16) else { return nil }
        return (String(parts[0]), String(parts[1]))
    }

    /// Who shows a token; nil when it is not good.
    func identity(of token: String, now: WallTime) async -> Identity? {
        guard let (id, secret) = Self.parts(token) else { return nil }
        let key = Keys.object(.secret, namespace: "kube-system", name: "bootstrap-token-\(id)")
        guard let pair = await storage.get(key), let object = try? pair.object() else { return nil }
        return Self.identity(id: id, secret: secret, in: object, now: now)
    }

    /// Decides by the Secret.
    static func identity(id: String, secret: String, in object: JSON, now: WallTime) -> Identity? {
        func value(_ name: String) -> String? {
            object["data", name]?.string.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        guard object["type"] == "bootstrap.kubernetes.io/token", !object.isTerminating,
            value("token-id") == id, value("usage-bootstrap-authentication") == "true",
            Secrets.equal(Array((value("token-secret") ?? "").utf8), Array(secret.utf8))
        else { return nil }
        if let text = value("expiration") {
            guard let end = WallTime(rfc3339: text), now < end else { return nil }
        }
        var groups = ["system:bootstrappers"]
        for group in (value("auth-extra-groups") ?? "").split(separator: ",") {
            guard group.hasPrefix("system:bootstrappers:") else { return nil }
            groups.append(String(group))
        }
        return Identity(user: "system:bootstrap:\(id)", groups: groups + [Identity.authenticated])
    }
}
