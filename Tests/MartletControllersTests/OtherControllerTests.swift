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

    @Test func oneOfAThousandPodsChangesOneSlice() {
        var story = Story([EndpointSliceController()])
        for number in 0..<1000 { story.put(.pod, placed("p\(1000 + number)", "n", address: number)) }
        story.put(.service, service("web", ["port": 80, "targetPort": 8080]))
        story.settle(limit: 100_000)
        #expect(sizes(story) == Array(repeating: 100, count: 10))

        let before = story.snapshot.list(.endpointSlice)
        // The first of all, in the order of names: none after it moves up.
        story.take(ObjectKey(.pod, namespace: "default", name: "p1000"))
        story.settle(limit: 100_000)
        #expect(zip(before, story.snapshot.list(.endpointSlice)).filter { $0 != $1 }.count == 1)
        #expect(sizes(story) == [99] + Array(repeating: 100, count: 9))
        // Its successor takes the place, wherever its name stands.
        story.put(.pod, placed("p9999", "n", address: 0))
        story.settle(limit: 100_000)
        #expect(zip(before, story.snapshot.list(.endpointSlice)).filter { $0 != $1 }.count == 1)
        #expect(sizes(story) == Array(repeating: 100, count: 10))
    }

    @Test func emptySlicesGoButTheLast() {
        var story = Story([EndpointSliceController()])
        for number in 0..<150 { story.put(.pod, placed("p\(1000 + number)", "n", address: number)) }
        story.put(.service, service("web", ["port": 80, "targetPort": 8080]))
        story.settle(limit: 100_000)
        #expect(sizes(story) == [50, 100])
        for number in 0..<150 { story.take(ObjectKey(.pod, namespace: "default", name: "p\(1000 + number)")) }
        story.settle(limit: 100_000)
        #expect(sizes(story) == [0])
    }

    @Test func aPodWhoseLabelsFitNoMoreIsLeftOut() {
        var story = Story([EndpointSliceController()])
        story.put(.service, service("web", ["port": 80, "targetPort": 8080]))
        story.put(.pod, placed("a", "n", address: 1))
        story.settle()
        #expect(sizes(story) == [1])
        var other = placed("a", "n", address: 1)
        other["metadata", "labels"] = ["app": "other"]
        story.put(.pod, other)
        story.settle()
        #expect(sizes(story) == [0])
    }

    @Test func slicesHaveTheLabelsOfTheirServiceAndThoseOfAHeadlessOneAreMarked() {
        var story = Story([EndpointSliceController()])
        var web = service("web", ["port": 80, "targetPort": 8080])
        web["spec", "clusterIP"] = "10.96.0.1"
        web["metadata", "labels"] = ["team": "a", "service.kubernetes.io/headless": ""]
        story.put(.service, web)
        story.put(.pod, placed("a", "n", address: 1))
        story.settle()
        var labels = [
            "kubernetes.io/service-name": "web", "team": "a",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        ]
        #expect(story.snapshot.list(.endpointSlice).map(\.labels) == [labels])

        // Also those that are there already.
        web["spec", "clusterIP"] = "None"
        web["metadata", "labels"] = ["team": "b"]
        story.put(.service, web)
        story.settle()
        labels["team"] = "b"
        labels["service.kubernetes.io/headless"] = ""
        #expect(story.snapshot.list(.endpointSlice).map(\.labels) == [labels])
        var foreign = story.snapshot.list(.endpointSlice)[0]
        foreign["metadata", "labels", "service.kubernetes.io/headless"] = nil
        story.put(.endpointSlice, foreign)
        story.settle()
        #expect(story.snapshot.list(.endpointSlice).map(\.labels) == [labels] && sizes(story) == [1])
    }

    @Test func trafficDistributionIsHinted() {
        var story = Story([EndpointSliceController()])
        var web = service("web", ["port": 80, "targetPort": 8080])
        story.put(.service, web)
        story.put(.node, machine("n1", zone: nil))
        story.put(.node, machine("n2", zone: "b"))
        story.put(.pod, placed("a", "n1", address: 1))
        story.put(.pod, placed("b", "n2", address: 2))
        var late = placed("c", "n2", address: 3)
        late["status", "conditions"] = []
        story.put(.pod, late)
        story.settle()
        #expect(hints(story) == ["a": "", "b": "", "c": ""])
        #expect(story.snapshot.list(.endpointSlice)[0]["endpoints"]?[1]?["zone"] == "b")

        for close in ["PreferClose", "PreferSameZone"] {
            web["spec", "trafficDistribution"] = .string(close)
            story.put(.service, web)
            story.settle()
            #expect(hints(story) == ["a": "", "b": "b", "c": ""])
        }
        web["spec", "trafficDistribution"] = "PreferSameNode"
        story.put(.service, web)
        // A node is told its zone later.
        story.put(.node, machine("n1", zone: "a"))
        story.settle()
        #expect(hints(story) == ["a": "a @n1", "b": "b @n2", "c": ""])
        web["spec", "trafficDistribution"] = nil
        story.put(.service, web)
        story.settle()
        #expect(hints(story) == ["a": "", "b": "", "c": ""])
    }

    @Test func zonesShareEndpointsByTheirCPUs() {
        var story = Story([EndpointSliceController()])
        var web = service("web", ["port": 80, "targetPort": 8080])
        web["metadata", "annotations"] = ["service.kubernetes.io/topology-mode": "Auto"]
        web["spec", "trafficDistribution"] = "PreferClose"
        story.put(.service, web)
        story.put(.node, machine("n1", zone: "a"))
        story.put(.node, machine("n2", zone: "b"))
        // Four here and two there, and CPUs alike: one is for the other zone.
        for name in ["a", "b", "c", "d"] { story.put(.pod, placed(name, "n1", address: 1)) }
        for name in ["e", "f"] { story.put(.pod, placed(name, "n2", address: 1)) }
        story.settle()
        #expect(hints(story) == ["a": "b", "b": "a", "c": "a", "d": "a", "e": "b", "f": "b"])
        #expect(story.events.last == "Topology Aware Hints has been enabled, addressType: IPv4")
        // Without a zone of every node nobody knows the shares.
        story.put(.node, machine("n3", zone: nil))
        story.settle()
        #expect(Set(hints(story).values) == [""])
        #expect(story.events.last?.hasPrefix("Insufficient Node information") == true)
    }

    // MARK: What there is

    private func sizes(_ story: Story) -> [Int] {
        story.snapshot.list(.endpointSlice).map { $0["endpoints"]?.array?.count ?? 0 }.sorted()
    }

    private func placed(_ name: String, _ node: String, address: Int) -> JSON {
        [
            "metadata": ["name": .string(name), "namespace": "default", "labels": ["app": "web"]],
            "spec": ["nodeName": .string(node), "containers": []],
            "status": [
                "phase": "Running", "podIP": .string("10.244.\(address / 250).\(address % 250 + 1)"),
                "conditions": [["type": "Ready", "status": "True"]],
            ],
        ]
    }

    private func machine(_ name: String, zone: String?) -> JSON {
        var node: JSON = [
            "metadata": ["name": .string(name), "labels": [:]],
            "status": [
                "allocatable": ["cpu": "4"], "conditions": [["type": "Ready", "status": "True"]],
            ],
        ]
        if let zone { node["metadata", "labels", "topology.kubernetes.io/zone"] = .string(zone) }
        return node
    }

    /// Whom each pod is meant for.
    private func hints(_ story: Story) -> [String: String] {
        var hints: [String: String] = [:]
        for endpoint in story.snapshot.list(.endpointSlice).flatMap({ $0["endpoints"]?.array ?? [] }) {
            let said = endpoint["hints"]
            let zones = (said?["forZones"]?.array ?? []).compactMap { $0["name"]?.string }
            let nodes = (said?["forNodes"]?.array ?? []).compactMap { $0["name"]?.string }.map { "@\($0)" }
            hints[endpoint["targetRef", "name"]?.string ?? ""] = (zones + nodes).joined(separator: " ")
        }
        return hints
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

    @Test func theHeadsOfObjectsAreEnough() {
        for finalizer in ["foregroundDeletion", "orphan"] {
            var story = grown(finalizer)
            let key = ObjectKey(.configMap, namespace: "default", name: "parent")
            var whole = story.snapshot
            var parent = whole.get(key) ?? .null
            parent["metadata", "deletionTimestamp"] = .string(story.now.rfc3339)
            parent["data"] = ["a": "b"]
            whole.put(parent, kind: .configMap)
            var heads = Snapshot()
            for object in whole.list(.configMap) { heads.put(object.ownershipHead, kind: .configMap) }
            #expect(heads.get(key)?["data"] == nil)
            var context = ControllerContext(now: story.now, random: SplitMix64(seed: 1))
            let wished = GarbageCollector().reconcile(key, in: heads, &context)
            #expect(!wished.isEmpty)
            #expect(wished == GarbageCollector().reconcile(key, in: whole, &context))
            story.settle()
        }
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
