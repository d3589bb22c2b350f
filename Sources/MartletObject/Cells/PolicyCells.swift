internal import MartletBase

/// The cells of what rules over other objects: quotas, budgets, autoscalers, network policies, roles, certificates,
/// gateways.
enum PolicyCells {
    static let byKind: [String: @Sendable (JSON, WallTime) -> [JSON]] = [
        "resourcequotas": quota, "networkpolicies.networking.k8s.io": networkPolicy,
        "ipaddresses.networking.k8s.io": ipAddress, "servicecidrs.networking.k8s.io": serviceCIDR,
        "horizontalpodautoscalers.autoscaling": autoscaler, "scales.autoscaling": scale,
        "poddisruptionbudgets.policy": budget,
        "rolebindings.rbac.authorization.k8s.io": binding, "clusterrolebindings.rbac.authorization.k8s.io": binding,
        "priorityclasses.scheduling.k8s.io": priorityClass, "runtimeclasses.node.k8s.io": runtimeClass,
        "certificatesigningrequests.certificates.k8s.io": signingRequest,
        "gatewayclasses.gateway.networking.k8s.io": gatewayClass, "gateways.gateway.networking.k8s.io": gateway,
        "httproutes.gateway.networking.k8s.io": route, "grpcroutes.gateway.networking.k8s.io": route,
        "backendtlspolicies.gateway.networking.k8s.io": nameAndAge,
        "referencegrants.gateway.networking.k8s.io": nameAndAge,
    ]

    @Sendable private static func nameAndAge(_ object: JSON, _ now: WallTime) -> [JSON] {
        [TableCells.name(object), TableCells.age(object, now)]
    }

    @Sendable private static func quota(_ object: JSON, _ now: WallTime) -> [JSON] {
        var requests: [String] = []
        var limits: [String] = []
        let hard = object["status", "hard"]?.object ?? [:]
        for (name, most) in hard.sorted(by: { $0.key < $1.key }) {
            let used = object["status", "used", name]?.string ?? "0"
            let entry = "\(name): \(used)/\(most.string ?? "0")"
            if name.hasPrefix("limits.") { limits.append(entry) } else { requests.append(entry) }
        }
        return [
            TableCells.name(object), .string(requests.joined(separator: ", ")),
            .string(limits.joined(separator: ", ")), TableCells.age(object, now),
        ]
    }

    @Sendable private static func networkPolicy(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            TableCells.name(object), .string(TableCells.shown(object["spec", "podSelector"])),
            TableCells.age(object, now),
        ]
    }

    @Sendable private static func ipAddress(_ object: JSON, _ now: WallTime) -> [JSON] {
        var owner = "<none>"
        if let parent = object["spec", "parentRef"] {
            let group = parent["group"]?.string ?? ""
            owner = ((parent["resource"]?.string ?? "") + (group.isEmpty ? "" : ".\(group)")).lowercased()
            for part in ["namespace", "name"] {
                if let text = parent[part]?.string, !text.isEmpty { owner += "/\(text)" }
            }
        }
        return [TableCells.name(object), .string(owner), TableCells.age(object, now)]
    }

    @Sendable private static func serviceCIDR(_ object: JSON, _ now: WallTime) -> [JSON] {
        let networks = (object["spec", "cidrs"]?.array ?? []).compactMap(\.string).joined(separator: ",")
        return [TableCells.name(object), .string(networks), TableCells.age(object, now)]
    }

    @Sendable private static func scale(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            TableCells.name(object), TableCells.count(object["spec", "replicas"]),
            TableCells.count(object["status", "replicas"]), TableCells.age(object, now),
        ]
    }

    @Sendable private static func autoscaler(_ object: JSON, _ now: WallTime) -> [JSON] {
        // The first version shows what the second knows.
        let object =
            object.apiVersion == ResourceKind.podAutoscalerV1.apiVersion ? PodAutoscalerForms.current(object) : object
        let (spec, status) = (object["spec"] ?? [:], object["status"] ?? [:])
        let target = spec["scaleTargetRef"] ?? [:]
        let metrics = (spec["metrics"]?.array ?? []).enumerated().map { index, metric in
            shown(metric, status["currentMetrics"]?[index] ?? [:])
        }
        var targets = metrics.isEmpty ? "<none>" : metrics.prefix(2).joined(separator: ", ")
        if metrics.count > 2 { targets += " + \(metrics.count - 2) more..." }
        return [
            TableCells.name(object), .string("\(target["kind"]?.string ?? "")/\(target["name"]?.string ?? "")"),
            .string(targets), .string(spec["minReplicas"]?.int.map { String($0) } ?? "<unset>"),
            TableCells.count(spec["maxReplicas"]), TableCells.count(status["currentReplicas"]),
            TableCells.age(object, now),
        ]
    }

    /// `cpu: 12%/80%`, `10/20 (avg)`: what is measured of a metric, and what is aimed at.
    private static func shown(_ metric: JSON, _ current: JSON) -> String {
        let sources = [
            "Object": "object", "Pods": "pods", "Resource": "resource", "ContainerResource": "containerResource",
            "External": "external",
        ]
        guard let source = sources[metric["type"]?.string ?? ""] else { return "<unknown type>" }
        let target = metric[source]?["target"] ?? [:]
        let now = current[source]?["current"] ?? [:]
        func text(_ value: JSON?) -> String? { value?.string ?? value?.int.map { String($0) } }
        if source.lowercased().hasSuffix("resource") {
            let name = metric[source]?["name"]?.string ?? ""
            if let aim = text(target["averageValue"]) {
                return "\(name): \(text(now["averageValue"]) ?? "<unknown>")/\(aim)"
            }
            let used = now["averageUtilization"]?.int.map { "\($0)%" } ?? "<unknown>"
            return "\(name): \(used)/\(target["averageUtilization"]?.int.map { "\($0)%" } ?? "<auto>")"
        }
        if let aim = text(target["averageValue"]) {
            let seen = text(now["averageValue"]) ?? "<unknown>"
            return "\(seen)/\(aim)" + (source == "pods" ? "" : " (avg)")
        }
        return "\(text(now["value"]) ?? "<unknown>")/\(text(target["value"]) ?? "0")"
    }

    @Sendable private static func budget(_ object: JSON, _ now: WallTime) -> [JSON] {
        func bound(_ value: JSON?) -> JSON { .string(value?.string ?? value?.int.map { String($0) } ?? "N/A") }
        return [
            TableCells.name(object), bound(object["spec", "minAvailable"]), bound(object["spec", "maxUnavailable"]),
            TableCells.count(object["status", "disruptionsAllowed"]), TableCells.age(object, now),
        ]
    }

    @Sendable private static func binding(_ object: JSON, _ now: WallTime) -> [JSON] {
        let subjects = object["subjects"]?.array ?? []
        func names(_ kind: JSON, _ name: (JSON) -> String) -> JSON {
            .string(subjects.filter { $0["kind"] == kind }.map(name).joined(separator: ", "))
        }
        let plain: (JSON) -> String = { $0["name"]?.string ?? "" }
        let role = object["roleRef"] ?? [:]
        return [
            TableCells.name(object), .string("\(role["kind"]?.string ?? "")/\(role["name"]?.string ?? "")"),
            TableCells.age(object, now), names("User", plain), names("Group", plain),
            names("ServiceAccount") { "\($0["namespace"]?.string ?? "")/\($0["name"]?.string ?? "")" },
        ]
    }

    @Sendable private static func priorityClass(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            TableCells.name(object), TableCells.count(object["value"]), .bool(object["globalDefault"]?.bool ?? false),
            TableCells.age(object, now), TableCells.text(object["preemptionPolicy"]),
        ]
    }

    @Sendable private static func runtimeClass(_ object: JSON, _ now: WallTime) -> [JSON] {
        [TableCells.name(object), TableCells.text(object["handler"]), TableCells.age(object, now)]
    }

    @Sendable private static func signingRequest(_ object: JSON, _ now: WallTime) -> [JSON] {
        let conditions = Set((object["status", "conditions"]?.array ?? []).compactMap { $0["type"]?.string })
        var state = conditions.contains("Denied") ? "Denied" : conditions.contains("Approved") ? "Approved" : "Pending"
        if conditions.contains("Failed") { state += ",Failed" }
        if !(object["status", "certificate"]?.string ?? "").isEmpty { state += ",Issued" }
        let seconds = object["spec", "expirationSeconds"]?.int
        return [
            TableCells.name(object), TableCells.age(object, now),
            TableCells.text(object["spec", "signerName"], or: "<none>"), TableCells.text(object["spec", "username"]),
            .string(seconds.map { Table.humanDuration(.seconds($0)) } ?? "<none>"), .string(state),
        ]
    }

    private static func condition(_ object: JSON, _ type: JSON) -> JSON {
        TableCells.text((object["status", "conditions"]?.array ?? []).first { $0["type"] == type }?["status"])
    }

    @Sendable private static func gatewayClass(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            TableCells.name(object), TableCells.text(object["spec", "controllerName"]), condition(object, "Accepted"),
            TableCells.age(object, now), TableCells.text(object["spec", "description"]),
        ]
    }

    @Sendable private static func gateway(_ object: JSON, _ now: WallTime) -> [JSON] {
        let addresses = (object["status", "addresses"]?.array ?? []).compactMap { $0["value"]?.string }
        return [
            TableCells.name(object), TableCells.text(object["spec", "gatewayClassName"]),
            .string(addresses.joined(separator: ",")), condition(object, "Programmed"), TableCells.age(object, now),
        ]
    }

    @Sendable private static func route(_ object: JSON, _ now: WallTime) -> [JSON] {
        let hosts = object["spec", "hostnames"].map { String(decoding: $0.encoded(), as: UTF8.self) } ?? ""
        return [TableCells.name(object), .string(hosts), TableCells.age(object, now)]
    }
}
