internal import MartletBase

/// The cells of each kind but pods (``PodCells``).
enum TableCells {
    static let byKind = [WorkloadCells.byKind, StorageCells.byKind, PolicyCells.byKind].reduce(into: own) { all, more in
        all.merge(more) { $1 }
    }

    private static let own: [String: @Sendable (JSON, WallTime) -> [JSON]] = [
        "pods": PodCells.cells, "deployments.apps": deployment, "replicasets.apps": replicaSet, "services": service,
        "nodes": node, "namespaces": namespace, "events": event, "ingresses.networking.k8s.io": ingress,
        "ingressclasses.networking.k8s.io": ingressClass, "endpointslices.discovery.k8s.io": endpointSlice,
        "secrets": secret, "configmaps": configMap, "serviceaccounts": serviceAccount,
        "leases.coordination.k8s.io": lease, "events.events.k8s.io": { event(EventForms.core($0), $1) },
    ]

    static func name(_ object: JSON) -> JSON { .string(object.name) }
    static func age(_ object: JSON, _ now: WallTime) -> JSON {
        .string(Table.age(object["metadata", "creationTimestamp"], now: now))
    }
    static func text(_ value: JSON?, or absent: String = "") -> JSON {
        if let text = value?.string, !text.isEmpty { .string(text) } else { .string(absent) }
    }
    static func count(_ value: JSON?) -> JSON { .int(Int64(value?.int ?? 0)) }
    static func size(_ value: JSON?) -> Int64 { Int64(value?.object?.count ?? value?.array?.count ?? 0) }

    /// The first `most` texts, and how many more there are.
    static func some(_ texts: [String], most: Int = 3) -> String {
        let shown = texts.prefix(most).joined(separator: ",")
        return texts.count > most ? "\(shown) + \(texts.count - most) more..." : shown
    }

    /// A selector in the form of URLs, as kubectl shows it.
    static func shown(_ selector: JSON?) -> String {
        guard let parsed = try? LabelSelector(object: selector ?? .null) else { return "<error>" }
        return selector == nil || parsed.isEmpty ? "<none>" : parsed.description
    }

    /// Labels in the same form.
    static func shown(labels: [String: String]?) -> String {
        guard let labels, !labels.isEmpty else { return "<none>" }
        return LabelSelector(labels: labels).description
    }

    static func templateCells(_ spec: JSON?) -> [JSON] {
        let containers = spec?["template", "spec", "containers"]?.array ?? []
        let join = { (field: String) in
            JSON.string(containers.map { $0[field]?.string ?? "" }.joined(separator: ","))
        }
        return [join("name"), join("image"), .string(shown(spec?["selector"]))]
    }

    @Sendable private static func deployment(_ object: JSON, _ now: WallTime) -> [JSON] {
        let status = object["status"]
        let ready = "\(status?["readyReplicas"]?.int ?? 0)/\(object["spec", "replicas"]?.int ?? 0)"
        return [
            name(object), .string(ready), count(status?["updatedReplicas"]), count(status?["availableReplicas"]),
            age(object, now),
        ] + templateCells(object["spec"])
    }

    @Sendable private static func replicaSet(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            name(object), count(object["spec", "replicas"]), count(object["status", "replicas"]),
            count(object["status", "readyReplicas"]), age(object, now),
        ] + templateCells(object["spec"])
    }

    @Sendable private static func service(_ object: JSON, _ now: WallTime) -> [JSON] {
        let spec = object["spec"] ?? [:]
        let type = spec["type"]?.string ?? ""
        var external = (spec["externalIPs"]?.array ?? []).compactMap(\.string)
        if type == "LoadBalancer" {
            let ingress = object["status", "loadBalancer", "ingress"]?.array ?? []
            external = ingress.compactMap { $0["ip"]?.string ?? $0["hostname"]?.string } + external
        }
        let none = type == "LoadBalancer" ? "<pending>" : "<none>"
        let shown = external.isEmpty ? none : external.joined(separator: ",")
        let ports = (spec["ports"]?.array ?? []).map { port in
            let number = port["port"]?.int ?? 0
            let nodePort = port["nodePort"]?.int ?? 0
            return "\(number)\(nodePort > 0 ? ":\(nodePort)" : "")/\(port["protocol"]?.string ?? "TCP")"
        }
        let selector = LabelSelector(labels: spec["selector"]?.stringMap ?? [:]).description
        return [
            name(object), .string(type), text(spec["clusterIP"], or: "<none>"),
            .string(type == "ExternalName" ? spec["externalName"]?.string ?? "" : shown),
            .string(ports.isEmpty ? "<none>" : ports.joined(separator: ",")), age(object, now),
            .string(selector.isEmpty ? "<none>" : selector),
        ]
    }

    @Sendable private static func node(_ object: JSON, _ now: WallTime) -> [JSON] {
        let ready = (object["status", "conditions"]?.array ?? []).first { $0["type"] == "Ready" }
        var status = ready.map { $0["status"] == "True" ? "Ready" : "NotReady" } ?? "Unknown"
        if object["spec", "unschedulable"]?.bool == true { status += ",SchedulingDisabled" }
        let prefix = "node-role.kubernetes.io/"
        let roles = Set(
            object.labels.compactMap { key, value in
                if key.hasPrefix(prefix), key.utf8.count > prefix.utf8.count {
                    return String(key.dropFirst(prefix.count))
                }
                return key == "kubernetes.io/role" && !value.isEmpty ? value : nil
            })
        let address = { (type: String) in
            let found = (object["status", "addresses"]?.array ?? []).first { $0["type"]?.string == type }
            return text(found?["address"], or: "<none>")
        }
        let info = object["status", "nodeInfo"]
        return [
            name(object), .string(status), .string(roles.isEmpty ? "<none>" : roles.sorted().joined(separator: ",")),
            age(object, now), text(info?["kubeletVersion"]), address("InternalIP"), address("ExternalIP"),
            text(info?["osImage"], or: "<unknown>"), text(info?["kernelVersion"], or: "<unknown>"),
            text(info?["containerRuntimeVersion"], or: "<unknown>"),
        ]
    }

    @Sendable private static func namespace(_ object: JSON, _ now: WallTime) -> [JSON] {
        [name(object), text(object["status", "phase"]), age(object, now)]
    }

    @Sendable private static func event(_ object: JSON, _ now: WallTime) -> [JSON] {
        let series = object["series"]
        let first = object["firstTimestamp"] ?? object["eventTime"]
        let last = series?["lastObservedTime"] ?? object["lastTimestamp"] ?? first
        let count = series?["count"]?.int ?? max(object["count"]?.int ?? 0, 1)
        let about = object["involvedObject"] ?? [:]
        let component = object["source", "component"]?.string ?? object["reportingComponent"]?.string ?? ""
        let host = object["source", "host"]?.string ?? object["reportingInstance"]?.string ?? ""
        let message = object["message"]?.string ?? ""
        return [
            .string(Table.age(last, now: now)), text(object["type"]), text(object["reason"]),
            .string("\((about["kind"]?.string ?? "").lowercased())/\(about["name"]?.string ?? "")"),
            text(about["fieldPath"]), .string(host.isEmpty ? component : "\(component), \(host)"),
            .string(message.trimmed), .string(Table.age(first, now: now)), .int(Int64(count)), name(object),
        ]
    }

    @Sendable private static func ingress(_ object: JSON, _ now: WallTime) -> [JSON] {
        let spec = object["spec"] ?? [:]
        let hosts = (spec["rules"]?.array ?? []).compactMap { $0["host"]?.string }.filter { !$0.isEmpty }
        let addresses = (object["status", "loadBalancer", "ingress"]?.array ?? [])
            .compactMap { $0["ip"]?.string ?? $0["hostname"]?.string }
        let hasTLS = !(spec["tls"]?.array ?? []).isEmpty
        return [
            name(object), text(spec["ingressClassName"], or: "<none>"), .string(hosts.isEmpty ? "*" : some(hosts)),
            .string(addresses.joined(separator: ",")), .string(hasTLS ? "80, 443" : "80"), age(object, now),
        ]
    }

    @Sendable private static func ingressClass(_ object: JSON, _ now: WallTime) -> [JSON] {
        var parameters = "<none>"
        if let given = object["spec", "parameters"] {
            let group = given["apiGroup"]?.string.map { ".\($0)" } ?? ""
            parameters = "\(given["kind"]?.string ?? "")\(group)/\(given["name"]?.string ?? "")"
        }
        return [name(object), text(object["spec", "controller"]), .string(parameters), age(object, now)]
    }

    @Sendable private static func endpointSlice(_ object: JSON, _ now: WallTime) -> [JSON] {
        let ports = (object["ports"]?.array ?? []).map { port in
            let number = port["port"]?.int ?? 0
            return number == 0 ? "*" : String(number)
        }
        let addresses = (object["endpoints"]?.array ?? []).compactMap { $0["addresses"]?[0]?.string }
        return [
            name(object), text(object["addressType"]), .string(ports.isEmpty ? "<unset>" : some(ports)),
            .string(addresses.isEmpty ? "<unset>" : some(addresses)), age(object, now),
        ]
    }

    @Sendable private static func secret(_ object: JSON, _ now: WallTime) -> [JSON] {
        [name(object), text(object["type"]), .int(size(object["data"])), age(object, now)]
    }

    @Sendable private static func configMap(_ object: JSON, _ now: WallTime) -> [JSON] {
        [name(object), .int(size(object["data"]) + size(object["binaryData"])), age(object, now)]
    }

    @Sendable private static func serviceAccount(_ object: JSON, _ now: WallTime) -> [JSON] {
        [name(object), .int(size(object["secrets"])), age(object, now)]
    }

    @Sendable private static func lease(_ object: JSON, _ now: WallTime) -> [JSON] {
        [name(object), text(object["spec", "holderIdentity"]), age(object, now)]
    }
}

extension String {
    /// The text without blanks at its ends.
    fileprivate var trimmed: String {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        var bytes = Substring(self).utf8
        while bytes.first.map(isBlank) == true { bytes.removeFirst() }
        while bytes.last.map(isBlank) == true { bytes.removeLast() }
        return String(Substring(bytes))
    }
}
