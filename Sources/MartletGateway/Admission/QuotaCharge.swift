internal import MartletObject
internal import MartletStore

/// Counts an object's use in its namespace's quotas: upstream's plugin ResourceQuota, but in the object's own
/// transaction, so that two writers never exceed a quota together, and what is given back is counted at once.
struct QuotaCharge: Sendable {
    let target: Target
    /// The object before; nil for a new one.
    let old: JSON?
    /// The object after; nil for one that goes.
    let new: JSON?

    /// The quota with the change counted; nil when it counts none of it.
    /// - Throws: 403 when it would be exceeded.
    func counted(_ quota: JSON) throws(APIError) -> JSON? {
        let hard = (quota["status", "hard"] ?? [:]).members
        // What a quota counts, every new pod must say: even that it uses none of it.
        if let new, old == nil, target.kind == .pod, QuotaUsage.isCounted(new, .pod, by: quota),
            let unsaid = QuotaUsage.unsaid(new, of: hard.map(\.key))
        {
            throw forbidden("failed quota: \(quota.name): \(unsaid)")
        }
        let delta = delta(quota, hard.map(\.key))
        if delta.values.allSatisfy({ $0 == 0 }) { return nil }
        let used = quota["status", "used"] ?? [:]
        let unknown = delta.filter { $0.value > 0 && used[$0.key] == nil }.keys.sorted()
        if !unknown.isEmpty {
            throw forbidden("status unknown for quota: \(quota.name), resources: \(unknown.joined(separator: ","))")
        }
        let exceeded = delta.filter { name, step in
            guard step > 0, let limit = Quantity(quota["status", "hard", name]) else { return false }
            return limit.milli < Self.sum(Quantity(used[name])?.milli ?? 0, step)
        }
        if !exceeded.isEmpty { throw forbidden(Self.words(exceeded, quota)) }
        var counted = quota
        for (name, step) in delta.sorted(by: { $0.key < $1.key }) where step != 0 {
            let value = max(0, Self.sum(Quantity(used[name])?.milli ?? 0, step))
            counted["status", "used", name] = .string(
                Quantity(milli: value).text(isBinary: PodTotals.isBytes(name)))
        }
        return counted
    }

    /// By how many thousandths each resource's use changes.
    private func delta(_ quota: JSON, _ names: [String]) -> [String: Int64] {
        func usage(_ object: JSON?) -> [String: Quantity] {
            guard let object, QuotaUsage.isCounted(object, target.kind, by: quota) else { return [:] }
            return QuotaUsage.of(object, target.kind)
        }
        let (before, after) = (usage(old), usage(new))
        var delta: [String: Int64] = [:]
        for name in names {
            delta[name] = Self.sum(after[name]?.milli ?? 0, -(before[name]?.milli ?? 0))
        }
        return delta
    }

    private static func sum(_ one: Int64, _ other: Int64) -> Int64 {
        (Quantity(milli: one) + Quantity(milli: other)).milli
    }

    private static func words(_ exceeded: [String: Int64], _ quota: JSON) -> String {
        let names = exceeded.keys.sorted()
        func list(_ text: (String) -> String) -> String { names.map { "\($0)=\(text($0))" }.joined(separator: ",") }
        let requested = list { Quantity(milli: exceeded[$0] ?? 0).text(isBinary: PodTotals.isBytes($0)) }
        let used = list { quota["status", "used", $0]?.string ?? "0" }
        let limited = list { quota["status", "hard", $0]?.string ?? "0" }
        return "exceeded quota: \(quota.name), requested: \(requested), used: \(used), limited: \(limited)"
    }

    private func forbidden(_ why: String) -> APIError {
        .forbidden(Subject(kind: target.kind, name: (new ?? old)?.name ?? target.name), why)
    }
}

extension Registry {
    /// Counts a change of an object in the quotas of its namespace, as part of its transaction.
    func charge(
        _ transaction: inout Transaction, _ target: Target, old: JSON?, new: JSON?
    ) async throws(APIError) {
        guard target.kind.isNamespaced, target.kind != .event, target.kind != .resourceQuota else { return }
        let range = Keys.collection(.resourceQuota, namespace: target.namespace)
        let (pairs, revision, _) = try await storage.range(range, limit: Limits.admissionList, at: nil)
        // A quota that is new since then, or counts other things, must not be passed by.
        transaction.conditions.append(
            Condition(.mod(revision + 1), .less, in: KeyRange(key: Keys.quotaTerms(target.namespace))))
        let charge = QuotaCharge(target: target, old: old, new: new)
        for pair in pairs {
            guard let counted = try charge.counted(try pair.object()) else { continue }
            transaction.conditions.append(.modRevision(key: pair.key, is: pair.modRevision))
            transaction.success.append(.put(key: pair.key, value: StoredObject(counted).bytes))
        }
    }

    /// Counts anew what a quota's namespace uses: for a new quota, and one that counts other things than before.
    /// Whoever writes one of the counted objects meanwhile makes the transaction fail.
    func count(_ quota: inout JSON, old: JSON?, _ transaction: inout Transaction) async throws(APIError) {
        if let old, old["spec"] == quota["spec"] { return }
        let hard = quota["spec", "hard"] ?? [:]
        var used: [String: Quantity] = [:]
        for (name, _) in hard.members { used[name] = Quantity(milli: 0) }
        for kind in served.current.catalog.kinds where kind.isNamespaced && kind.isHome {
            guard hard.members.contains(where: { Self.counts($0.key, kind) }) else { continue }
            let range = Keys.collection(kind, namespace: quota.namespace)
            let revision = await storage.revision()
            var walk = RangeWalk(storage, over: range, at: revision)
            while let pair = try await walk.next() {
                let object = try pair.object()
                guard QuotaUsage.isCounted(object, kind, by: quota) else { continue }
                for (name, value) in QuotaUsage.of(object, kind) {
                    if let sum = used[name] { used[name] = sum + value }
                }
            }
            transaction.conditions.append(
                Condition(.mod(revision + 1), .less, in: KeyRange(from: range.from, to: range.to)))
        }
        quota["status"] = ["hard": hard, "used": PodTotals.json(used)]
        transaction.success.append(.put(key: Keys.quotaTerms(quota.namespace), value: []))
    }

    /// Whether objects of a kind are counted under a resource's name.
    private static func counts(_ resource: String, _ kind: ResourceKind) -> Bool {
        if resource.hasPrefix("count/") { return resource == "count/\(kind.qualifiedPlural)" }
        switch kind {
        case .service: return resource.hasPrefix("services")
        case .persistentVolumeClaim:
            return resource == "persistentvolumeclaims" || resource == "requests.storage"
                || resource.contains(".storageclass.storage.k8s.io/")
        case .configMap, .secret, .replicationController, .resourceQuota: return resource == kind.plural
        case .pod:
            return resource == "pods" || resource.hasPrefix("requests.") || resource.hasPrefix("limits.")
                || ["cpu", "memory", "ephemeral-storage"].contains(resource) || resource.hasPrefix("hugepages-")
        default: return false
        }
    }
}
