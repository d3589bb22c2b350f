internal import MartletObject

extension Strategy {
    /// Pods begin Pending, and go gracefully.
    static let pod = Strategy(
        generations: .spec,
        returnsDeletedObject: true,
        prepareForCreate: { pod in
            pod["status"] = ["phase": "Pending", "qosClass": .string(QualityOfService.of(pod["spec"] ?? [:]))]
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
}
