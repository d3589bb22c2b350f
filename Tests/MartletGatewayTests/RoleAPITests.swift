import HTTPTypes
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

/// Roles through the API.
@Suite struct RoleAPITests {
    private let jane = Identity(user: "jane", groups: ["system:authenticated"])

    @Test func aBindingCountsFromTheAnswerOn() async throws {
        try await TestAPI.run { api in
            for _ in 0..<3 {
                #expect(await api.send(.get, Paths.pods, as: jane).code == 403)
                let binding: JSON = [
                    "metadata": ["name": "view"], "roleRef": ["kind": "ClusterRole", "name": "view"],
                    "subjects": [["kind": "User", "name": "jane"]],
                ]
                #expect(await api.post("\(Paths.roles)/namespaces/default/rolebindings", binding).code == 201)
                #expect(await api.send(.get, Paths.pods, as: jane).code == 200)
                #expect(await api.delete("\(Paths.roles)/namespaces/default/rolebindings/view").code == 200)
            }
            #expect(await api.send(.get, Paths.pods, as: jane).code == 403)
        }
    }

    @Test func nobodyGivesAwayWhatTheyDoNotHave() async throws {
        try await TestAPI.run { api in
            let binding: JSON = [
                "metadata": ["name": "adm"], "roleRef": ["kind": "ClusterRole", "name": "admin"],
                "subjects": [["kind": "User", "name": "jane"]],
            ]
            let local = "\(Paths.roles)/namespaces/default"
            #expect(await api.post("\(local)/rolebindings", binding).code == 201)
            func role(_ name: String, _ resources: JSON) -> [UInt8] {
                let rule: JSON = ["apiGroups": [""], "resources": resources, "verbs": ["get", "list"]]
                let role: JSON = ["metadata": ["name": .string(name)], "rules": [rule]]
                return role.encoded()
            }
            #expect(await api.send(.post, "\(local)/roles", role("a", ["pods"]), as: jane).code == 201)
            let refused = await api.send(.post, "\(local)/roles", role("b", ["nodes"]), as: jane)
            #expect(refused.code == 403)
            #expect(
                refused.message
                    == "roles.rbac.authorization.k8s.io \"b\" is forbidden: user \"jane\" "
                    + "(groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently "
                    + "held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}")
            // An update that leaves the rules as they are gives nothing.
            #expect(await api.send(.post, "\(local)/roles", role("c", ["pods"]), as: TestAPI.admin).code == 201)
            // Nor may a binding give a role that is larger than one's own.
            var large = binding
            large["metadata", "name"] = "all"
            large["roleRef", "name"] = "cluster-admin"
            let bound = await api.send(.post, "\(local)/rolebindings", large.encoded(), as: jane)
            #expect(bound.code == 403)
            #expect(bound.message.contains("is attempting to grant RBAC permissions not currently held"))
            large["roleRef", "name"] = "nothing"
            let lost = await api.send(.post, "\(local)/rolebindings", large.encoded(), as: jane)
            #expect(lost.code == 404)
            #expect(lost.message == "clusterrole.rbac.authorization.k8s.io \"nothing\" not found")
        }
    }

    @Test func aLabelThatHasARoleGatheredGivesItsRulesAway() async throws {
        try await TestAPI.run { api in
            let clerk: JSON = [
                "metadata": ["name": "clerk"],
                "rules": [
                    [
                        "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
                        "verbs": ["get", "patch", "update"],
                    ]
                ],
            ]
            #expect(await api.post("\(Paths.roles)/clusterroles", clerk).code == 201)
            let binding: JSON = [
                "metadata": ["name": "clerk"], "roleRef": ["kind": "ClusterRole", "name": "clerk"],
                "subjects": [["kind": "User", "name": "jane"]],
            ]
            #expect(await api.post("\(Paths.roles)/clusterrolebindings", binding).code == 201)
            func change(_ name: String, _ patch: JSON) async -> Reply {
                await api.send(
                    .patch, "\(Paths.roles)/clusterroles/\(name)", patch.encoded(), as: jane,
                    type: "application/merge-patch+json")
            }
            let label: JSON = ["metadata": ["labels": ["rbac.authorization.k8s.io/aggregate-to-view": "true"]]]
            let refused = await change("cluster-admin", label)
            #expect(refused.code == 403)
            #expect(refused.message.contains("is attempting to grant RBAC permissions not currently held"))
            // Nor may a role that gathers be made one that does not, for then nothing tightens it any more.
            #expect(await change("view", ["aggregationRule": nil]).code == 403)
            // A role whose rules are one's own may be labelled; and the end of any may be waited for.
            #expect(await change("clerk", label).code == 200)
            #expect(await change("edit", ["metadata": ["finalizers": ["example.com/a"]]]).code == 200)
        }
    }

    @Test func onlyTheClusterItselfNamesEndpointsOnTheMachine() async throws {
        try await TestAPI.run { api in
            let binding: JSON = [
                "metadata": ["name": "adm"], "roleRef": ["kind": "ClusterRole", "name": "cluster-admin"],
                "subjects": [["kind": "User", "name": "jane"]],
            ]
            #expect(await api.post("\(Paths.roles)/clusterrolebindings", binding).code == 201)
            func slice(_ name: String, _ address: String) -> [UInt8] {
                let slice: JSON = [
                    "metadata": ["name": .string(name)], "addressType": "IPv4",
                    "endpoints": [["addresses": [.string(address)]]],
                ]
                return slice.encoded()
            }
            let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
            let refused = await api.send(.post, path, slice("a", "127.0.0.1"), as: jane)
            #expect(refused.code == 422)
            #expect(
                refused.message.hasSuffix(
                    "endpoints[0].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range "
                        + "(127.0.0.0/8, ::1/128)"))
            #expect(await api.send(.post, path, slice("b", "10.1.2.3"), as: jane).code == 201)
            #expect(await api.send(.post, path, slice("c", "127.0.0.1")).code == 201)
            for address in ["169.254.169.254", "0.0.0.0", "224.0.0.1"] {
                #expect(
                    await api.send(.post, path, slice("d", address)).code == 422, "not even the cluster: \(address)")
            }
        }
    }

    @Test func questionsAreAnswered() async throws {
        try await TestAPI.run { api in
            let me = await api.send(
                .post, "/apis/authentication.k8s.io/v1/selfsubjectreviews", Array("{}".utf8), as: jane)
            #expect(me.code == 201)
            #expect(me.json["status", "userInfo", "username"] == "jane")
            func may(_ verb: String, _ resource: String) async -> JSON? {
                let review: JSON = [
                    "spec": [
                        "resourceAttributes": [
                            "namespace": "default", "verb": .string(verb), "resource": .string(resource),
                        ]
                    ]
                ]
                return await api.send(.post, "\(Paths.reviews)/selfsubjectaccessreviews", review.encoded(), as: jane)
                    .json["status", "allowed"]
            }
            #expect(await may("list", "pods") == false)
            await api.allow("list", "pods", to: [("User", "jane")])
            #expect(await may("list", "pods") == true)
            #expect(await may("list", "secrets") == false)
            let rules = await api.send(
                .post, "\(Paths.reviews)/selfsubjectrulesreviews", Array(#"{"spec":{"namespace":"default"}}"#.utf8),
                as: jane)
            #expect(rules.json["status", "incomplete"] == false)
            #expect((rules.json["status", "resourceRules"]?.array ?? []).contains { $0["resources"] == ["pods"] })
            let other: JSON = [
                "spec": ["user": "jane", "nonResourceAttributes": ["path": "/metrics", "verb": "get"]]
            ]
            #expect(await api.post("\(Paths.reviews)/subjectaccessreviews", other).json["status", "allowed"] == false)
            #expect(await api.post("\(Paths.reviews)/subjectaccessreviews", ["spec": ["user": "x"]]).code == 422)
            #expect(
                await api.send(.post, "\(Paths.reviews)/subjectaccessreviews", other.encoded(), as: jane).code == 403)
            #expect(await api.get("\(Paths.reviews)/subjectaccessreviews").code == 405)
        }
    }

    @Test func impersonationNeedsARoleForEachPart() async throws {
        try await TestAPI.run { api in
            func ask(_ fields: [(String, String)]) async -> Reply {
                var request = api.request(.post, "/apis/authentication.k8s.io/v1/selfsubjectreviews", Array("{}".utf8))
                for (name, value) in fields {
                    guard let name = HTTPField.Name(name) else { continue }
                    request.head.headerFields.append(HTTPField(name: name, value: value))
                }
                return await TestAPI.collect(await api.gateway.serve(request, as: jane))
            }
            await api.allow("impersonate", "users", to: [("User", "jane")])
            let plain = await ask([("Impersonate-User", "joe")])
            #expect(plain.code == 201)
            #expect(plain.json["status", "userInfo", "username"] == "joe")
            let grouped = await ask([("Impersonate-User", "joe"), ("Impersonate-Group", "system:masters")])
            #expect(grouped.code == 403)
            #expect(grouped.message.contains("cannot impersonate resource \"groups\""))
            await api.allow("impersonate", "groups", to: [("User", "jane")])
            #expect(await ask([("Impersonate-User", "joe"), ("Impersonate-Group", "staff")]).code == 201)
            let more = await ask([("Impersonate-User", "joe"), ("Impersonate-Extra-Team%2Fa", "x")])
            #expect(more.code == 403)
            #expect(more.message.contains("\"userextras/team/a\" in API group \"authentication.k8s.io\""))
            #expect(await ask([("Impersonate-User", "joe"), ("Impersonate-Uid", "1")]).code == 403)
        }
    }
}
