internal import MartletObject

/// The roles and bindings that every cluster has, as tables of text.
///
/// A role begins with `# NAME`, then `+ROLE` when its rules are gathered by that role, and `<ROLE` when it gathers
/// those that are meant for ROLE. A rule is `VERBS RESOURCES`, then `@GROUPS` unless that is the core group, then
/// `=NAMES`; or `VERBS url:PATHS`. `read`, `write` and `all` stand for the verbs of their kind, `events` for the rule
/// of those who write Events.
enum BootstrapRoles {
    /// A role or binding, and where it is.
    struct Entry: Sendable {
        var kind: ResourceKind
        var namespace: String
        var object: JSON
    }

    /// Everything, the roles before what binds them.
    static let all: [Entry] = clusterRoles + namespaceRoles + clusterBindings + namespaceBindings

    private static let verbs: [String: [String]] = [
        "read": ["get", "list", "watch"],
        "write": ["create", "delete", "deletecollection", "patch", "update"],
        "all": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    ]

    /// Metadata that marks what is kept up to date at each start.
    private static func metadata(_ name: String, namespace: String = "") -> JSON {
        var metadata: JSON = [
            "name": .string(name), "labels": ["kubernetes.io/bootstrapping": "rbac-defaults"],
            "annotations": ["rbac.authorization.kubernetes.io/autoupdate": "true"],
        ]
        if !namespace.isEmpty { metadata["namespace"] = .string(namespace) }
        return metadata
    }

    // MARK: Roles

    private static let clusterRoles: [Entry] =
        roles(clusterRoleText, .clusterRole) + roles(controllerRoleText, .clusterRole)

    static func roles(_ text: String, _ kind: ResourceKind, namespace: String = "") -> [Entry] {
        var entries: [Entry] = []
        for line in text.split(separator: "\n") {
            guard line.hasPrefix("# ") else {
                let last = entries.count - 1
                let rules = entries[last].object["rules"]?.array ?? []
                entries[last].object["rules"] = .array(rules + [rule(line).json])
                continue
            }
            let words = line.dropFirst(2).split(separator: " ")
            var role: JSON = [
                "apiVersion": .string(kind.apiVersion), "kind": .string(kind.kind),
                "metadata": metadata(String(words[0]), namespace: namespace), "rules": [],
            ]
            for word in words.dropFirst() {
                let label = "rbac.authorization.k8s.io/aggregate-to-\(word.dropFirst())"
                if word.hasPrefix("+") {
                    role["metadata", "labels", label] = "true"
                } else {
                    role["aggregationRule"] = ["clusterRoleSelectors": [["matchLabels": JSON([label: "true"])]]]
                }
            }
            entries.append(Entry(kind: kind, namespace: namespace, object: role))
        }
        return entries
    }

    private static func rule(_ line: Substring) -> PolicyRule {
        var rule = PolicyRule()
        if line == "events" {
            rule.verbs = ["create", "patch", "update"]
            rule.apiGroups = ["", "events.k8s.io"]
            rule.resources = ["events"]
            return rule
        }
        let words = line.split(separator: " ")
        func list(_ text: Substring) -> [String] { text.split(separator: ",").map(String.init) }
        rule.verbs = list(words[0]).flatMap { verbs[$0] ?? [$0] }
        for word in words.dropFirst() {
            switch word.first {
            case "@": rule.apiGroups = list(word.dropFirst())
            case "=": rule.resourceNames = list(word.dropFirst())
            default:
                if word.hasPrefix("url:") {
                    rule.nonResourceURLs = list(word.dropFirst(4))
                } else {
                    rule.resources = list(word)
                }
            }
        }
        if !rule.resources.isEmpty && rule.apiGroups.isEmpty { rule.apiGroups = [""] }
        return rule
    }

    // MARK: Bindings

    private static let clusterBindings: [Entry] =
        bindings.map { name, subjects in
            binding(.clusterRoleBinding, name, role: (.clusterRole, name), subjects)
        }
        + roles(controllerRoleText, .clusterRole).map { role in
            let name = role.object.name
            let account = String(name.dropFirst("system:controller:".count))
            return binding(
                .clusterRoleBinding, name, role: (.clusterRole, name), [("ServiceAccount", account)])
        }

    private static let bindings: [(String, [(kind: String, name: String)])] = [
        ("cluster-admin", [("Group", Identity.masters)]),
        ("system:basic-user", [("Group", Identity.authenticated)]),
        ("system:discovery", [("Group", Identity.authenticated)]),
        ("system:kube-controller-manager", [("User", "system:kube-controller-manager")]),
        ("system:kube-dns", [("ServiceAccount", "kube-dns")]),
        ("system:kube-scheduler", [("User", "system:kube-scheduler")]),
        ("system:martlet:dns", [("User", "system:martlet-dns"), ("Group", Identity.workers)]),
        ("system:martlet:edge", [("User", "system:martlet-edge")]),
        ("system:martlet:ingress", [("User", "system:martlet-ingress")]),
        ("system:martlet:join", [("Group", "system:bootstrappers")]),
        ("system:martlet:machine", [("Group", Identity.workers)]),
        (
            "system:martlet:network-policy",
            [("User", "system:martlet-network-policy"), ("Group", Identity.workers)]
        ),
        ("system:martlet:worker", [("Group", Identity.workers)]),
        ("system:monitoring", [("Group", "system:monitoring")]),
        ("system:node", []),
        ("system:node-bootstrapper", [("Group", "system:bootstrappers:martlet:worker")]),
        ("system:node-proxier", [("User", "system:kube-proxy")]),
        ("system:public-info-viewer", [("Group", Identity.authenticated), ("Group", "system:unauthenticated")]),
        ("system:service-account-issuer-discovery", [("Group", "system:serviceaccounts")]),
        ("system:volume-scheduler", [("User", "system:kube-scheduler")]),
    ]

    private static func binding(
        _ kind: ResourceKind, _ name: String, namespace: String = "", role: (kind: ResourceKind, name: String),
        _ subjects: [(kind: String, name: String)]
    ) -> Entry {
        let list = subjects.map { subject -> JSON in
            if subject.kind == "ServiceAccount" {
                return ["kind": "ServiceAccount", "name": .string(subject.name), "namespace": "kube-system"]
            }
            return [
                "apiGroup": "rbac.authorization.k8s.io", "kind": .string(subject.kind), "name": .string(subject.name),
            ]
        }
        return Entry(
            kind: kind, namespace: namespace,
            object: [
                "apiVersion": .string(kind.apiVersion), "kind": .string(kind.kind),
                "metadata": metadata(name, namespace: namespace),
                "roleRef": [
                    "apiGroup": "rbac.authorization.k8s.io", "kind": .string(role.kind.kind),
                    "name": .string(role.name),
                ],
                "subjects": list.isEmpty ? nil : .array(list),
            ])
    }

    // MARK: In namespaces

    private static let namespaceRoles: [Entry] =
        roles(
            """
            # extension-apiserver-authentication-reader
            read configmaps =extension-apiserver-authentication
            # system:controller:bootstrap-signer
            read secrets
            # system:controller:cloud-provider
            create,get,list,watch configmaps
            # system:controller:token-cleaner
            get,list,watch,delete secrets
            events
            # system:martlet:edge
            get,list,watch,create,update,patch,delete leases @coordination.k8s.io
            # system:martlet:machine
            read configmaps =martlet-pki
            # system::leader-locking-kube-controller-manager
            watch configmaps
            get,update configmaps =kube-controller-manager
            get,list,watch,create,update leases @coordination.k8s.io
            # system::leader-locking-kube-scheduler
            watch configmaps
            get,update configmaps =kube-scheduler
            """, .role, namespace: "kube-system")
        + roles(
            """
            # system:controller:bootstrap-signer
            read configmaps
            update configmaps =cluster-info
            events
            """, .role, namespace: "kube-public")

    private static let namespaceBindings: [Entry] = {
        let (manager, scheduler) = ("system:kube-controller-manager", "system:kube-scheduler")
        let rows: [(String, String, String, [(kind: String, name: String)])] = [
            (
                "kube-system", "system::extension-apiserver-authentication-reader",
                "extension-apiserver-authentication-reader", [("User", manager), ("User", scheduler)]
            ),
            (
                "kube-system", "system::leader-locking-kube-controller-manager",
                "system::leader-locking-kube-controller-manager",
                [
                    ("User", manager), ("ServiceAccount", "kube-controller-manager"),
                    ("ServiceAccount", "leader-election-controller"),
                ]
            ),
            (
                "kube-system", "system::leader-locking-kube-scheduler", "system::leader-locking-kube-scheduler",
                [("User", scheduler), ("ServiceAccount", "kube-scheduler")]
            ),
            ("kube-system", "system:martlet:edge", "system:martlet:edge", [("User", "system:martlet-edge")]),
            (
                "kube-system", "system:martlet:machine", "system:martlet:machine",
                [("Group", Identity.workers)]
            ),
        ]
        let signers = ["bootstrap-signer", "cloud-provider", "token-cleaner"].map { name in
            ("kube-system", "system:controller:\(name)", "system:controller:\(name)", [("ServiceAccount", name)])
        }
        let publicSigner = (
            "kube-public", "system:controller:bootstrap-signer", "system:controller:bootstrap-signer",
            [("ServiceAccount", "bootstrap-signer")]
        )
        return (rows + signers + [publicSigner]).map { namespace, name, role, subjects in
            binding(.roleBinding, name, namespace: namespace, role: (.role, role), subjects)
        }
    }()
}
