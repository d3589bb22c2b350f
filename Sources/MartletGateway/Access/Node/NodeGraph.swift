internal import MartletObject

/// Which objects belong to which node by way of its pods: Secrets, ConfigMaps, claims and their volumes, service
/// accounts, resource claims. It holds what the pods of the store name, and no more.
struct NodeGraph: Sendable {
    /// An object that pods name.
    struct Item: Sendable, Hashable {
        enum Kind: Sendable {
            case pod
            case secret
            case configMap
            case claim
            case volume
            case serviceAccount
            case resourceClaim
        }
        var kind: Kind
        /// Empty for volumes.
        var namespace: String
        var name: String
    }

    private struct Pod {
        var node: String
        /// How many lists of names it has that grow after it was bound.
        var additions: Int
        var items: [Item]
    }
    private var pods: [[UInt8]: Pod] = [:]
    /// How many pods of a node name an item.
    private var uses: [Item: [String: Int]] = [:]
    /// The claim of each volume, and the Secrets that the volume names.
    private var volumes: [String: (claim: Item, secrets: [Item])] = [:]
    private var volumesOfSecret: [Item: Set<String>] = [:]

    /// Whether an object belongs to a node.
    func belongs(_ item: Item, to node: String) -> Bool {
        if uses[item]?[node] != nil { return true }
        switch item.kind {
        case .volume:
            guard let volume = volumes[item.name] else { return false }
            return uses[volume.claim]?[node] != nil
        case .secret:
            return (volumesOfSecret[item] ?? []).contains { name in
                volumes[name].map { uses[$0.claim]?[node] != nil } ?? false
            }
        default: return false
        }
    }
}

extension NodeGraph: FollowedIndex {
    static let ranges = [
        Keys.collection(.pod, namespace: ""), Keys.collection(.persistentVolume, namespace: ""),
    ]
    private static let podPrefix = Keys.collection(.pod, namespace: "").from

    mutating func apply(_ key: [UInt8], _ value: [UInt8]?) {
        if key.starts(with: Self.podPrefix) { applyPod(key, value) } else { applyVolume(key, value) }
    }

    private mutating func applyPod(_ key: [UInt8], _ value: [UInt8]?) {
        // Most changes of a pod are of its status: what it names cannot change once it is bound, but for containers
        // that are added to look at it, and claims that are made for it.
        let stored = value.map { StoredObject(stored: $0) }
        let node = stored?.value(at: ["spec", "nodeName"])?.string ?? ""
        let additions = [["spec", "ephemeralContainers"], ["status", "resourceClaimStatuses"]]
            .reduce(0) { $0 + (stored?.value(at: $1)?.array?.count ?? 0) }
        if let known = pods[key], known.node == node, known.additions == additions { return }
        if let known = pods.removeValue(forKey: key) {
            for item in known.items { count(item, known.node, -1) }
        }
        guard let stored, !node.isEmpty, let spec = stored.value(at: ["spec"]) else { return }
        let header = stored.header
        var items = Self.items(of: spec, podNamed: header.name, in: header.namespace)
        for status in stored.value(at: ["status", "resourceClaimStatuses"])?.array ?? [] {
            guard let name = status["resourceClaimName"]?.string else { continue }
            items.insert(Item(kind: .resourceClaim, namespace: header.namespace, name: name))
        }
        pods[key] = Pod(node: node, additions: additions, items: Array(items))
        for item in items { count(item, node, 1) }
    }

    private mutating func count(_ item: Item, _ node: String, _ step: Int) {
        let left = (uses[item]?[node] ?? 0) + step
        uses[item, default: [:]][node] = left > 0 ? left : nil
        if uses[item]?.isEmpty == true { uses[item] = nil }
    }

    private mutating func applyVolume(_ key: [UInt8], _ value: [UInt8]?) {
        let name = String(decoding: key[(key.lastIndex(of: UInt8(ascii: "/")) ?? 0)...].dropFirst(), as: UTF8.self)
        if let known = volumes.removeValue(forKey: name) {
            for secret in known.secrets { volumesOfSecret[secret]?.remove(name) }
        }
        guard let spec = value.flatMap({ StoredObject(stored: $0).value(at: ["spec"]) }),
            let claim = spec["claimRef", "name"]?.string
        else { return }
        let namespace = spec["claimRef", "namespace"]?.string ?? ""
        var secrets: Set<Item> = []
        Self.eachReference(in: spec, named: "Ref") { reference in
            guard reference["kind"] == nil, let name = reference["name"]?.string else { return }
            secrets.insert(Item(kind: .secret, namespace: reference["namespace"]?.string ?? namespace, name: name))
        }
        volumes[name] = (Item(kind: .claim, namespace: namespace, name: claim), Array(secrets))
        for secret in secrets { volumesOfSecret[secret, default: []].insert(name) }
    }
}

extension NodeGraph {
    /// All that a pod names.
    static func items(of spec: JSON, podNamed pod: String, in namespace: String) -> Set<Item> {
        var items: Set<Item> = [Item(kind: .pod, namespace: namespace, name: pod)]
        func add(_ kind: Item.Kind, _ name: JSON?) {
            guard let name = name?.string, !name.isEmpty else { return }
            items.insert(Item(kind: kind, namespace: namespace, name: name))
        }
        add(.serviceAccount, spec["serviceAccountName"])
        for secret in spec["imagePullSecrets"]?.array ?? [] { add(.secret, secret["name"]) }
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec[list]?.array ?? [] {
                for source in container["envFrom"]?.array ?? [] {
                    add(.secret, source["secretRef", "name"])
                    add(.configMap, source["configMapRef", "name"])
                }
                for variable in container["env"]?.array ?? [] {
                    add(.secret, variable["valueFrom", "secretKeyRef", "name"])
                    add(.configMap, variable["valueFrom", "configMapKeyRef", "name"])
                }
            }
        }
        for volume in spec["volumes"]?.array ?? [] {
            add(.secret, volume["secret", "secretName"])
            add(.configMap, volume["configMap", "name"])
            add(.claim, volume["persistentVolumeClaim", "claimName"])
            if volume["ephemeral"] != nil { add(.claim, (volume["name"]?.string).map { .string("\(pod)-\($0)") }) }
            for source in volume["projected", "sources"]?.array ?? [] {
                add(.secret, source["secret", "name"])
                add(.configMap, source["configMap", "name"])
            }
            // Volumes of drivers name the Secret that they are opened with.
            eachReference(in: volume, named: "secretRef") { add(.secret, $0["name"]) }
            eachReference(in: volume, named: "nodePublishSecretRef") { add(.secret, $0["name"]) }
        }
        for claim in spec["resourceClaims"]?.array ?? [] { add(.resourceClaim, claim["resourceClaimName"]) }
        return items
    }

    /// Every object two levels down whose name ends so.
    private static func eachReference(in json: JSON, named suffix: String, _ body: (JSON) -> Void) {
        for (_, source) in json.members {
            for (name, value) in source.members where name.hasSuffix(suffix) { body(value) }
        }
    }
}
