internal import MartletBase
public import MartletObject

/// Lists the addresses behind each Service with a selector (kube-controller-manager's endpointslice controller).
public struct EndpointSliceController: Controller {
    /// `endpointslice-controller`
    public let name = "endpointslice-controller"
    /// Services, pods, and the slices themselves (a foreign change is put right).
    public let kinds: [ResourceKind] = [.service, .pod, .endpointSlice]

    static let managedBy = "endpointslice-controller.k8s.io"
    static let serviceLabel = "kubernetes.io/service-name"
    /// Endpoints in one slice, as upstream.
    static let perSlice = 100

    /// A controller; it holds nothing.
    public init() {}

    /// The Services to look at.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        switch kind {
        case .service: return [ObjectKey(.service, namespace: object.namespace, name: object.name)]
        case .endpointSlice:
            guard let service = object.labels[Self.serviceLabel] else { return [] }
            return [ObjectKey(.service, namespace: object.namespace, name: service)]
        default:
            // Every Service of the namespace: one that selected the pod before its labels changed is among them.
            return snapshot.list(.service, namespace: object.namespace)
                .filter { $0["spec", "selector"]?.members.isEmpty == false }
                .map { ObjectKey(.service, namespace: $0.namespace, name: $0.name) }
        }
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
                && $0.labels["endpointslice.kubernetes.io/managed-by"] == Self.managedBy && !$0.isTerminating
        }
        var intents: [Intent] = []
        for family in families {
            var wished: [(ports: JSON, endpoints: [JSON])] = []
            for pod in pods {
                guard let endpoint = Self.endpoint(pod, service, family) else { continue }
                let ports = Self.ports(of: service, in: pod)
                if let index = wished.firstIndex(where: { $0.ports == ports && $0.endpoints.count < Self.perSlice }) {
                    wished[index].endpoints.append(endpoint)
                } else {
                    wished.append((ports, [endpoint]))
                }
            }
            let own = existing.filter { Self.family(of: $0) == family }
            intents += Self.difference(service, family, wished, own, &context)
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

    private static func difference(
        _ service: JSON, _ family: IPAddress.Family, _ wished: [(ports: JSON, endpoints: [JSON])], _ existing: [JSON],
        _ context: inout ControllerContext
    ) -> [Intent] {
        var left = existing
        var intents: [Intent] = []
        for (ports, endpoints) in wished {
            let index = left.firstIndex { $0["ports"] == ports } ?? left.indices.first
            guard let index else {
                var slice: JSON = ["apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": [:]]
                slice["metadata", "name"] = .string(context.generateName(service.name + "-"))
                slice["metadata", "generateName"] = .string(service.name + "-")
                slice["metadata", "namespace"] = .string(service.namespace)
                slice["metadata", "labels"] = JSON([
                    serviceLabel: service.name, "endpointslice.kubernetes.io/managed-by": managedBy,
                ])
                slice["metadata", "ownerReferences"] = [Owner.reference(to: service, kind: .service)]
                slice["addressType"] = .string(name(of: family))
                slice["endpoints"] = .array(endpoints)
                slice["ports"] = ports
                intents.append(.create(.endpointSlice, slice))
                continue
            }
            var slice = left.remove(at: index)
            if slice["endpoints"] == .array(endpoints) && slice["ports"] == ports { continue }
            slice["endpoints"] = .array(endpoints)
            slice["ports"] = ports
            intents.append(.update(.endpointSlice, slice))
        }
        for slice in left where slice["endpoints"]?.array?.isEmpty == false {
            var emptied = slice
            emptied["endpoints"] = []
            intents.append(.update(.endpointSlice, emptied))
        }
        return intents
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
