public import MartletBase
internal import OrderedCollections

/// `kubectl get`'s tables (meta.k8s.io/v1 Table).
public enum Table {
    /// One column.
    public struct Column: Sendable, Hashable {
        /// Its heading.
        public var name: String
        /// `string`, `integer`, `date`, ...
        public var type: String
        /// OpenAPI format, as `name`; may be empty.
        public var format: String
        /// What it shows.
        public var about: String
        /// 0 always, 1 with `-o wide`.
        public var priority: Int

        /// A TableColumnDefinition.
        public var json: JSON {
            [
                "name": .string(name), "type": .string(type), "format": .string(format), "description": .string(about),
                "priority": .int(Int64(priority)),
            ]
        }
    }

    /// The columns of a kind. Kinds without columns of their own show name and age.
    public static func columns(of kind: ResourceKind) -> [Column] {
        TableColumns.byKind[kind.qualifiedPlural] ?? TableColumns.standard
    }

    /// One object's cells, in the order of the columns.
    public static func cells(of object: JSON, kind: ResourceKind, now: WallTime) -> [JSON] {
        guard let make = TableCells.byKind[kind.qualifiedPlural] else {
            return [.string(object.name), object["metadata", "creationTimestamp"] ?? .null]
        }
        return make(object, now)
    }

    /// How long ago a time was, as people say it: `5s`, `3m20s`, `2d4h`; `<unknown>` when there is none.
    public static func age(_ time: JSON?, now: WallTime) -> String {
        guard let text = time?.string, let time = WallTime(rfc3339: text) else { return "<unknown>" }
        return humanDuration(now - time)
    }

    /// A duration with one or two units, finer when it is short (as kubectl shows ages).
    public static func humanDuration(_ duration: Duration) -> String {
        func two(_ big: Int64, _ unit: String, _ small: Int64, _ smallUnit: String) -> String {
            small == 0 ? "\(big)\(unit)" : "\(big)\(unit)\(small)\(smallUnit)"
        }
        let seconds = duration.components.seconds
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        if seconds < 120 { return "\(seconds)s" }
        let minutes = seconds / 60
        if minutes < 10 { return two(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return two(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if days < 8 { return two(days, "d", hours % 24, "h") }
        if days < 730 { return "\(days)d" }
        if days < 8 * 365 { return two(days / 365, "y", days % 365, "d") }
        return "\(days / 365)y"
    }
}

/// The columns as data. A line is `Heading|type|priority|what it shows`.
private enum TableColumns {
    static let standard = columns(
        "Name|string|0|The name, unique within the namespace.\nCreated At|date|0|When the object was made.")

    static let byKind: [String: [Table.Column]] = texts.mapValues(columns)

    private static func columns(_ text: String) -> [Table.Column] {
        text.split(separator: "\n").map { line in
            let parts = line.split(separator: "|").map(String.init)
            return Table.Column(
                name: parts[0], type: parts[1], format: parts[0] == "Name" ? "name" : "", about: parts[3],
                priority: Int(parts[2]) ?? 0)
        }
    }

    private static let name = "Name|string|0|The name, unique within the namespace.\n"
    private static let age = "Age|string|0|How long ago the object was made.\n"
    private static let templates = """
        Containers|string|1|The names of the template's containers.
        Images|string|1|The images of the template's containers.
        Selector|string|1|Which pods belong to it.
        """

    private static let texts: [String: String] = [
        "pods": name + """
            Ready|string|0|Ready containers of all containers.
            Status|string|0|The phase, or what keeps the pod from it.
            Restarts|string|0|How often its containers were restarted, and when last.
            \(age)IP|string|1|The pod's address.
            Node|string|1|The node it is bound to.
            Nominated Node|string|1|The node where room is being made for it.
            Readiness Gates|string|1|Conditions beside its containers that hold, of those asked for.
            """,
        "deployments.apps": name + """
            Ready|string|0|Ready pods of those wanted.
            Up-to-date|string|0|Pods of the newest template.
            Available|string|0|Pods that have been ready for long enough.
            \(age)\(templates)
            """,
        "replicasets.apps": name + """
            Desired|integer|0|Pods wanted.
            Current|integer|0|Pods there are.
            Ready|integer|0|Ready pods.
            \(age)\(templates)
            """,
        "services": name + """
            Type|string|0|How the service is reached.
            Cluster-IP|string|0|Its address inside the cluster.
            External-IP|string|0|Its addresses outside of the cluster.
            Port(s)|string|0|Its ports.
            \(age)Selector|string|1|Which pods serve it.
            """,
        "nodes": name + """
            Status|string|0|Whether the node is ready and takes pods.
            Roles|string|0|Its roles.
            \(age)Version|string|0|The node agent's version.
            Internal-IP|string|1|Its address inside the cluster.
            External-IP|string|1|Its address outside of the cluster.
            OS-Image|string|1|Its operating system.
            Kernel-Version|string|1|Its kernel.
            Container-Runtime|string|1|Its container runtime.
            """,
        "customresourcedefinitions.apiextensions.k8s.io": "Name|string|0|The name, plural and group.\n"
            + "Created At|date|0|When the definition was made.",
        "namespaces": name + "Status|string|0|Whether it is active or ending.\n" + age,
        "events": """
        Last Seen|string|0|How long ago it happened last.
        Type|string|0|Normal or Warning.
        Reason|string|0|What happened, in one word.
        Object|string|0|What it happened to.
        Subobject|string|1|The part of the object.
        Source|string|1|Who tells.
        Message|string|0|What happened, in a sentence.
        First Seen|string|1|How long ago it happened first.
        Count|string|1|How often it happened.
        Name|string|1|The event's name.
        """,
        "ingresses.networking.k8s.io": name + """
            Class|string|0|The ingress class that serves it.
            Hosts|string|0|The hosts it routes.
            Address|string|0|The addresses that serve it.
            Ports|string|0|The ports that serve it.
            \(age)
            """,
        "ingressclasses.networking.k8s.io": name + """
            Controller|string|0|Who serves ingresses of this class.
            Parameters|string|0|Where the controller's parameters are.
            \(age)
            """,
        "endpointslices.discovery.k8s.io": name + """
            AddressType|string|0|The kind of addresses.
            Ports|string|0|The ports of all endpoints.
            Endpoints|string|0|The endpoints' first addresses.
            \(age)
            """,
        "secrets": name + "Type|string|0|What the secret is for.\nData|string|0|How many entries it has.\n" + age,
        "configmaps": name + "Data|string|0|How many entries it has.\n" + age,
        "serviceaccounts": name + "Secrets|string|0|How many secrets are listed in it.\n" + age,
        "leases.coordination.k8s.io": name + "Holder|string|0|Who holds the lease.\n" + age,
    ]
}

/// The cells of each kind but pods (``PodCells``).
private enum TableCells {
    static let byKind: [String: @Sendable (JSON, WallTime) -> [JSON]] = [
        "pods": PodCells.cells, "deployments.apps": deployment, "replicasets.apps": replicaSet, "services": service,
        "nodes": node, "namespaces": namespace, "events": event, "ingresses.networking.k8s.io": ingress,
        "ingressclasses.networking.k8s.io": ingressClass, "endpointslices.discovery.k8s.io": endpointSlice,
        "secrets": secret, "configmaps": configMap, "serviceaccounts": serviceAccount,
        "leases.coordination.k8s.io": lease,
    ]

    private static func name(_ object: JSON) -> JSON { .string(object.name) }
    private static func age(_ object: JSON, _ now: WallTime) -> JSON {
        .string(Table.age(object["metadata", "creationTimestamp"], now: now))
    }
    private static func text(_ value: JSON?, or absent: String = "") -> JSON {
        if let text = value?.string, !text.isEmpty { .string(text) } else { .string(absent) }
    }
    private static func count(_ value: JSON?) -> JSON { .int(Int64(value?.int ?? 0)) }
    private static func size(_ value: JSON?) -> Int64 { Int64(value?.object?.count ?? value?.array?.count ?? 0) }

    /// The first `most` texts, and how many more there are.
    private static func some(_ texts: [String], most: Int = 3) -> String {
        let shown = texts.prefix(most).joined(separator: ",")
        return texts.count > most ? "\(shown) + \(texts.count - most) more..." : shown
    }

    private static func templateCells(_ spec: JSON?) -> [JSON] {
        let containers = spec?["template", "spec", "containers"]?.array ?? []
        let join = { (field: String) in
            JSON.string(containers.map { $0[field]?.string ?? "" }.joined(separator: ","))
        }
        let selector = try? LabelSelector(object: spec?["selector"] ?? .null)
        return [join("name"), join("image"), .string(selector?.description ?? "<error>")]
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
