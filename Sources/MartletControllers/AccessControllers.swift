public import MartletObject

/// Gathers the rules of ClusterRoles that others are meant for (kube-controller-manager's clusterrole-aggregation
/// controller).
public struct RoleAggregationController: Controller {
    /// `clusterrole-aggregation-controller`
    public let name = "clusterrole-aggregation-controller"
    /// ClusterRoles.
    public let kinds: [ResourceKind] = [.clusterRole]

    /// A controller; it holds nothing.
    public init() {}

    /// Every role that gathers: a label that is gone counts as well as one that came.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        snapshot.list(.clusterRole).filter { $0["aggregationRule"] != nil }
            .map { ObjectKey(.clusterRole, namespace: "", name: $0.name) }
    }

    /// Writes the rules when they are others than the role has.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard var role = snapshot.get(key), !role.isTerminating,
            let rules = RoleAggregation.rules(for: role, among: snapshot.list(.clusterRole)),
            rules != role["rules"]?.array ?? []
        else { return [] }
        role["rules"] = .array(rules)
        return [.update(.clusterRole, role)]
    }
}

/// Publishes the cluster's authority in every namespace, as ConfigMap `kube-root-ca.crt` (kube-controller-manager's
/// root-ca-cert-publisher).
public struct RootAuthorityController: Controller {
    /// `root-ca-cert-publisher`
    public let name = "root-ca-cert-publisher"
    /// Namespaces and ConfigMaps.
    public let kinds: [ResourceKind] = [.namespace, .configMap]
    static let mapName = "kube-root-ca.crt"
    /// The ConfigMap whose `ca.crt` holds the authorities that are trusted, once they have been rotated.
    public static let source = (namespace: "kube-system", name: "martlet-pki")
    private let authority: String

    /// - Parameter authority: the certificate (PEM) of a cluster whose authorities were never rotated.
    public init(authority: String) { self.authority = authority }

    /// Its own maps, and where it reads what they say.
    public func needsWhole(_ object: JSON, of kind: ResourceKind) -> Bool {
        kind == .configMap && (object.name == Self.mapName || (object.namespace, object.name) == Self.source)
    }

    /// The namespace; for the authorities that are trusted: all of them.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .configMap, (object.namespace, object.name) == Self.source {
            return snapshot.list(.namespace).map { ObjectKey(.namespace, namespace: "", name: $0.name) }
        }
        if kind == .namespace { return [ObjectKey(.namespace, namespace: "", name: object.name)] }
        guard object.name == Self.mapName else { return [] }
        return [ObjectKey(.namespace, namespace: "", name: object.namespace)]
    }

    /// Makes the map, or puts it right.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let namespace = snapshot.get(key), !namespace.isTerminating else { return [] }
        let trusted = snapshot.get(.configMap, namespace: Self.source.namespace, name: Self.source.name)
        let data: JSON = ["ca.crt": trusted?["data", "ca.crt"] ?? .string(authority)]
        if var map = snapshot.get(.configMap, namespace: key.name, name: Self.mapName) {
            if map["data"] == data || map.isTerminating { return [] }
            map["data"] = data
            return [.update(.configMap, map)]
        }
        let about =
            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
            + "such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
            + "distributions of Kubernetes clusters."
        return [
            .create(
                .configMap,
                [
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": [
                        "name": .string(Self.mapName), "namespace": .string(key.name),
                        "annotations": ["kubernetes.io/description": .string(about)],
                    ], "data": data,
                ])
        ]
    }
}
