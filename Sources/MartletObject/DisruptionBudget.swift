public import MartletBase

/// What the eviction of a pod and the controller of disruption budgets both know (policy/v1 PodDisruptionBudget).
public enum DisruptionBudget {
    /// How long an evicted pod counts as gone that its node has not begun to end.
    public static let deletionTimeout: Duration = .seconds(120)
    /// The condition's type.
    public static let allowedCondition = "DisruptionAllowed"

    /// Whether a budget counts a pod: none without a selector, all of the namespace with an empty one.
    public static func covers(_ budget: JSON, _ pod: JSON) -> Bool {
        guard let selector = budget["spec", "selector"], selector != .null,
            let parsed = try? LabelSelector(object: selector)
        else { return false }
        return parsed.matches(pod.labels)
    }

    /// Sets the condition that says whether a pod may go, from the other fields of the status.
    public static func setCondition(of status: inout JSON, now: WallTime) {
        let isAllowed = (status["disruptionsAllowed"]?.int ?? 0) > 0
        setCondition(
            of: &status, isAllowed, reason: isAllowed ? "SufficientPods" : "InsufficientPods", message: "", now: now)
    }

    /// Sets the condition, with the time of its last change.
    public static func setCondition(
        of status: inout JSON, _ isAllowed: Bool, reason: String, message: String, now: WallTime
    ) {
        var conditions = status["conditions"]?.array ?? []
        let place = conditions.firstIndex { $0["type"]?.string == allowedCondition }
        let word: JSON = isAllowed ? "True" : "False"
        var condition: JSON = ["type": .string(allowedCondition), "status": word]
        condition["observedGeneration"] = status["observedGeneration"]
        let since = place.flatMap { conditions[$0]["status"] == word ? conditions[$0]["lastTransitionTime"] : nil }
        condition["lastTransitionTime"] = since ?? .string(now.rfc3339)
        condition["reason"] = .string(reason)
        condition["message"] = .string(message)
        if let place { conditions[place] = condition } else { conditions.append(condition) }
        status["conditions"] = .array(conditions)
    }
}
