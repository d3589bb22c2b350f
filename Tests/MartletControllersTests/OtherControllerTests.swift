import MartletBase
import MartletControllers
import MartletObject
import Testing

private func service(_ name: String, _ port: JSON) -> JSON {
    [
        "apiVersion": "v1", "kind": "Service", "metadata": ["name": .string(name), "namespace": "default"],
        "spec": ["selector": ["app": "web"], "ports": [port]],
    ]
}

@Suite struct EndpointSliceTests {
    @Test func readyPodsBecomeReadyEndpointsAndLeavingOnesDoNot() {
        var story = Story()
        story.put(.service, service("web", ["port": 80, "targetPort": 8080, "protocol": "TCP"]))
        story.put(.deployment, deployment("web", replicas: 2, image: "web:1"))
        story.live()
        let slices = story.snapshot.list(.endpointSlice)
        #expect(slices.count == 1)
        #expect(slices[0]["endpoints"]?.array?.count == 2)
        #expect(slices[0]["endpoints"]?[0]?["conditions", "ready"] == true)
        #expect(slices[0]["ports"]?[0]?["port"] == 8080)
        #expect(slices[0].labels["kubernetes.io/service-name"] == "web")
        let victim = story.snapshot.list(.pod)[0]
        story.delete(ObjectKey(.pod, namespace: "default", name: victim.name))
        story.settle()
        let leaving = story.snapshot.list(.endpointSlice)[0]["endpoints"]?.array?.first {
            $0["targetRef", "uid"]?.string == victim.uid
        }
        #expect(leaving?["conditions", "ready"] == false)
        #expect(leaving?["conditions", "serving"] == true)
        #expect(leaving?["conditions", "terminating"] == true)
    }

    @Test func aNamedTargetPortIsLookedUpInThePod() {
        var story = Story()
        story.put(.service, service("web", ["name": "http", "port": 80, "targetPort": "www", "protocol": "TCP"]))
        var object = deployment("web", replicas: 1, image: "web:1")
        object["spec", "template", "spec", "containers"] = [
            ["name": "web", "image": "web:1", "ports": [["name": "www", "containerPort": 8000]]]
        ]
        story.put(.deployment, object)
        story.live()
        #expect(story.snapshot.list(.endpointSlice)[0]["ports"]?[0]?["port"] == 8000)
    }

    @Test func whenTheServiceGoesItsSlicesGo() {
        var story = Story()
        story.put(.service, service("web", ["port": 80, "targetPort": 8080]))
        story.put(.deployment, deployment("web", replicas: 1, image: "web:1"))
        story.live()
        story.take(ObjectKey(.service, namespace: "default", name: "web"))
        story.live()
        #expect(story.snapshot.list(.endpointSlice).isEmpty)
    }

    @Test func aServiceWithBothKindsOfAddressesHasSlicesOfBoth() {
        var story = Story()
        var both = service("web", ["port": 80, "targetPort": 8080])
        both["spec", "ipFamilies"] = ["IPv6", "IPv4"]
        story.put(.service, both)
        for (name, addresses) in [("a", ["10.244.0.7", "fd00:244::7"]), ("b", ["10.244.0.8"])] {
            story.put(
                .pod,
                [
                    "metadata": ["name": .string(name), "namespace": "default", "labels": ["app": "web"]],
                    "status": [
                        "phase": "Running", "podIP": .string(addresses[0]),
                        "podIPs": .array(addresses.map { ["ip": .string($0)] }),
                    ],
                ])
        }
        story.settle()
        func addresses() -> [String: [String]] {
            let slices = story.snapshot.list(.endpointSlice).map { slice in
                let endpoints = slice["endpoints"]?.array ?? []
                return (
                    slice["addressType"]?.string ?? "", endpoints.compactMap { $0["addresses"]?[0]?.string }.sorted()
                )
            }
            return Dictionary(slices) { $0 + $1 }
        }
        #expect(addresses() == ["IPv4": ["10.244.0.7", "10.244.0.8"], "IPv6": ["fd00:244::7"]])
        both["spec", "ipFamilies"] = ["IPv6"]
        story.put(.service, both)
        story.settle()
        #expect(addresses() == ["IPv6": ["fd00:244::7"]])
    }

    @Test func moreThanAHundredEndpointsAreSplit() {
        var story = Story()
        story.put(.service, service("web", ["port": 80, "targetPort": 8080]))
        story.put(.deployment, deployment("web", replicas: 130, image: "web:1"))
        for _ in 0..<10 {
            story.settle(limit: 100_000)
            story.nodesWork()
        }
        let sizes = story.snapshot.list(.endpointSlice).map { $0["endpoints"]?.array?.count ?? 0 }
        #expect(sizes.sorted() == [30, 100])
    }
}

@Suite struct NamespaceTests {
    @Test func aDeletedNamespaceIsEmptiedFirst() {
        var story = Story()
        story.put(
            .namespace,
            [
                "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "default"],
                "spec": ["finalizers": ["kubernetes"]],
            ])
        story.live()
        #expect(story.snapshot.get(.serviceAccount, namespace: "default", name: "default") != nil)
        story.put(.deployment, deployment("web", replicas: 2, image: "web:1"))
        story.live()
        story.delete(ObjectKey(.namespace, namespace: "", name: "default"))
        story.settle()
        #expect(story.snapshot.get(.namespace, name: "default") != nil, "pods still run")
        story.live()
        #expect(story.snapshot.get(.namespace, name: "default") == nil)
        #expect(story.snapshot.list(.pod).isEmpty)
        #expect(story.done.last == "finalize default")
    }
}

@Suite struct NodeTests {
    private func node(_ name: String, ready: String = "True") -> JSON {
        [
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name)],
            "spec": [:], "status": ["conditions": [["type": "Ready", "status": .string(ready)]]],
        ]
    }

    private func lease(_ name: String, _ time: WallTime) -> JSON {
        [
            "metadata": ["name": .string(name), "namespace": "kube-node-lease"],
            "spec": ["renewTime": .string(time.rfc3339Micro)],
        ]
    }

    @Test func eachNodeGetsItsOwnRange() {
        var story = Story()
        for name in ["a", "b", "c"] { story.put(.node, node(name)) }
        story.settle()
        #expect(
            story.snapshot.list(.node).map { $0["spec", "podCIDR"]?.string }
                == ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"])
    }

    @Test func nodesGetARangeOfEachKindOfAddresses() {
        var story = Story([NodeRangeController(podCIDRs: PodCIDR.list("10.244.0.0/16,fd00:244::/48") ?? [])])
        for name in ["a", "b"] { story.put(.node, node(name)) }
        story.settle()
        #expect(
            story.snapshot.list(.node).map { $0["spec", "podCIDRs"] } == [
                ["10.244.0.0/24", "fd00:244::/64"], ["10.244.1.0/24", "fd00:244:0:1::/64"],
            ])
        #expect(story.snapshot.list(.node).last?["spec", "podCIDR"] == "10.244.1.0/24")
    }

    @Test func rangesAreReadAndCut() {
        #expect(PodCIDR("fd00:244::/48")?.range(0xFFFF) == "fd00:244:0:ffff::/64")
        #expect(PodCIDR.list("fd00::/56,10.0.0.0/16")?.map(\.count) == [256, 256])
        for bad in ["fd00::/47", "fd00::/65"] { #expect(PodCIDR(bad) == nil, "\(bad)") }
        for bad in ["10.0.0.0/16,", "10.0.0.0/16,10.1.0.0/16", "10.0.0.0/16,x"] {
            #expect(PodCIDR.list(bad) == nil, "\(bad)")
        }
        #expect(PodCIDR("10.244.7.9/16")?.range(3) == "10.244.3.0/24")
        #expect(PodCIDR("10.0.0.0/23")?.count == 2)
        for bad in ["10.244.0.0", "10.244.0.0/25", "10.244.0/16", "x/16", "10.244.0.0/7", ""] {
            #expect(PodCIDR(bad) == nil, "\(bad)")
        }
    }

    @Test func aSilentNodeIsUnknownAndTakesNoPods() {
        var story = Story()
        story.put(.node, node("a"))
        story.put(.lease, lease("a", story.now))
        story.settle()
        #expect(story.snapshot.get(.node, name: "a")?["spec", "taints"] == nil)
        story.now = story.now + .seconds(41)
        var touched = story.snapshot.get(.node, name: "a") ?? .null
        touched["metadata", "labels", "touched"] = "yes"
        story.put(.node, touched)
        story.settle()
        let silent = story.snapshot.get(.node, name: "a")
        #expect(silent?["status", "conditions"]?[0]?["status"] == "Unknown")
        #expect(silent?["spec", "taints"]?[0]?["key"] == "node.kubernetes.io/unreachable")
        // It speaks again.
        var back = silent ?? .null
        back["status", "conditions"] = [["type": "Ready", "status": "True"]]
        story.put(.node, back)
        story.put(.lease, lease("a", story.now))
        story.settle()
        #expect(story.snapshot.get(.node, name: "a")?["spec", "taints"] == nil)
    }

    @Test func anUnreadyNodeIsTainted() {
        var story = Story()
        story.put(.node, node("a", ready: "False"))
        story.put(.lease, lease("a", story.now))
        story.settle()
        #expect(
            story.snapshot.get(.node, name: "a")?["spec", "taints"]?[0]?["key"] == "node.kubernetes.io/not-ready")
    }
}

@Suite struct GarbageTests {
    private func owned(_ name: String, by owner: JSON) -> JSON {
        [
            "metadata": [
                "name": .string(name), "namespace": "default",
                "ownerReferences": [
                    [
                        "apiVersion": "v1", "kind": "ConfigMap", "name": .string(owner.name),
                        "uid": .string(owner.uid), "blockOwnerDeletion": true,
                    ]
                ],
            ]
        ]
    }

    private func grown(_ finalizer: String?) -> Story {
        var story = Story()
        var parent: JSON = ["metadata": ["name": "parent", "namespace": "default"]]
        if let finalizer { parent["metadata", "finalizers"] = [.string(finalizer)] }
        story.put(.configMap, parent)
        let owner = story.snapshot.get(.configMap, namespace: "default", name: "parent") ?? .null
        story.put(.configMap, owned("child", by: owner))
        story.settle()
        return story
    }

    @Test func foregroundDeletionTakesTheDependentsFirst() {
        var story = grown("foregroundDeletion")
        story.delete(ObjectKey(.configMap, namespace: "default", name: "parent"))
        story.settle()
        #expect(story.done == ["delete ConfigMap child", "update ConfigMap parent"])
        #expect(story.snapshot.list(.configMap).isEmpty)
    }

    @Test func orphanDeletionSetsTheDependentsFree() {
        var story = grown("orphan")
        story.delete(ObjectKey(.configMap, namespace: "default", name: "parent"))
        story.settle()
        #expect(story.snapshot.list(.configMap).map(\.name) == ["child"])
        #expect(story.snapshot.list(.configMap)[0]["metadata", "ownerReferences"]?.array?.isEmpty == true)
    }

    @Test func anOwnerOfTheSameNameButAnotherLifeDoesNotHold() {
        var story = grown(nil)
        story.take(ObjectKey(.configMap, namespace: "default", name: "parent"))
        story.put(.configMap, ["metadata": ["name": "parent", "namespace": "default"]])
        story.settle()
        #expect(story.snapshot.list(.configMap).map(\.name) == ["parent"])
    }

    @Test func eventsGoAfterAnHour() {
        var story = Story()
        let event: JSON = [
            "metadata": ["name": "e", "namespace": "default"], "lastTimestamp": .string(story.now.rfc3339),
        ]
        story.put(.event, event)
        story.settle()
        #expect(story.snapshot.list(.event).count == 1)
        story.now = story.now + .seconds(3601)
        var seen = story.snapshot.list(.event)[0]
        seen["metadata", "labels", "touched"] = "yes"
        story.put(.event, seen)
        story.settle()
        #expect(story.snapshot.list(.event).isEmpty)
    }
}
