internal import MartletBase
public import MartletObject

/// Fills Secrets of type `kubernetes.io/service-account-token` with a token of the account that their annotation names,
/// and deletes them when it has gone (kube-controller-manager's token controller).
public struct ServiceAccountTokenController: Controller {
    /// `serviceaccount-token-controller`
    public let name = "serviceaccount-token-controller"
    /// Secrets and ServiceAccounts, and where the authorities that are trusted stand.
    public let kinds: [ResourceKind] = [.secret, .serviceAccount, .configMap]

    static let secretType = "kubernetes.io/service-account-token"
    static let nameAnnotation = "kubernetes.io/service-account.name"
    static let uidAnnotation = "kubernetes.io/service-account.uid"
    /// How long a Secret waits for an account that was never seen: the news of both come by different ways.
    static let patienceSeconds: Int64 = 10

    private let authority: String
    private let sign: @Sendable (JSON) throws -> String

    /// - Parameters:
    ///   - authority: the certificate (PEM) that Secrets show as `ca.crt` until authorities are rotated.
    ///   - sign: makes a token of its claims.
    public init(authority: String, sign: @escaping @Sendable (JSON) throws -> String) {
        self.authority = authority
        self.sign = sign
    }

    /// Of other Secrets nothing is read.
    public func needsWhole(_ object: JSON, of kind: ResourceKind) -> Bool {
        kind == .configMap ? Self.isSource(object) : object["type"]?.string == Self.secretType
    }

    private static func isSource(_ map: JSON) -> Bool {
        (map.namespace, map.name) == RootAuthorityController.source
    }

    /// The Secret; for an account: those that name it; for the authorities: all.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .configMap {
            guard Self.isSource(object) else { return [] }
            return snapshot.list(.secret).filter { $0["type"]?.string == Self.secretType }
                .map { ObjectKey(.secret, namespace: $0.namespace, name: $0.name) }
        }
        let secrets = kind == .secret ? [object] : snapshot.list(.secret, namespace: object.namespace)
        return secrets.filter { secret in
            guard secret["type"]?.string == Self.secretType else { return false }
            return kind == .secret || secret.annotations[Self.nameAnnotation] == object.name
        }.map { ObjectKey(.secret, namespace: $0.namespace, name: $0.name) }
    }

    /// Puts in what is missing, or deletes the Secret of an account that is no more.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let secret = snapshot.get(key), !secret.isTerminating, secret["type"]?.string == Self.secretType,
            let name = secret.annotations[Self.nameAnnotation], !name.isEmpty
        else { return [] }
        let accountKey = ObjectKey(.serviceAccount, namespace: key.namespace, name: name)
        let uid = secret.annotations[Self.uidAnnotation] ?? ""
        guard let account = snapshot.get(accountKey), uid.isEmpty || uid == account.uid else {
            if !uid.isEmpty { return [.collect(key, uid: secret.uid, owners: [accountKey: uid])] }
            let made = secret["metadata", "creationTimestamp"]?.string.flatMap(WallTime.init(rfc3339:)) ?? context.now
            let left = made.seconds + Self.patienceSeconds - context.now.seconds
            if left > 0 { return [.requeue(key, afterMilliseconds: Int(left) * 1000)] }
            return [.delete(key, uid: secret.uid)]
        }
        var filled = secret
        filled["metadata", "annotations", Self.uidAnnotation] = .string(account.uid)
        let trusted = snapshot.get(
            .configMap, namespace: RootAuthorityController.source.namespace, name: RootAuthorityController.source.name)
        filled["data", "ca.crt"] = .string(Base64.encode((trusted?["data", "ca.crt"]?.string ?? authority).utf8))
        filled["data", "namespace"] = .string(Base64.encode(key.namespace.utf8))
        if (secret["data", "token"]?.string ?? "").isEmpty {
            // Without a key there is no token; the next change, or the next start, tries again.
            guard let token = try? sign(Self.claims(secret, account)) else { return [] }
            filled["data", "token"] = .string(Base64.encode(token.utf8))
        }
        return filled == secret ? [] : [.update(.secret, filled)]
    }

    /// A token of this kind has no end: it is good for as long as its Secret and its account are there.
    private static func claims(_ secret: JSON, _ account: JSON) -> JSON {
        [
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": .string(secret.namespace),
            "kubernetes.io/serviceaccount/secret.name": .string(secret.name),
            "kubernetes.io/serviceaccount/service-account.name": .string(account.name),
            "kubernetes.io/serviceaccount/service-account.uid": .string(account.uid),
            "sub": .string("system:serviceaccount:\(secret.namespace):\(account.name)"),
        ]
    }
}
