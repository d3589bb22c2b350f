internal import MartletBase
internal import MartletObject
internal import MartletStore

/// POST pods/NAME/eviction: a deletion that a disruption budget may refuse (policy/v1 Eviction).
extension Registry {
    /// How many evictions a budget remembers that its controller has not seen yet.
    private static let rememberedEvictions = 2000

    func evict(_ target: Target, body: ObjectBody, query: Query) async throws(APIError) -> Answer {
        let eviction = try SmallBody.parse(body, as: "Eviction")
        guard eviction.name == target.name else {
            throw .badRequest("name in URL does not match name in Eviction object")
        }
        var wanted = eviction["deleteOptions"] ?? [:]
        if wanted["dryRun"]?[0] == nil, let text = query.text("dryRun") { wanted["dryRun"] = [.string(text)] }
        let options = try DeleteOptions(wanted)
        let asked = options.resourceVersion
        for _ in 1...Limits.attempts {
            let pod = try await current(target).object()
            var held = options
            var budget: String?
            if Self.needsNoBudget(pod) {
                // One that begins in this moment would be under a budget.
                if pod["status", "phase"] == "Pending", !pod.isTerminating {
                    held.resourceVersion = asked ?? pod.resourceVersion
                }
            } else {
                budget = try await spendBudget(for: pod, isDryRun: options.isDryRun)
                // One that is not ready may go only as it is.
                if budget != nil { held.resourceVersion = asked ?? pod.resourceVersion }
            }
            do {
                try await markAndDelete(target, held)
                return .document(Self.successStatus, code: 201)
            } catch  where error.code == 409 && asked == nil && held.resourceVersion != nil {
                if let budget { throw Self.refusal(Self.unprocessed(budget), after: 10) }
            }
        }
        throw .modified(target.subject)
    }

    /// The end of a pod that has ended, has not begun or is ending disrupts nothing.
    static func needsNoBudget(_ pod: JSON) -> Bool {
        pod.isTerminating || ["Succeeded", "Failed", "Pending"].contains(pod["status", "phase"]?.string ?? "")
    }

    /// Notes in the pod why it goes, then deletes it.
    private func markAndDelete(_ target: Target, _ options: DeleteOptions) async throws(APIError) {
        var options = options
        if !options.isDryRun {
            let now = world.wallTime().rfc3339
            let marked = try await modify(target, part: .whole, options: WriteOptions(), ownership: .kept) {
                old throws(APIError) in
                try Self.check(options, old, target)
                return (Self.marked(old, now: now), [])
            }
            if options.resourceVersion != nil {
                options.resourceVersion = try Renderer.parse(marked.bytes).resourceVersion
            }
        }
        _ = try await delete(target, options: options)
    }

    private static func marked(_ pod: JSON, now: String) -> JSON {
        var conditions = pod["status", "conditions"]?.array ?? []
        let isMarked = conditions.contains {
            $0["type"] == "DisruptionTarget" && $0["status"] == "True" && $0["reason"] == "EvictionByEvictionAPI"
        }
        if isMarked { return pod }
        conditions.removeAll { $0["type"] == "DisruptionTarget" }
        conditions.append([
            "type": "DisruptionTarget", "status": "True", "lastProbeTime": .null, "lastTransitionTime": .string(now),
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
        ])
        var marked = pod
        marked["status", "conditions"] = .array(conditions)
        return marked
    }

    /// Takes one disruption from the budget that covers the pod. Gives the budget's name when the pod may go without
    /// that, because it is not ready.
    private func spendBudget(for pod: JSON, isDryRun: Bool) async throws(APIError) -> String? {
        let all = try await objects(of: .disruptionBudget, in: pod.namespace)
        let budgets = all.filter { DisruptionBudget.covers($0, pod) }
        guard let budget = budgets.first else { return nil }
        guard budgets.count == 1 else {
            throw APIError(
                500, .none,
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
        }
        if Self.lets(budget, goUnready: pod) { return budget.name }
        let place = Target(kind: .disruptionBudget, namespace: pod.namespace, name: budget.name, subresource: "status")
        var options = WriteOptions()
        options.isDryRun = isDryRun
        let now = world.wallTime()
        _ = try await modify(place, part: .whole, options: options, ownership: .kept) { old throws(APIError) in
            (try Self.spend(old, on: pod.name, now: now), [])
        }
        return nil
    }

    /// Whether a pod that is not ready may go at no cost (`unhealthyPodEvictionPolicy`).
    static func lets(_ budget: JSON, goUnready pod: JSON) -> Bool {
        let conditions = pod["status", "conditions"]?.array ?? []
        if conditions.contains(where: { $0["type"] == "Ready" && $0["status"] == "True" }) { return false }
        if budget["spec", "unhealthyPodEvictionPolicy"] == "AlwaysAllow" { return true }
        let desired = budget["status", "desiredHealthy"]?.int ?? 0
        return desired > 0 && (budget["status", "currentHealthy"]?.int ?? 0) >= desired
    }

    /// The budget with one disruption less.
    /// - Throws: 429 when it allows none, or does not know yet.
    static func spend(_ budget: JSON, on pod: String, now: WallTime) throws(APIError) -> JSON {
        let allowed = budget["status", "disruptionsAllowed"]?.int ?? 0
        if (budget["status", "observedGeneration"]?.int ?? 0) < budget.generation {
            throw refusal(unprocessed(budget.name), after: 10)
        }
        let subject = Subject(kind: .disruptionBudget, name: budget.name)
        if allowed < 0 { throw .forbidden(subject, "pdb disruptions allowed is negative") }
        if (budget["status", "disruptedPods"]?.members.count ?? 0) > rememberedEvictions {
            throw .forbidden(
                subject, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
        }
        if allowed == 0 { throw refusal(whyNone(budget), after: nil) }
        var spent = budget
        var status = budget["status"] ?? [:]
        status["disruptionsAllowed"] = .int(Int64(allowed - 1))
        if allowed == 1 { DisruptionBudget.setCondition(of: &status, now: now) }
        status["disruptedPods", pod] = .string(now.rfc3339)
        spent["status"] = status
        return spent
    }

    private static func whyNone(_ budget: JSON) -> String {
        let condition = (budget["status", "conditions"]?.array ?? []).first {
            $0["type"]?.string == DisruptionBudget.allowedCondition
        }
        if let condition, condition["reason"] == "SyncFailed" {
            return
                "The disruption budget \(budget.name) does not allow evicting pods currently because it failed sync: "
                + (condition["message"]?.string ?? "")
        }
        let needed = budget["status", "desiredHealthy"]?.int ?? 0
        let healthy = budget["status", "currentHealthy"]?.int ?? 0
        return "The disruption budget \(budget.name) needs \(needed) healthy pods and has \(healthy) currently"
    }

    private static func unprocessed(_ name: String) -> String {
        "The disruption budget \(name) is still being processed by the server."
    }

    private static func refusal(_ why: String, after seconds: Int?) -> APIError {
        var details: JSON = ["causes": [["reason": "DisruptionBudget", "message": .string(why)]]]
        if let seconds { details["retryAfterSeconds"] = .int(Int64(seconds)) }
        return APIError(
            429, .tooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.",
            details: details, retryAfter: seconds)
    }

    /// All objects of a kind in a namespace, as they are now.
    /// - Throws: 413 when there are more than are read for one decision.
    func objects(of kind: ResourceKind, in namespace: String) async throws(APIError) -> [JSON] {
        try await storage.confirm()
        let range = Keys.collection(kind, namespace: namespace)
        let found = try await storage.range(range, limit: Limits.objectsOfDecision, at: nil)
        guard !found.more else {
            throw APIError(
                413, .requestEntityTooLarge, "more than \(Limits.objectsOfDecision) \(kind.qualifiedPlural)")
        }
        var objects: [JSON] = []
        for pair in found.pairs { objects.append(try pair.object()) }
        return objects
    }
}
