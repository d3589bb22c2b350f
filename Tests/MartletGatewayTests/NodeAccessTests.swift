import HTTPTypes
import MartletObject
import Testing

@testable import MartletGateway

/// What nodes may do.
@Suite struct NodeAccessTests {
    private func node(_ name: String) -> Identity {
        Identity(user: "system:node:\(name)", groups: ["system:nodes", "system:authenticated"])
    }

    private func graph(_ pods: [(String, node: String, spec: JSON)]) -> NodeGraph {
        var graph = NodeGraph()
        for (name, node, spec) in pods {
            var pod: JSON = ["metadata": ["name": .string(name), "namespace": "a"], "spec": spec]
            pod["spec", "nodeName"] = .string(node)
            graph.apply(Keys.object(.pod, namespace: "a", name: name), pod.encoded())
        }
        return graph
    }

    private func decide(
        _ graph: NodeGraph, _ verb: String, _ resource: String, _ name: String = "", namespace: String = "a",
        group: String = "", fields: String = ""
    ) -> Verdict {
        var request = AccessRequest(identity: node("n1"), verb: verb)
        let parts = resource.split(separator: "/").map(String.init)
        request.group = group
        request.resource = parts[0]
        request.subresource = parts.count > 1 ? parts[1] : ""
        request.namespace = namespace
        request.name = name
        request.fieldSelector = (try? FieldSelector.terms(parsing: fields)) ?? []
        return NodeRules.decide(request, node: "n1", graph)
    }

    @Test func aNodeReadsWhatItsPodsName() {
        let spec: JSON = [
            "serviceAccountName": "robot", "imagePullSecrets": [["name": "pull"]],
            "containers": [["envFrom": [["configMapRef": ["name": "env"]]]]],
            "volumes": [
                ["name": "s", "secret": ["secretName": "mounted"]],
                ["name": "c", "persistentVolumeClaim": ["claimName": "disk"]],
                ["name": "p", "projected": ["sources": [["configMap": ["name": "kube-root-ca.crt"]]]]],
            ],
        ]
        var graph = graph([("p1", node: "n1", spec: spec), ("p2", node: "n2", spec: [:])])
        for name in ["pull", "mounted"] { #expect(decide(graph, "get", "secrets", name).isAllowed) }
        for name in ["env", "kube-root-ca.crt"] { #expect(decide(graph, "watch", "configmaps", name).isAllowed) }
        #expect(decide(graph, "get", "persistentvolumeclaims", "disk").isAllowed)
        #expect(decide(graph, "create", "serviceaccounts/token", "robot").isAllowed)
        #expect(decide(graph, "get", "pods", "p1").isAllowed)
        #expect(
            decide(graph, "get", "pods", "p2").reason
                == "no relationship found between node 'n1' and this object")
        #expect(decide(graph, "list", "secrets").reason == "No Object name found")
        #expect(decide(graph, "delete", "secrets", "pull").reason == "can only read resources of this type")
        // A volume that the claim is bound to, and the Secret that opens it.
        let volume: JSON = [
            "spec": [
                "claimRef": ["namespace": "a", "name": "disk"],
                "csi": ["driver": "d", "nodePublishSecretRef": ["name": "open", "namespace": "sys"]],
            ]
        ]
        graph.apply(Keys.object(.persistentVolume, namespace: "", name: "pv"), volume.encoded())
        #expect(decide(graph, "get", "persistentvolumes", "pv", namespace: "").isAllowed)
        #expect(decide(graph, "get", "secrets", "open", namespace: "sys").isAllowed)
        // The pod's end is the end of it.
        graph.apply(Keys.object(.pod, namespace: "a", name: "p1"), nil)
        #expect(!decide(graph, "get", "secrets", "pull").isAllowed)
        #expect(!decide(graph, "get", "persistentvolumes", "pv", namespace: "").isAllowed)
    }

    @Test func whatIsAddedToAPodIsReadToo() {
        var graph = graph([("p1", node: "n1", spec: ["containers": []])])
        #expect(!decide(graph, "get", "secrets", "debug").isAllowed)
        let pod: JSON = [
            "metadata": ["name": "p1", "namespace": "a"],
            "spec": [
                "nodeName": "n1", "containers": [],
                "ephemeralContainers": [["envFrom": [["secretRef": ["name": "debug"]]]]],
            ],
        ]
        graph.apply(Keys.object(.pod, namespace: "a", name: "p1"), pod.encoded())
        #expect(decide(graph, "get", "secrets", "debug").isAllowed)
    }

    @Test func aNodeSeesItselfAndItsPods() {
        let graph = graph([])
        #expect(decide(graph, "get", "nodes", "n1", namespace: "").isAllowed)
        #expect(decide(graph, "patch", "nodes/status", "n1", namespace: "").isAllowed)
        #expect(
            decide(graph, "get", "nodes", "n2", namespace: "").reason
                == "node 'n1' cannot read 'n2', only its own Node object")
        #expect(
            decide(graph, "list", "nodes", namespace: "").reason
                == "node 'n1' cannot read all nodes, only its own Node object")
        #expect(decide(graph, "watch", "pods", namespace: "", fields: "spec.nodeName=n1").isAllowed)
        #expect(
            decide(graph, "watch", "pods", namespace: "", fields: "spec.nodeName=n2").reason
                == "can only list/watch pods with spec.nodeName field selector")
        for fields in [
            "spec.nodeName==n1", "status.phase!=Failed,spec.nodeName=n1", #"status.phase=a\,b,spec.nodeName=n1"#,
        ] {
            #expect(decide(graph, "list", "pods", namespace: "", fields: fields).isAllowed, "\(fields)")
        }
        // An escaped comma ends no term.
        for fields in ["spec.nodeName!=n1", #"status.phase!=a\,spec.nodeName=n1"#] {
            #expect(!decide(graph, "list", "pods", namespace: "", fields: fields).isAllowed, "\(fields)")
        }
        let lease = "coordination.k8s.io"
        #expect(decide(graph, "update", "leases", "n1", namespace: "kube-node-lease", group: lease).isAllowed)
        #expect(!decide(graph, "update", "leases", "n2", namespace: "kube-node-lease", group: lease).isAllowed)
        #expect(decide(graph, "create", "events").isAllowed)
        #expect(decide(graph, "list", "services", namespace: "").isAllowed)
        #expect(!decide(graph, "update", "pods", "p1").isAllowed)
    }

    @Test func theFirstRangeOfANodeIsItsRange() async throws {
        try await TestAPI.run { api in
            let one = await api.post(
                "/api/v1/nodes", ["metadata": ["name": "n1"], "spec": ["podCIDR": "10.244.1.0/24"]])
            #expect(one.json["spec", "podCIDRs"] == ["10.244.1.0/24"])
            let other = await api.post(
                "/api/v1/nodes", ["metadata": ["name": "n2"], "spec": ["podCIDRs": ["10.244.2.0/24", "fd00::/64"]]])
            #expect(other.json["spec", "podCIDR"] == "10.244.2.0/24")
            for change: JSON in [["podCIDR": "10.244.9.0/24"], ["podCIDR": .null, "podCIDRs": .null]] {
                let reply = await api.patch("/api/v1/nodes/n1", ["spec": change])
                #expect(reply.code == 422 && reply.message.contains("may not change podCIDR"), "\(reply.text)")
            }
            // As upstream: where the two differ, the one range counts.
            let kept = await api.patch("/api/v1/nodes/n1", ["spec": ["podCIDRs": ["10.244.9.0/24"]]])
            #expect(kept.code == 200 && kept.json["spec", "podCIDRs"] == ["10.244.1.0/24"])
            #expect(await api.patch("/api/v1/nodes/n1", ["spec": ["unschedulable": true]]).code == 200)
        }
    }

    @Test func aNodeChangesOnlyWhatIsItsOwn() async throws {
        try await TestAPI.run { api in
            func write(_ path: String, _ object: JSON, as name: String = "n1") async -> Reply {
                await api.send(.post, path, object.encoded(), as: self.node(name))
            }
            let made = await write("/api/v1/nodes", ["metadata": ["name": "n1"]])
            #expect(made.code == 201)
            let other = await write("/api/v1/nodes", ["metadata": ["name": "n2"]])
            #expect(other.message == "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"")
            let steering: JSON = [
                "metadata": ["name": "n3", "labels": ["node-restriction.kubernetes.io/a": "b", "own/label": "c"]]
            ]
            #expect(
                await write("/api/v1/nodes", steering, as: "n3").message
                    == "nodes \"n3\" is forbidden: node \"n3\" is not allowed to set the following labels: "
                    + "node-restriction.kubernetes.io/a")
            var tainted = made.json
            tainted["spec", "taints"] = [["key": "a", "effect": "NoSchedule"]]
            let taint = await api.send(.put, "/api/v1/nodes/n1", tainted.encoded(), as: self.node("n1"))
            #expect(taint.message.hasSuffix("node \"n1\" is not allowed to modify taints"))
            var owned = made.json
            owned["metadata", "ownerReferences"] = [
                ["apiVersion": "v1", "kind": "Node", "name": "n9", "uid": "00000000-0000-4000-8000-000000000000"]
            ]
            let owner = await api.send(.put, "/api/v1/nodes/n1/status", owned.encoded(), as: self.node("n1"))
            #expect(owner.message.hasSuffix("node \"n1\" is not allowed to modify ownerReferences"))
            #expect(
                await write(Paths.pods, Samples.pod("p")).message.contains(
                    "can only create mirror pods"))

            var pod = Samples.pod("p")
            pod["spec", "nodeName"] = "n1"
            #expect(await api.post(Paths.pods, pod).code == 201)
            let status: JSON = ["status": ["phase": "Running"]]
            func report(_ name: String) async -> Reply {
                await api.send(
                    .patch, "\(Paths.pods)/p/status", status.encoded(), as: self.node(name),
                    type: PatchType.merge.rawValue)
            }
            #expect(await report("n1").code == 200)
            #expect(
                await report("n2").message
                    == "pods \"p\" is forbidden: node \"n2\" can only update pod status for pods with spec.nodeName "
                    + "set to itself")
            let gone = await api.send(.delete, "\(Paths.pods)/p", as: self.node("n2"))
            #expect(gone.message.hasSuffix("node \"n2\" can only delete pods with spec.nodeName set to itself"))
            // From the moment of the binding on the node reads what the pod names.
            #expect(
                await api.send(.get, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", as: self.node("n1"))
                    .code == 404)
            #expect(
                await api.send(.get, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", as: self.node("n2"))
                    .code == 403)
        }
    }
}
