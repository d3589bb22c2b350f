import MartletObject
import Testing

@testable import MartletGateway

/// Roles and bindings as values.
@Suite struct RoleTests {
    private func request(
        _ user: String, _ verb: String, _ resource: String, group: String = "", in namespace: String = "",
        name: String = "", groups: [String] = []
    ) -> AccessRequest {
        var request = AccessRequest(identity: Identity(user: user, groups: groups), verb: verb)
        let parts = resource.split(separator: "/").map(String.init)
        request.group = group
        request.resource = parts[0]
        request.subresource = parts.count > 1 ? parts[1] : ""
        request.namespace = namespace
        request.name = name
        return request
    }

    private func rule(_ verbs: [String], _ resources: [String], groups: [String] = [""], names: [String] = []) -> JSON {
        func list(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
        return [
            "verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources), "resourceNames": list(names),
        ]
    }

    private func allows(_ rule: JSON, _ request: AccessRequest) -> Bool {
        PolicyRule(rule).allows(request, combined: request.combinedResource)
    }

    @Test func aRuleAllowsWhatItNames() {
        let read = rule(["get", "list"], ["pods"])
        #expect(allows(read, request("a", "get", "pods", name: "x")))
        #expect(!allows(read, request("a", "delete", "pods", name: "x")))
        #expect(!allows(read, request("a", "get", "pods/log", name: "x")))
        #expect(!allows(read, request("a", "get", "pods", group: "metrics.k8s.io")))
        #expect(allows(rule(["*"], ["*"], groups: ["*"]), request("a", "escalate", "roles/x", group: "any")))
        #expect(allows(rule(["get"], ["pods/log"]), request("a", "get", "pods/log")))
        #expect(allows(rule(["get"], ["*/scale"]), request("a", "get", "things/scale")))
        #expect(!allows(rule(["get"], ["*/scale"]), request("a", "get", "scale")))
        let named = rule(["get"], ["secrets"], names: ["mine"])
        #expect(allows(named, request("a", "get", "secrets", name: "mine")))
        #expect(!allows(named, request("a", "get", "secrets", name: "other")))
        #expect(!allows(named, request("a", "list", "secrets")))
    }

    @Test func pathsMayEndInAStar() {
        func allowsPath(_ url: String, _ path: String) -> Bool {
            var request = AccessRequest(identity: .anonymous, verb: "get")
            request.path = path
            return allows(["verbs": ["get"], "nonResourceURLs": [.string(url)]], request)
        }
        #expect(allowsPath("/healthz", "/healthz"))
        #expect(!allowsPath("/healthz", "/healthz/etcd"))
        #expect(allowsPath("/healthz/*", "/healthz/etcd"))
        #expect(allowsPath("*", "/anything"))
        #expect(!allowsPath("/apis/*", "/apis"))
    }

    private func table(_ objects: [(String, JSON)]) -> RoleTable {
        var table = RoleTable()
        for (path, object) in objects {
            table.apply(Array("/registry/rbac.authorization.k8s.io/\(path)".utf8), object.encoded())
        }
        return table
    }

    private func binding(_ subjects: [JSON], _ kind: String, _ role: String) -> JSON {
        ["subjects": .array(subjects), "roleRef": ["kind": .string(kind), "name": .string(role)]]
    }

    @Test func aBindingGivesARoleToItsSubjects() {
        let reader: JSON = ["rules": [rule(["get"], ["pods"])]]
        var roles = table([
            ("clusterroles/reader", reader), ("roles/a/local", reader),
            ("clusterrolebindings/all", binding([["kind": "Group", "name": "staff"]], "ClusterRole", "reader")),
            ("rolebindings/a/one", binding([["kind": "User", "name": "jane"]], "Role", "local")),
            (
                "rolebindings/b/robots",
                binding([["kind": "ServiceAccount", "name": "robot"]], "ClusterRole", "reader")
            ),
        ])
        func may(_ user: String, in namespace: String, groups: [String] = []) -> Bool {
            roles.decide(request(user, "get", "pods", in: namespace, groups: groups)).isAllowed
        }
        #expect(may("joe", in: "anywhere", groups: ["staff"]))
        #expect(may("jane", in: "a"))
        #expect(!may("jane", in: "b"))
        #expect(!may("jane", in: ""))
        #expect(may("system:serviceaccount:b:robot", in: "b"))
        #expect(!may("system:serviceaccount:a:robot", in: "b"))
        #expect(
            roles.decide(request("jane", "get", "pods", in: "a")).reason
                == "RBAC: allowed by RoleBinding \"one/a\" of Role \"local\" to User \"jane\"")
        // A binding that goes takes what it gave with it.
        roles.apply(Array("/registry/rbac.authorization.k8s.io/rolebindings/a/one".utf8), nil)
        #expect(!may("jane", in: "a"))
    }

    @Test func aRoleThatIsMissingIsNamed() {
        let jane: JSON = ["kind": "User", "name": "jane"]
        let roles = table([
            ("clusterrolebindings/one", binding([jane], "ClusterRole", "gone")),
            ("rolebindings/a/two", binding([jane], "Role", "lost")),
        ])
        #expect(
            roles.decide(request("jane", "get", "pods")).reason
                == "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found")
        #expect(
            roles.decide(request("jane", "get", "pods", in: "a")).reason
                == "RBAC: [clusterrole.rbac.authorization.k8s.io \"gone\" not found, "
                + "role.rbac.authorization.k8s.io \"lost\" not found]")
    }

    @Test func whatIsNotOwnedIsMissing() {
        func missing(_ owned: [JSON], _ wanted: [JSON]) -> [String] {
            PolicyRule.missing(in: owned.map { PolicyRule($0) }, of: wanted.map { PolicyRule($0) })
                .map(\.description)
        }
        let all = rule(["*"], ["*"], groups: ["*"])
        #expect(missing([all], [rule(["get", "list"], ["pods", "pods/log"])]) == [])
        #expect(missing([rule(["get"], ["*/log"])], [rule(["get"], ["pods/log"])]) == [])
        #expect(
            missing([rule(["get"], ["pods"])], [rule(["get", "list", "watch"], ["pods"])])
                == ["{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\" \"watch\"]}"])
        // Names owned are not all names.
        #expect(missing([rule(["get"], ["pods"], names: ["a"])], [rule(["get"], ["pods"])]).count == 1)
        #expect(missing([rule(["get"], ["pods"])], [rule(["get"], ["pods"], names: ["a"])]) == [])
        let paths: JSON = ["verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]]
        #expect(
            missing([["verbs": ["get"], "nonResourceURLs": ["/logs/*"]]], [paths])
                == ["{NonResourceURLs:[\"/metrics\"], Verbs:[\"get\"]}"])
    }

    @Test func aRuleOfTooManyPartsIsNobodys() {
        let many = (0..<400).map { "r\($0)" }
        let huge = PolicyRule(rule(many, many, groups: many))
        func texts(_ list: [String]) -> JSON { .array(list.map { .string($0) }) }
        let some = PolicyRule(rule(["*"], ["r0"], groups: ["*"]))
        #expect(PolicyRule.missing(in: [some], of: [huge]) == [huge])
        #expect(PolicyRule.missing(in: [PolicyRule(rule(["*"], ["*"], groups: ["*"]))], of: [huge]) == [])
        // Many rules below the bound are above it together, and addresses count as well.
        let words = many.prefix(20).map { $0 }
        let large = PolicyRule(rule(words, words, groups: Array(words.prefix(10))))
        let found = PolicyRule.missing(in: [some], of: (0..<1000).map { _ in large })
        #expect(found.reduce(0) { $0 + $1.apiGroups.count * $1.resources.count * $1.verbs.count } < 5_000_000)
        let urls = PolicyRule(["verbs": texts(many), "nonResourceURLs": texts(many.map { "/" + $0 })])
        #expect(PolicyRule.missing(in: [some], of: [urls]) == [urls])
    }

    @Test func theTableOfRolesIsWhole() throws {
        let roles = BootstrapRoles.all.filter { $0.kind == .clusterRole }
        #expect(roles.count == 75)
        for entry in BootstrapRoles.all {
            for rule in PolicyRule.rules(of: entry.object) {
                #expect(!rule.verbs.isEmpty, "\(entry.object.name)")
                #expect(rule.resources.isEmpty != rule.nonResourceURLs.isEmpty, "\(entry.object.name)")
            }
        }
        func object(_ name: String) throws -> JSON {
            try #require(Registry.aggregated(roles).first { $0.object.name == name }).object
        }
        #expect(
            PolicyRule.rules(of: try object("cluster-admin")).map(\.description) == [
                "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}", "{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}",
            ])
        // Who may administrate may edit, and who may edit may view.
        let admin = PolicyRule.rules(of: try object("admin"))
        #expect(admin.contains { $0.resources.contains("endpointslices") })
        #expect(admin.contains { $0.resources.contains("rolebindings") })
        let view = PolicyRule.rules(of: try object("view"))
        #expect(!view.contains { $0.resources.contains("secrets") })
    }

    @Test func whatSomebodyAddedStays() {
        let expected: JSON = [
            "metadata": ["name": "r", "annotations": ["rbac.authorization.kubernetes.io/autoupdate": "true"]],
            "rules": [rule(["get"], ["pods"])],
        ]
        #expect(RoleReconciliation(existing: expected, expected: expected) == .keep)
        var own = expected
        own["rules"] = [rule(["list"], ["nodes"])]
        guard case .update(let merged) = RoleReconciliation(existing: own, expected: expected) else {
            Issue.record("a missing rule is added")
            return
        }
        #expect(PolicyRule.rules(of: merged).map(\.resources) == [["nodes"], ["pods"]])
        own["metadata", "annotations", "rbac.authorization.kubernetes.io/autoupdate"] = "false"
        #expect(RoleReconciliation(existing: own, expected: expected) == .keep)
        let bound: JSON = ["roleRef": ["name": "a"], "subjects": [["name": "x"]]]
        let other: JSON = ["roleRef": ["name": "b"], "subjects": [["name": "x"]]]
        #expect(RoleReconciliation(existing: other, expected: bound) == .replace(bound))
    }
}
