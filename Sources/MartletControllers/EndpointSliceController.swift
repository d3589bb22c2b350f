internal import MartletBase
public import MartletObject

/// Lists the addresses behind each Service with a selector (kube-controller-manager's endpointslice controller).
public struct EndpointSliceController: Controller {
    /// `endpointslice-controller`
    public let name = "endpointslice-controller"
    /// Services, pods, the slices themselves (a foreign change is put right), and nodes for their zones.
    public let kinds: [ResourceKind] = [.service, .pod, .endpointSlice, .node]

    static let managedBy = "endpointslice-controller.k8s.io"
    static let serviceLabel = "kubernetes.io/service-name"
    private static let managedByLabel = "endpointslice.kubernetes.io/managed-by"
    private static let headlessLabel = "service.kubernetes.io/headless"

    /// A controller; it holds nothing.
    public init() {}

    /// The Services to look at.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        switch kind {
        case .service: return [ObjectKey(.service, namespace: object.namespace, name: object.name)]
        case .endpointSlice:
            guard let service = object.labels[Self.serviceLabel] else { return [] }
            return [ObjectKey(.service, namespace: object.namespace, name: service)]
        case .node: return keys(forNode: object, in: snapshot)
        default:
            let labels = object.labels
            let selecting = snapshot.list(.service, namespace: object.namespace).filter {
                guard let selector = $0["spec", "selector"]?.stringMap, !selector.isEmpty else { return false }
                return selector.allSatisfy { labels[$0.key] == $0.value }
            }.map(\.name)
            // One that selected the pod before its labels changed lists it.
            let listing = snapshot.list(.endpointSlice, namespace: object.namespace).filter { slice in
                slice.endpoints.contains { $0["targetRef", "name"]?.string == object.name }
            }.compactMap { $0.labels[Self.serviceLabel] }
            return Set(selecting + listing).sorted().map { ObjectKey(.service, namespace: object.namespace, name: $0) }
        }
    }

    /// The Services that list a pod of the node with another zone, and those that share endpoints by what nodes have.
    private func keys(forNode node: JSON, in snapshot: Snapshot) -> [ObjectKey] {
        let zone = snapshot.get(.node, name: node.name).flatMap(Self.zone)
        var keys = Set<ObjectKey>()
        for slice in snapshot.list(.endpointSlice) {
            guard let service = slice.labels[Self.serviceLabel] else { continue }
            if slice.endpoints.contains(where: { $0["nodeName"]?.string == node.name && $0["zone"] != zone }) {
                keys.insert(ObjectKey(.service, namespace: slice.namespace, name: service))
            }
        }
        for service in snapshot.list(.service) where EndpointHints.areShared(service) {
            keys.insert(ObjectKey(.service, namespace: service.namespace, name: service.name))
        }
        return keys.sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
    }

    private static func zone(of node: JSON) -> JSON? {
        guard let zone = node.labels[EndpointHints.zoneLabel], !zone.isEmpty else { return nil }
        return .string(zone)
    }

    /// Makes, changes and deletes slices until they list the Service's pods.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let service = snapshot.get(key), !service.isTerminating,
            let selector = service["spec", "selector"]?.stringMap, !selector.isEmpty,
            service["spec", "type"]?.string != "ExternalName"
        else { return [] }
        let pods = snapshot.list(.pod, namespace: key.namespace).filter { pod in
            let labels = pod.labels
            return selector.allSatisfy { labels[$0.key] == $0.value }
        }
        let families = Self.families(of: service)
        let existing = snapshot.list(.endpointSlice, namespace: key.namespace).filter {
            $0.labels[Self.serviceLabel] == key.name
                && $0.labels[Self.managedByLabel] == Self.managedBy && !$0.isTerminating
        }
        var intents: [Intent] = []
        for family in families {
            var groups: [SlicePlan.Group] = []
            for pod in pods {
                guard var endpoint = Self.endpoint(pod, service, family) else { continue }
                endpoint["zone"] = (pod["spec", "nodeName"]?.string).flatMap { snapshot.get(.node, name: $0) }
                    .flatMap(Self.zone)
                let ports = Self.ports(of: service, in: pod)
                if let index = groups.firstIndex(where: { $0.ports == ports }) {
                    groups[index].endpoints.append(endpoint)
                } else {
                    groups.append(SlicePlan.Group(ports: ports, endpoints: [endpoint]))
                }
            }
            var plan = SlicePlan(groups, existing: existing.filter { Self.family(of: $0) == family }) {
                Self.slice(of: service, family, ports: $0, &context)
            }
            plan.setLabels(Self.labels(of: service))
            let event = EndpointHints.settle(
                &plan, of: service, addressType: Self.name(of: family), in: snapshot)
            intents += plan.intents + (event.map { [$0] } ?? [])
        }
        // Of a kind of addresses that the Service no longer has.
        for slice in existing where !families.contains(Self.family(of: slice)) {
            intents.append(
                .delete(ObjectKey(.endpointSlice, namespace: slice.namespace, name: slice.name), uid: slice.uid))
        }
        return intents
    }

    /// The kinds of addresses that a Service has.
    private static func families(of service: JSON) -> [IPAddress.Family] {
        let said = service["spec", "ipFamilies"]?.array?.compactMap(\.string) ?? []
        if !said.isEmpty { return IPAddress.Family.allCases.filter { said.contains(name(of: $0)) } }
        return [IPAddress(service["spec", "clusterIP"]?.string ?? "")?.family ?? .ipv4]
    }

    private static func name(of family: IPAddress.Family) -> String { family == .ipv4 ? "IPv4" : "IPv6" }

    private static func family(of slice: JSON) -> IPAddress.Family {
        slice["addressType"]?.string == name(of: .ipv6) ? .ipv6 : .ipv4
    }

    /// The labels of a Service's slices: its own, and those that say what they are (upstream's setEndpointSliceLabels).
    private static func labels(of service: JSON) -> [String: String] {
        var labels = service.labels
        let address = service["spec", "clusterIP"]?.string ?? ""
        labels[headlessLabel] = address.isEmpty || address == "None" ? "" : nil
        labels[serviceLabel] = service.name
        labels[managedByLabel] = managedBy
        return labels
    }

    /// A new slice without endpoints.
    private static func slice(
        of service: JSON, _ family: IPAddress.Family, ports: JSON, _ context: inout ControllerContext
    ) -> JSON {
        var slice: JSON = ["apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": [:]]
        slice["metadata", "name"] = .string(context.generateName(service.name + "-"))
        slice["metadata", "generateName"] = .string(service.name + "-")
        slice["metadata", "namespace"] = .string(service.namespace)
        slice["metadata", "labels"] = JSON(labels(of: service))
        slice["metadata", "ownerReferences"] = [Owner.reference(to: service, kind: .service)]
        slice["addressType"] = .string(name(of: family))
        slice["endpoints"] = []
        slice["ports"] = ports
        return slice
    }

    /// The pod as an endpoint; nil when it has no address of that kind or has ended.
    private static func endpoint(_ pod: JSON, _ service: JSON, _ family: IPAddress.Family) -> JSON? {
        let several = pod["status", "podIPs"]?.array?.compactMap { $0["ip"]?.string } ?? []
        let texts = several.isEmpty ? [pod["status", "podIP"]?.string ?? ""] : several
        guard let address = texts.first(where: { IPAddress($0)?.family == family }),
            !["Succeeded", "Failed"].contains(pod["status", "phase"]?.string ?? "")
        else { return nil }
        let isReady = PodFacts.isReady(pod)
        let publishes = service["spec", "publishNotReadyAddresses"]?.bool ?? false
        var endpoint: JSON = [
            "addresses": [.string(address)],
            "conditions": [
                "ready": .bool(publishes || (isReady && !pod.isTerminating)), "serving": .bool(publishes || isReady),
                "terminating": .bool(pod.isTerminating),
            ],
        ]
        if let node = pod["spec", "nodeName"] { endpoint["nodeName"] = node }
        if let hostname = pod["spec", "hostname"], pod["spec", "subdomain"]?.string == service.name {
            endpoint["hostname"] = hostname
        }
        endpoint["targetRef"] = [
            "kind": "Pod", "namespace": .string(pod.namespace), "name": .string(pod.name), "uid": .string(pod.uid),
        ]
        return endpoint
    }

    /// The Service's ports as this pod has them: a named target port is looked up in its containers.
    private static func ports(of service: JSON, in pod: JSON) -> JSON {
        let ports = (service["spec", "ports"]?.array ?? []).compactMap { port -> JSON? in
            let proto = port["protocol"] ?? "TCP"
            var number = port["targetPort"]?.int ?? port["port"]?.int
            if let name = port["targetPort"]?.string {
                number =
                    (pod["spec", "containers"]?.array ?? []).lazy.flatMap { $0["ports"]?.array ?? [] }
                    .first { $0["name"]?.string == name && ($0["protocol"] ?? "TCP") == proto }?["containerPort"]?.int
            }
            guard let number else { return nil }
            var result: JSON = ["name": port["name"] ?? "", "port": .int(Int64(number)), "protocol": proto]
            if let application = port["appProtocol"] { result["appProtocol"] = application }
            return result
        }
        return .array(ports)
    }
}
