internal import MartletBase
internal import MartletObject

/// A Deployment's status: counts over its ReplicaSets, and the two conditions that `kubectl rollout status` reads.
struct RolloutStatus {
    let deployment: JSON
    let current: JSON?
    let old: [JSON]
    let wanted: Int
    let minimum: Int

    private func sum(_ field: String) -> Int {
        (old + [current].compactMap(\.self)).reduce(0) { $0 + ($1["status", field]?.int ?? 0) }
    }

    /// The status as it should be, with the times of unchanged conditions kept.
    func json(now: WallTime) -> JSON {
        var status = deployment["status"] ?? [:]
        let counts = [
            "replicas": sum("replicas"), "updatedReplicas": current?["status", "replicas"]?.int ?? 0,
            "readyReplicas": sum("readyReplicas"), "availableReplicas": sum("availableReplicas"),
            "unavailableReplicas": max(
                0, sum("replicas") + max(0, wanted - sum("replicas")) - sum("availableReplicas")),
        ]
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) {
            status[name] = count > 0 ? .int(Int64(count)) : nil
        }
        status["observedGeneration"] = .int(Int64(deployment.generation))
        let available = sum("availableReplicas") >= minimum
        var conditions = deployment["status", "conditions"]?.array ?? []
        put(
            &conditions, now, type: "Available", status: available ? "True" : "False",
            reason: available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
            message: available
                ? "Deployment has minimum availability." : "Deployment does not have minimum availability.")
        progress(&conditions, status, now)
        status["conditions"] = .array(conditions)
        return status
    }

    private func isComplete(_ status: JSON) -> Bool {
        let updated = status["updatedReplicas"]?.int ?? 0
        return updated == wanted && (status["replicas"]?.int ?? 0) == wanted
            && (status["availableReplicas"]?.int ?? 0) == wanted
    }

    private func hasMoved(_ status: JSON) -> Bool {
        let before = deployment["status"] ?? [:]
        func grew(_ field: String) -> Bool { (status[field]?.int ?? 0) > (before[field]?.int ?? 0) }
        func oldCount(_ s: JSON) -> Int { (s["replicas"]?.int ?? 0) - (s["updatedReplicas"]?.int ?? 0) }
        return grew("updatedReplicas") || grew("readyReplicas") || grew("availableReplicas")
            || oldCount(status) < oldCount(before)
    }

    private func progress(_ conditions: inout [JSON], _ status: JSON, _ now: WallTime) {
        guard let set = current else { return }
        let named = "ReplicaSet \"\(set.name)\""
        let before = conditions.first { $0["type"]?.string == "Progressing" }
        if isComplete(status) {
            put(
                &conditions, now, type: "Progressing", status: "True", reason: "NewReplicaSetAvailable",
                message: "\(named) has successfully progressed.")
        } else if before == nil || before?["reason"]?.string == "NewReplicaSetAvailable" || hasMoved(status) {
            put(
                &conditions, now, type: "Progressing", status: "True", reason: "ReplicaSetUpdated",
                message: "\(named) is progressing.", isNews: true)
        } else if let wait = secondsToDeadline(conditions), wait <= now.seconds {
            put(
                &conditions, now, type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded",
                message: "\(named) has timed out progressing.")
        }
    }

    /// When an unfinished roll-out counts as stuck, in seconds since the epoch.
    private func secondsToDeadline(_ conditions: [JSON]) -> Int64? {
        guard let limit = deployment["spec", "progressDeadlineSeconds"]?.int,
            let condition = conditions.first(where: { $0["type"]?.string == "Progressing" }),
            condition["reason"]?.string == "ReplicaSetUpdated",
            let since = condition["lastUpdateTime"]?.string.flatMap(WallTime.init(rfc3339:))
        else { return nil }
        return since.seconds + Int64(limit)
    }

    /// How long until the roll-out of that status counts as stuck; nil when there is nothing to wait for.
    func secondsToDeadline(_ status: JSON, now: WallTime) -> Int? {
        guard let deadline = secondsToDeadline(status["conditions"]?.array ?? []) else { return nil }
        return max(1, Int(deadline - now.seconds))
    }

    private func put(
        _ conditions: inout [JSON], _ now: WallTime, type: String, status: String, reason: String, message: String,
        isNews: Bool = false
    ) {
        let index = conditions.firstIndex { $0["type"]?.string == type }
        let before = index.map { conditions[$0] }
        let isSame =
            before?["status"]?.string == status && before?["reason"]?.string == reason
            && before?["message"]?.string == message
        if isSame && !isNews { return }
        let turned = before?["status"]?.string != status
        let time = JSON.string(now.rfc3339)
        let condition: JSON = [
            "type": .string(type), "status": .string(status), "lastUpdateTime": time,
            "lastTransitionTime": turned ? time : before?["lastTransitionTime"] ?? time, "reason": .string(reason),
            "message": .string(message),
        ]
        if let index { conditions[index] = condition } else { conditions.append(condition) }
    }
}

/// The hash in a ReplicaSet's name: the same template gives the same name, so that a repeated wish is refused as
/// already there instead of done twice.
enum TemplateHash {
    /// FNV-1a over the template's canonical bytes and the collision count, spelled without vowels so that it can
    /// never read as a word.
    static func of(_ template: JSON, collisions: Int?) -> String {
        var hash: UInt32 = 2_166_136_261
        func mix(_ byte: UInt8) { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        template.encoded().forEach(mix)
        if let collisions { String(collisions).utf8.forEach(mix) }
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        return String(String(hash).utf8.map { alphabet[Int($0) % alphabet.count] })
    }
}
