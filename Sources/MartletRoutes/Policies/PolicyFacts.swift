internal import MartletBase
internal import MartletObject

/// Which way packets go, seen from the pod that a policy is for.
enum PolicyDirection: String, Sendable, Hashable, CaseIterable {
    case ingress, egress

    /// As `policyTypes` names it.
    var policyType: String { self == .ingress ? "Ingress" : "Egress" }
    /// The field of a rule that lists the other ends.
    var peerField: String { self == .ingress ? "from" : "to" }
}

/// What of a pod policies are about.
struct PolicyPod: Sendable, Hashable {
    /// A container's port with a name.
    struct Port: Sendable, Hashable {
        var name: String
        var protocolNumber: UInt8
        var number: UInt16
    }

    var namespace: String
    var labels: [String: String]
    var addresses: [IPAddress]
    var ports: Set<Port>
    /// Whether it runs on this host.
    var isOurs: Bool
    /// Of two pods that say they have an address, the one that came later and stays has it.
    var standing: String

    /// Nil for a pod without addresses of its own: one on the host's network, one that has ended, one that has not
    /// begun.
    init?(_ pod: JSON, nodeName: String) {
        let (spec, status) = (pod["spec"] ?? .null, pod["status"] ?? .null)
        let phase = status["phase"]?.string
        guard spec["hostNetwork"]?.bool != true, phase != "Succeeded", phase != "Failed" else { return nil }
        let several = status["podIPs"]?.array?.compactMap { $0["ip"]?.string } ?? []
        let texts = several.isEmpty ? [status["podIP"]?.string ?? ""] : several
        addresses = texts.compactMap { IPAddress($0) }
        if addresses.isEmpty { return nil }
        namespace = pod.namespace
        labels = pod.labels
        isOurs = spec["nodeName"]?.string == nodeName
        let created = pod["metadata", "creationTimestamp"]?.string ?? ""
        standing = (pod["metadata", "deletionTimestamp"] == nil ? "1 " : "0 ") + created + " " + pod.name
        ports = []
        for list in ["containers", "initContainers"] {
            for port in (spec[list]?.array ?? []).flatMap({ $0["ports"]?.array ?? [] }) {
                guard let name = port["name"]?.string, !name.isEmpty,
                    let protocolNumber = ServicePort.protocols[port["protocol"]?.string ?? "TCP"],
                    let number = port["containerPort"]?.int.flatMap({ UInt16(exactly: $0) })
                else { continue }
                ports.insert(Port(name: name, protocolNumber: protocolNumber, number: number))
            }
        }
    }
}

/// A NetworkPolicy as its fields say (networking.k8s.io/v1).
struct PolicyFacts: Sendable, Hashable {
    /// Whom a rule lets in or out.
    enum Peer: Sendable, Hashable {
        /// Pods of the policy's own namespace, or (with a selector) of others.
        case pods(LabelSelector, namespaces: LabelSelector?)
        case block(IPRange, except: [IPRange])
    }
    enum Port: Sendable, Hashable {
        case all(protocolNumber: UInt8)
        case numbers(ClosedRange<UInt16>, protocolNumber: UInt8)
        case named(String, protocolNumber: UInt8)
    }
    struct Rule: Sendable, Hashable {
        /// Nil: everybody.
        var peers: [Peer]?
        /// Nil: all ports of all protocols.
        var ports: [Port]?
    }

    var key: ObjectKey
    var pods: LabelSelector
    /// The rules by direction; a direction that is not there is not restricted.
    var rules: [PolicyDirection: [Rule]] = [:]

    init(_ policy: JSON) {
        key = ObjectKey(.networkPolicy, namespace: policy.namespace, name: policy.name)
        let spec = policy["spec"] ?? [:]
        pods = Self.selector(spec["podSelector"] ?? [:])
        var types = spec["policyTypes"]?.array?.compactMap(\.string) ?? []
        if types.isEmpty { types = (spec["egress"]?.array ?? []).isEmpty ? ["Ingress"] : ["Ingress", "Egress"] }
        for direction in PolicyDirection.allCases where types.contains(direction.policyType) {
            rules[direction] = (spec[direction.rawValue]?.array ?? []).map { rule in
                Rule(
                    peers: Self.list(rule[direction.peerField]).map { $0.compactMap(Self.peer) },
                    ports: Self.list(rule["ports"]).map { $0.compactMap(Self.port) })
            }
        }
    }

    /// A list that is not there and an empty one say the same: no restriction.
    private static func list(_ value: JSON?) -> [JSON]? {
        let all = value?.array ?? []
        return all.isEmpty ? nil : all
    }

    /// What the API would not have taken selects nothing.
    private static func selector(_ value: JSON) -> LabelSelector {
        (try? LabelSelector(object: value)) ?? (try? LabelSelector(object: .null)) ?? LabelSelector()
    }

    private static func peer(_ value: JSON) -> Peer? {
        if let block = value["ipBlock"] {
            return block["cidr"]?.string.flatMap { IPRange($0) }.map { range in
                .block(range, except: (block["except"]?.array ?? []).compactMap { $0.string.flatMap { IPRange($0) } })
            }
        }
        let (pods, namespaces) = (value["podSelector"], value["namespaceSelector"])
        if pods == nil && namespaces == nil { return nil }
        return .pods(selector(pods ?? [:]), namespaces: namespaces.map(selector))
    }

    private static func port(_ value: JSON) -> Port? {
        guard let number = ServicePort.protocols[value["protocol"]?.string ?? "TCP"] else { return nil }
        guard let port = value["port"], port != .null else { return .all(protocolNumber: number) }
        if let name = port.string { return .named(name, protocolNumber: number) }
        guard let first = port.int.flatMap({ UInt16(exactly: $0) }) else { return nil }
        let last = value["endPort"]?.int.flatMap { UInt16(exactly: $0) } ?? first
        return last < first ? nil : .numbers(first...last, protocolNumber: number)
    }

    /// Whether it is for this pod.
    func selects(_ pod: PolicyPod) -> Bool { pod.namespace == key.namespace && pods.matches(pod.labels) }

    /// Whether anything in it depends on the labels of namespaces.
    var readsNamespaces: Bool {
        rules.values.joined().contains { rule in
            rule.peers?.contains { if case .pods(_, .some) = $0 { true } else { false } } ?? false
        }
    }
}

extension PolicyFacts.Rule {
    /// Whether a pod is one of the other ends by a selector.
    func reaches(_ pod: PolicyPod, from namespace: String, _ namespaces: [String: [String: String]]) -> Bool {
        peers?.contains { peer in
            guard case .pods(let pods, let spaces) = peer else { return false }
            guard let spaces else { return pod.namespace == namespace && pods.matches(pod.labels) }
            return namespaces[pod.namespace].map { spaces.matches($0) } == true && pods.matches(pod.labels)
        } ?? false
    }

    /// Whether other ends may be any pod, selected or not.
    var reachesAnybody: Bool {
        peers?.contains { if case .block = $0 { true } else { false } } ?? true
    }

    var hasNamedPorts: Bool {
        ports?.contains { if case .named = $0 { true } else { false } } ?? false
    }
}
