import HTTPTypes
import MartletObject
import MartletReplica
import MartletStore
import Testing

@testable import MartletGateway

@Suite struct LifecycleTests {
    @Test func nothingNewComesIntoANamespaceThatIsMissingOrGoing() async throws {
        try await TestAPI.run { api in
            let nowhere = await api.post("/api/v1/namespaces/moon/configmaps", Samples.configMap("a"))
            #expect(nowhere.code == 404)
            #expect(nowhere.message == "namespaces \"moon\" not found")
            let made = await api.post("/api/v1/namespaces", ["metadata": ["name": "moon"]]).json
            #expect(made["status", "phase"] == "Active")
            #expect(made.labels["kubernetes.io/metadata.name"] == "moon")
            let going = await api.delete("/api/v1/namespaces/moon").json
            #expect(going["status", "phase"] == "Terminating")
            #expect(going.isTerminating)
            let late = await api.post("/api/v1/namespaces/moon/configmaps", Samples.configMap("a"))
            #expect(late.code == 403)
            #expect(late.json["details", "causes"]?[0]?["reason"] == "NamespaceTerminating")
            #expect(
                late.message
                    == "configmaps \"a\" is forbidden: unable to create new content in namespace moon because it is "
                    + "being terminated")
            // The namespace controller's last word removes it.
            var empty = await api.get("/api/v1/namespaces/moon").json
            empty["spec", "finalizers"] = []
            #expect(await api.put("/api/v1/namespaces/moon/finalize", empty).code == 200)
            #expect(await api.get("/api/v1/namespaces/moon").code == 404)
        }
    }

    @Test func theFirstNamespacesMayNotBeDeleted() async throws {
        try await TestAPI.run { api in
            for name in ["default", "kube-system", "kube-public"] {
                let refused = await api.delete("/api/v1/namespaces/\(name)")
                #expect(refused.code == 403)
                #expect(refused.message == "namespaces \"\(name)\" is forbidden: this namespace may not be deleted")
            }
        }
    }

    @Test func aPodOnANodeIsMarkedAndGoesWhenItsNodeSaysSo() async throws {
        try await TestAPI.run { api in
            let path = "\(Paths.pods)/a"
            let made = await api.post(Paths.pods, Samples.pod("a")).json
            #expect(made["status", "phase"] == "Pending")
            #expect(made["status", "qosClass"] == "BestEffort")
            #expect(made["spec", "serviceAccountName"] == "default")
            let target: JSON = ["target": ["kind": "Node", "name": "n1"]]
            #expect(await api.post("\(path)/binding", target).code == 201)
            let twice = await api.post("\(path)/binding", target)
            #expect(twice.code == 409)
            #expect(
                twice.message
                    == "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n1\"")
            let bound = await api.get(path).json
            #expect(bound["spec", "nodeName"] == "n1")
            #expect(bound["status", "conditions"]?[0]?["type"] == "PodScheduled")
            let marked = await api.delete(path).json
            #expect(marked.isTerminating)
            #expect(marked["metadata", "deletionGracePeriodSeconds"] == 30)
            #expect(await api.delete(path).json.resourceVersion == marked.resourceVersion)
            let shorter = await api.delete(path, ["gracePeriodSeconds": 5]).json
            #expect(shorter["metadata", "deletionGracePeriodSeconds"] == 5)
            let longer = await api.delete("\(path)?gracePeriodSeconds=60").json
            #expect(longer["metadata", "deletionGracePeriodSeconds"] == 5)
            // As upstream: less than nothing is a second.
            let negative = await api.delete(path, ["gracePeriodSeconds": -7]).json
            #expect(negative["metadata", "deletionGracePeriodSeconds"] == 1)
            #expect(await api.delete("\(path)?gracePeriodSeconds=0").code == 200)
            #expect(await api.get(path).code == 404)
        }
    }

    @Test func aPodOnNoNodeGoesAtOnce() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.pods, Samples.pod("a"))
            #expect(await api.delete("\(Paths.pods)/a").json.kind == "Pod")
            #expect(await api.get("\(Paths.pods)/a").code == 404)
            _ = await api.post(Paths.pods, Samples.pod("b"))
            #expect(await api.post("\(Paths.pods)/b/eviction", ["metadata": ["name": "b"]]).code == 201)
            #expect(await api.get("\(Paths.pods)/b").code == 404)
        }
    }

    @Test func aDeletedCollectionIsShownAsAsked() async throws {
        try await TestAPI.run { api in
            for kind in ["Table", "PartialObjectMetadataList"] {
                _ = await api.post(Paths.configMaps, Samples.configMap("a"))
                let reply = await api.send(
                    .delete, Paths.configMaps, accept: "application/json;as=\(kind);v=v1;g=meta.k8s.io")
                #expect(reply.code == 200 && reply.json.kind == kind)
                let row = kind == "Table" ? reply.json["rows"]?[0] : reply.json["items"]?[0]
                #expect(row?["data"] == nil && (kind == "Table") == (row?["cells"] != nil), "\(reply.text)")
                #expect(await api.get(Paths.configMaps).names == [])
            }
        }
    }

    @Test func finalizersAndForegroundHoldAnObjectUntilTheyAreGone() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            let path = "\(Paths.configMaps)/a"
            let held = await api.delete(path, ["propagationPolicy": "Foreground"]).json
            #expect(held["metadata", "finalizers"] == ["foregroundDeletion"])
            #expect(held.isTerminating)
            #expect(await api.get(path).code == 200)
            _ = await api.patch(path, ["metadata": ["finalizers": nil]])
            #expect(await api.get(path).code == 404)
        }
    }

    @Test func preconditionsGuardADeletion() async throws {
        try await TestAPI.run { api in
            let made = await api.post(Paths.configMaps, Samples.configMap("a")).json
            let path = "\(Paths.configMaps)/a"
            #expect(await api.delete(path, ["preconditions": ["uid": "other"]]).code == 409)
            #expect(await api.delete(path, ["preconditions": ["resourceVersion": "1"]]).code == 409)
            let gone = await api.delete(path, ["preconditions": ["uid": .string(made.uid)]])
            #expect(gone.json["status"] == "Success")
            #expect(gone.json["details"] == ["name": "a", "kind": "configmaps", "uid": .string(made.uid)])
        }
    }

    @Test func servicesDrawAddressesAndPortsAndGiveThemBack() async throws {
        try await TestAPI.run { api in
            let first = await api.get("\(Paths.services)/kubernetes").json
            #expect(first["spec", "clusterIP"] == "10.96.0.1")
            let plain = await api.post(Paths.services, Samples.service("a")).json
            let address = plain["spec", "clusterIP"]?.string ?? ""
            #expect(address.hasPrefix("10.96.") && address != "10.96.0.1")
            #expect(plain["spec", "clusterIPs"] == [.string(address)])
            let taken = await api.post(Paths.services, Samples.service("b", ["clusterIP": .string(address)]))
            #expect(taken.code == 422)
            #expect(taken.message.contains("provided IP is already allocated"))
            let outside = await api.post(Paths.services, Samples.service("b", ["clusterIP": "192.0.2.1"]))
            #expect(outside.code == 422)
            let headless = await api.post(Paths.services, Samples.service("h", ["clusterIP": "None"])).json
            #expect(headless["spec", "clusterIP"] == "None")
            #expect(await api.delete("\(Paths.services)/a").code == 200)
            let again = await api.post(Paths.services, Samples.service("b", ["clusterIP": .string(address)]))
            #expect(again.code == 201)
            let open = await api.post(Paths.services, Samples.service("n", ["type": "NodePort"])).json
            let port = open["spec", "ports"]?[0]?["nodePort"]?.int ?? 0
            #expect((30000...32767).contains(port))
            let same: JSON = [
                "type": "NodePort", "ports": [["port": 80, "protocol": "TCP", "nodePort": .int(Int64(port))]],
            ]
            #expect(await api.post(Paths.services, Samples.service("m", same)).code == 422)
            // What an update leaves out stays; a change of type gives the port back.
            let kept = await api.put("\(Paths.services)/n", Samples.service("n", ["type": "NodePort"])).json
            #expect(kept["spec", "ports"]?[0]?["nodePort"]?.int == port)
            #expect(kept["spec", "clusterIP"] == open["spec", "clusterIP"])
            _ = await api.put("\(Paths.services)/n", Samples.service("n", ["type": "ClusterIP"]))
            #expect(await api.post(Paths.services, Samples.service("m", same)).code == 201)
        }
    }

    @Test func aSmallServiceNetworkIsUsedUpToItsLastAddress() async throws {
        try await TestAPI.run { api in
            let allocator = Allocator(
                storage: api.gateway.registry.storage, world: api.world, serviceCIDR: "10.1.0.0/29")
            let network = try #require(allocator.networks.first)
            var seen: Set<String> = []
            for _ in 0..<6 {
                let address = try await allocator.freeAddress(in: network)
                #expect(seen.insert(address).inserted)
                _ = try await api.replica.propose(
                    .init(then: [.put(key: Keys.allocation("serviceips", address), value: [])]))
            }
            #expect(seen == Set((1...6).map { "10.1.0.\($0)" }))
            await #expect(throws: APIError.self) { _ = try await allocator.freeAddress(in: network) }
        }
    }
}
