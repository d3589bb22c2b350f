internal import MartletBase
internal import MartletObject
internal import MartletStore

/// A write as admission sees it.
struct AdmissionReview: Sendable {
    enum Operation: String, Sendable {
        case create = "CREATE"
        case update = "UPDATE"
        case delete = "DELETE"
    }

    let operation: Operation
    /// The subresource is empty for the object itself; a new object's name may be, too.
    let target: Target
    let identity: Identity
    /// The object as it is to be; for a deletion as it is. Plugins fill in what is missing.
    var object: JSON
    /// The object before an update.
    let old: JSON?
    /// For `Warning` headers.
    var warnings: [String] = []
    /// What is stored in the same transaction.
    var companions: [(key: [UInt8], object: JSON)] = []

    var kind: ResourceKind { target.kind }

    /// Hands the object over. What only one holds is changed in place, and what two hold is copied first.
    mutating func takeObject() -> JSON {
        defer { object = .null }
        return object
    }

    /// 403 in the words of this write.
    func forbidden(_ why: String) -> APIError {
        .forbidden(Subject(kind: kind, name: object.name.isEmpty ? target.name : object.name), why)
    }
}

/// What plugins may ask of the cluster.
protocol ClusterFacts: Sendable {
    func get(_ kind: ResourceKind, namespace: String, name: String) async throws(APIError) -> JSON?
    /// The objects of a kind, but for those that `isWanted` passes by: they are not decoded.
    func list(
        _ kind: ResourceKind, namespace: String, where isWanted: (StoredObject) -> Bool
    ) async throws(APIError) -> [JSON]
    /// Whether somebody may do something.
    func decide(_ request: AccessRequest) async throws(APIError) -> Verdict
    /// A number by chance.
    func random() -> UInt64
    /// The object with a uid and a time of creation.
    func stamped(_ object: JSON) -> JSON
}

/// One rule of admission: a value that looks at a write, and fills in, lets through or refuses.
protocol AdmissionPlugin: Sendable {
    /// As kube-apiserver's `--enable-admission-plugins` names it.
    var name: String { get }
    /// Whether the plugin looks at such a write at all.
    func concerns(_ review: AdmissionReview) -> Bool
    /// - Throws: 403, mostly.
    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError)
}

/// The plugins, in upstream's order.
enum AdmissionChain {
    static let standard: [any AdmissionPlugin] = [
        NamespaceFurniture(), LimitRanger(), ServiceAccountAdmission(), NodeRestriction(), WorkerRestriction(),
        PriorityAdmission(), DefaultTolerationSeconds(), ExtendedResourceToleration(), DefaultStorageClass(),
        StorageObjectInUseProtection(), RuntimeClassAdmission(), CertificateApproval(), CertificateSigning(),
        CertificateSubjectRestriction(), CertificateRequester(), DefaultIngressClass(), EndpointAddresses(),
    ]
}

extension ClusterFacts {
    func list(_ kind: ResourceKind, namespace: String) async throws(APIError) -> [JSON] {
        try await list(kind, namespace: namespace) { _ in true }
    }
}

extension Registry: ClusterFacts {
    func get(_ kind: ResourceKind, namespace: String, name: String) async throws(APIError) -> JSON? {
        guard Route.isSafe(name) else { return nil }
        return try await storage.get(Keys.object(kind, namespace: namespace, name: name))?.object()
    }

    func list(
        _ kind: ResourceKind, namespace: String, where isWanted: (StoredObject) -> Bool
    ) async throws(APIError) -> [JSON] {
        let range = Keys.collection(kind, namespace: namespace)
        let (pairs, _, _) = try await storage.range(range, limit: Limits.admissionList, at: nil)
        var objects: [JSON] = []
        for pair in pairs where isWanted(StoredObject(stored: pair.value)) { objects.append(try pair.object()) }
        return objects
    }

    func decide(_ request: AccessRequest) async throws(APIError) -> Verdict { try await access.decide(request) }

    func random() -> UInt64 { world.random() }

    /// Runs the plugins, and the check of roles.
    func admit(_ review: inout AdmissionReview) async throws(APIError) {
        for plugin in AdmissionChain.standard where plugin.concerns(review) {
            try await plugin.admit(&review, self)
        }
        guard review.operation != .delete, review.target.subresource.isEmpty,
            let question = Escalation.Question(review.kind, review.object, old: review.old)
        else { return }
        try await Escalation(access: access, identity: identity).check(question, review.kind, review.object)
    }
}

extension Transaction {
    /// Stores what comes with an object, where it is not there already.
    mutating func take(_ companions: [(key: [UInt8], object: JSON)]) {
        for (key, object) in companions {
            conditions.append(.modRevision(key: key, is: 0))
            success.append(.put(key: key, value: StoredObject(object).bytes))
        }
    }
}

/// Names by chance, as the API makes them.
enum ChanceName {
    private static let letters = Array("bcdfghjklmnpqrstvwxz2456789")

    /// Five characters that spell no words.
    static func suffix(_ random: () -> UInt64) -> String {
        String((0..<5).map { _ in letters[Int(random() % UInt64(letters.count))] })
    }
}
