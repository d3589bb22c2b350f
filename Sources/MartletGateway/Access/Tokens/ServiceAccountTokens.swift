internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletStore
internal import Synchronization

/// Makes service account tokens, and knows them again.
final class ServiceAccountTokens: Sendable {
    private let current: Mutex<TokenSettings>
    private let storage: Storage
    private let world: any World
    /// Tokens whose signature was found good, by their SHA-256.
    private let known = RecentTable<[UInt8], Known>(limit: Limits.knownTokens)

    /// A token, and the key that it was found good by: it is good for as long as that key is.
    private struct Known {
        var token: WebToken
        var key: String
    }

    init(_ settings: TokenSettings, _ storage: Storage, in world: any World) {
        current = Mutex(settings)
        self.storage = storage
        self.world = world
    }

    /// How tokens are signed and known now.
    var settings: TokenSettings { current.withLock { $0 } }

    /// Goes by other keys from now on.
    func set(_ settings: TokenSettings) {
        current.withLock { $0 = settings }
    }

    /// Who shows a token.
    /// - Throws: ``TokenFault``: why it is not good.
    func identity(of token: String, audiences: [String]) async throws(TokenFault) -> TokenIdentity {
        let parsed = try verified(token)
        if parsed.claims["iss"]?.string == Self.secretIssuer {
            // Such a token names no audience: it is for this API.
            let shared = audiences.filter { $0 == settings.issuer }
            guard !shared.isEmpty else { throw TokenFault("invalid bearer token") }
            return TokenIdentity(identity: try await identity(token, inSecret: parsed.claims), audiences: shared)
        }
        let shared = parsed.audiences.filter { audiences.contains($0) }
        guard !shared.isEmpty else {
            throw TokenFault("invalid bearer token: the token's audiences are none of those expected here")
        }
        let now = world.wallTime().seconds
        guard let expiry = parsed.time("exp"), now < expiry + Self.leeway else {
            throw TokenFault("service account token has expired")
        }
        if let start = parsed.time("nbf"), now + Self.leeway < start {
            throw TokenFault("service account token is not valid yet")
        }
        return TokenIdentity(identity: try await identity(parsed.claims), audiences: shared)
    }

    /// `iss` of tokens that lie in Secrets.
    private static let secretIssuer = "kubernetes/serviceaccount"

    /// Holds a token without an end against the Secret that it lies in, and its account.
    private func identity(_ token: String, inSecret claims: JSON) async throws(TokenFault) -> Identity {
        func claim(_ name: String) -> String { claims["kubernetes.io/serviceaccount/\(name)"]?.string ?? "" }
        let (namespace, name) = (claim("namespace"), claim("service-account.name"))
        let (secretName, uid) = (claim("secret.name"), claim("service-account.uid"))
        guard !namespace.isEmpty, !uid.isEmpty,
            claims["sub"]?.string == Identity.user(ofServiceAccount: name, in: namespace)
        else { throw TokenFault("service account token claims could not be validated") }
        guard Route.isSafe(secretName), Route.isSafe(namespace),
            let pair = await storage.get(Keys.object(.secret, namespace: namespace, name: secretName)),
            let secret = try? pair.object(), !secret.isTerminating,
            let kept = secret["data", "token"]?.string.flatMap({ Base64.decode($0) }),
            Secrets.equal(kept, Array(token.utf8))
        else { throw TokenFault("service account token has been invalidated") }
        guard let account = await header(.serviceAccount, namespace, name), account.uid == uid else {
            throw TokenFault("serviceaccounts \"\(name)\" not found")
        }
        return Self.identity(ofServiceAccount: name, in: namespace, uid: uid)
    }

    /// Seconds by which clocks may differ.
    private static let leeway: Int64 = 60

    private func verified(_ token: String) throws(TokenFault) -> WebToken {
        let digest = Digest.sha256(Array(token.utf8))
        let settings = settings
        if let known = known[digest], settings.keys.contains(where: { $0.identifier == known.key }) {
            return known.token
        }
        guard let parsed = WebToken(token), let issuer = parsed.claims["iss"]?.string,
            [settings.issuer, Self.secretIssuer].contains(issuer)
        else {
            throw TokenFault("invalid bearer token")
        }
        let candidates = settings.keys.filter { parsed.keyID.isEmpty || $0.identifier == parsed.keyID }
        // The key says which algorithm, not the token.
        let key = candidates.first {
            $0.algorithm == parsed.algorithm && $0.verifies(parsed.signature, parsed.signed)
        }
        guard let key else { throw TokenFault("invalid bearer token: the signature is not ours") }
        known[digest] = Known(token: parsed, key: key.identifier)
        return parsed
    }

    /// Holds what a token says against what is there now: the account, and the object that the token is bound to.
    private func identity(_ claims: JSON) async throws(TokenFault) -> Identity {
        let own = claims["kubernetes.io"] ?? [:]
        guard let namespace = own["namespace"]?.string, let name = own["serviceaccount", "name"]?.string,
            claims["sub"]?.string == Identity.user(ofServiceAccount: name, in: namespace)
        else { throw TokenFault("service account token claims could not be validated") }
        let uid = own["serviceaccount", "uid"]?.string ?? ""
        guard let account = await header(.serviceAccount, namespace, name) else {
            throw TokenFault("serviceaccounts \"\(name)\" not found")
        }
        guard account.uid == uid else {
            throw TokenFault("service account UID (\(account.uid)) does not match claim (\(uid))")
        }
        var extra: [String: [String]] = [:]
        if let identifier = claims["jti"]?.string {
            extra["authentication.kubernetes.io/credential-id"] = ["JTI=\(identifier)"]
        }
        for (field, kind, place) in Self.bound {
            guard let reference = own[field], let name = reference["name"]?.string else { continue }
            let uid = reference["uid"]?.string ?? ""
            // With a pod, the node is told of only: it may go before the pod does.
            if field != "node" || own["pod"] == nil {
                guard let object = await header(kind, kind.isNamespaced ? namespace : "", name), object.uid == uid
                else { throw TokenFault("service account token has been invalidated") }
            }
            guard field != "secret" else { continue }
            extra["authentication.kubernetes.io/\(place)-name"] = [name]
            extra["authentication.kubernetes.io/\(place)-uid"] = [uid]
        }
        return Self.identity(ofServiceAccount: name, in: namespace, uid: uid, extra: extra)
    }

    /// What a token may be bound to: the claim, the kind, and the name in the user's extras.
    private static let bound: [(String, ResourceKind, String)] = [
        ("pod", .pod, "pod"), ("secret", .secret, "secret"), ("node", .node, "node"),
    ]

    static func identity(
        ofServiceAccount name: String, in namespace: String, uid: String, extra: [String: [String]] = [:]
    ) -> Identity {
        Identity(
            user: Identity.user(ofServiceAccount: name, in: namespace),
            groups: [
                "system:serviceaccounts", "system:serviceaccounts:\(namespace)", Identity.authenticated,
            ], uid: uid, extra: extra)
    }

    private func header(_ kind: ResourceKind, _ namespace: String, _ name: String) async -> StoredObject.Header? {
        guard Route.isSafe(name), namespace.isEmpty || Route.isSafe(namespace),
            let pair = await storage.get(Keys.object(kind, namespace: namespace, name: name))
        else { return nil }
        return StoredObject(stored: pair.value).header
    }

    /// Signs a token.
    func issue(_ claims: JSON) throws(APIError) -> String {
        let settings = settings
        guard let key = settings.keys.first else { throw .internalError("there is no key to sign tokens with") }
        do {
            return try WebToken.make(
                claims, algorithm: key.algorithm, keyID: key.identifier, sign: settings.sign)
        } catch {
            throw .internalError("failed to generate token: \(error)")
        }
    }
}

/// Whom a token stands for, and for which of the audiences asked.
struct TokenIdentity: Sendable, Hashable {
    var identity: Identity
    var audiences: [String]
}

/// Why a token is not good.
struct TokenFault: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
