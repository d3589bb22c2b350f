internal import MartletObject

extension Strategy {
    /// Pods begin Pending, and go gracefully.
    static let pod = Strategy(
        generations: .spec,
        returnsDeletedObject: true,
        prepareForCreate: { pod in
            pod["status"] = ["phase": "Pending", "qosClass": .string(qualityOfService(pod))]
        },
        prepareForUpdate: { pod, old in
            if let quality = old["status", "qosClass"] { pod["status", "qosClass"] = quality }
        },
        keptByStatus: ["ownerReferences"],
        gracePeriod: { pod, requested in
            let isEnded = ["Succeeded", "Failed"].contains(pod["status", "phase"]?.string ?? "")
            // Nobody runs it (any more), so nobody could confirm its end.
            if isEnded || (pod["spec", "nodeName"]?.string ?? "").isEmpty { return 0 }
            let seconds = requested ?? pod["spec", "terminationGracePeriodSeconds"]?.int ?? 30
            return seconds < 0 ? 1 : seconds
        })

    /// `status.qosClass` (core/v1 PodQOSClass): Guaranteed when every container's limits of CPU and memory are set
    /// and equal its requests, BestEffort when no container asks for either, Burstable otherwise.
    static func qualityOfService(_ pod: JSON) -> String {
        let containers =
            (pod["spec", "containers"]?.array ?? []) + (pod["spec", "initContainers"]?.array ?? [])
        var asks = false
        var isGuaranteed = !containers.isEmpty
        for container in containers {
            for resource in ["cpu", "memory"] {
                let limit = positive(container["resources", "limits", resource])
                let request = positive(container["resources", "requests", resource])
                if limit != nil || request != nil { asks = true }
                if limit == nil || (request != nil && request != limit) { isGuaranteed = false }
            }
        }
        return asks ? (isGuaranteed ? "Guaranteed" : "Burstable") : "BestEffort"
    }

    private static func positive(_ value: JSON?) -> Quantity? {
        Quantity(value).flatMap { $0.milli > 0 ? $0 : nil }
    }
}
