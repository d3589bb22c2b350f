internal import MartletObject

/// Gives containers the defaults of their namespace's LimitRanges, and holds pods and claims to their bounds:
/// upstream's plugin LimitRanger.
struct LimitRanger: AdmissionPlugin {
    let name = "LimitRanger"

    func concerns(_ review: AdmissionReview) -> Bool {
        guard review.target.subresource.isEmpty else { return false }
        switch review.kind {
        case .pod: return review.operation == .create
        case .persistentVolumeClaim: return review.operation != .delete
        default: return false
        }
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let ranges = try await cluster.list(.limitRange, namespace: review.target.namespace)
        var faults: [String] = []
        for range in ranges {
            let items = range["spec", "limits"]?.array ?? []
            if review.kind == .pod {
                Self.fill(&review.object, from: items)
                faults += Self.faults(ofPod: review.object, items)
            } else {
                let bounds = Bounds(resources: review.object["spec", "resources"] ?? [:], of: "PersistentVolumeClaim")
                for item in items where item["type"] == "PersistentVolumeClaim" {
                    faults += bounds.faults(item, checks: [.min, .max], looksAtLimits: false)
                }
            }
        }
        if faults.isEmpty { return }
        throw review.forbidden(faults.count == 1 ? faults[0] : "[\(faults.joined(separator: ", "))]")
    }

    // MARK: Defaults

    private static func fill(_ pod: inout JSON, from items: [JSON]) {
        var (requests, limits): ([String: JSON], [String: JSON]) = ([:], [:])
        for item in items where item["type"] == "Container" {
            for (name, value) in (item["defaultRequest"] ?? [:]).members { requests[name] = value }
            for (name, value) in (item["default"] ?? [:]).members { limits[name] = value }
        }
        var notes: [String] = []
        for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
            guard var containers = pod["spec", list]?.array else { continue }
            for index in containers.indices {
                for (part, defaults, word) in [("requests", requests, "request"), ("limits", limits, "limit")] {
                    let missing = defaults.filter { containers[index]["resources", part, $0.key] == nil }
                    if missing.isEmpty { continue }
                    for (name, value) in missing.sorted(by: { $0.key < $1.key }) {
                        containers[index]["resources", part, name] = value
                    }
                    let names = missing.keys.sorted().joined(separator: ", ")
                    notes.append("\(names) \(word) for \(what) \(containers[index]["name"]?.string ?? "")")
                }
            }
            pod["spec", list] = .array(containers)
        }
        if notes.isEmpty { return }
        let text = "LimitRanger plugin set: \(notes.joined(separator: "; "))"
        pod["metadata", "annotations", "kubernetes.io/limit-ranger"] = .string(text)
    }

    // MARK: Bounds

    private static func faults(ofPod pod: JSON, _ items: [JSON]) -> [String] {
        let containers = (pod["spec", "containers"]?.array ?? []) + (pod["spec", "initContainers"]?.array ?? [])
        var faults: [String] = []
        for item in items {
            switch item["type"]?.string {
            case "Container":
                for container in containers {
                    faults += Bounds(resources: container["resources"] ?? [:], of: "Container").faults(item)
                }
            case "Pod":
                let total: JSON = [
                    "requests": PodTotals.json(PodTotals(pod, "requests").values),
                    "limits": PodTotals.json(PodTotals(pod, "limits").values),
                ]
                faults += Bounds(resources: total, of: "Pod").faults(item)
            default: continue
            }
        }
        return faults
    }
}

/// What something asks for, held against one item of a LimitRange.
private struct Bounds {
    enum Check: String {
        case min
        case max
        case ratio = "maxLimitRequestRatio"
    }
    var resources: JSON
    /// `Container`, `Pod`, `PersistentVolumeClaim`.
    var type: String

    init(resources: JSON, of type: String) {
        self.resources = resources
        self.type = type
    }

    func faults(_ item: JSON, checks: [Check] = [.min, .max, .ratio], looksAtLimits: Bool = true) -> [String] {
        checks.flatMap { check in
            (item[check.rawValue] ?? [:]).members.sorted { $0.key < $1.key }.compactMap { name, bound in
                fault(check, name, bound, looksAtLimits)
            }
        }
    }

    private func fault(_ check: Check, _ name: String, _ bound: JSON, _ looksAtLimits: Bool) -> String? {
        guard let enforced = Quantity(bound) else { return nil }
        let (requestText, limitText) = (resources["requests", name], resources["limits", name])
        let request = Quantity(requestText)
        let limit = looksAtLimits ? Quantity(limitText) : nil
        func text(_ json: JSON?) -> String { json?.string ?? json?.int.map(String.init) ?? "" }
        let (asked, capped) = (text(requestText), text(limitText))
        switch check {
        case .min:
            let words = "minimum \(name) usage per \(type) is \(text(bound))"
            guard let request else { return "\(words). No request is specified" }
            if request < enforced { return "\(words), but request is \(asked)" }
            if let limit, limit < enforced { return "\(words), but limit is \(capped)" }
        case .max:
            let words = "maximum \(name) usage per \(type) is \(text(bound))"
            if looksAtLimits {
                guard let limit else { return "\(words). No limit is specified" }
                if enforced < limit { return "\(words), but limit is \(capped)" }
            }
            if let request, enforced < request { return "\(words), but request is \(asked)" }
        case .ratio:
            let words = "\(name) max limit to request ratio per \(type) is \(text(bound))"
            guard let request, request.milli > 0 else {
                return "\(words), but no request is specified or request is 0"
            }
            guard let limit, limit.milli > 0 else { return "\(words), but no limit is specified or limit is 0" }
            let ratio = Double(limit.milli) / Double(request.milli)
            if ratio * 1000 > Double(enforced.milli) { return "\(words), but provided ratio is \(Self.six(ratio))" }
        }
        return nil
    }

    /// Six digits behind the point, as Go's `%f`.
    private static func six(_ value: Double) -> String {
        let millionths = Int64((min(value, 1e12) * 1_000_000).rounded())
        let rest = String(millionths % 1_000_000)
        return "\(millionths / 1_000_000).\(String(repeating: "0", count: 6 - rest.count))\(rest)"
    }
}
