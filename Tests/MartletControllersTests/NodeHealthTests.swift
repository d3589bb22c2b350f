import MartletBase
import MartletControllers
import MartletObject
import Testing

/// A cluster of nodes whose agents renew their Leases every ten seconds while they live, and tell how their pods are.
private struct Nodes {
    var story = Story()
    private var silent: Set<String> = []
    private var zones: [String: String] = [:]

    init(_ names: [String], zone: (String) -> String = { _ in "" }) {
        for name in names {
            zones[name] = zone(name)
            story.put(.node, node(name))
            renew(name)
        }
        story.settle()
    }

    private func node(_ name: String) -> JSON {
        var node: JSON = [
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name)], "spec": [:],
            "status": ["conditions": [["type": "Ready", "status": "True"]]],
        ]
        if let zone = zones[name], !zone.isEmpty {
            node["metadata", "labels"] = JSON(["topology.kubernetes.io/zone": zone])
        }
        return node
    }

    /// `offset` is how far the node's clock is off.
    private mutating func renew(_ name: String, offset: Duration = .zero) {
        story.put(
            .lease,
            [
                "metadata": ["name": .string(name), "namespace": "kube-node-lease"],
                "spec": ["renewTime": .string((story.now + offset).rfc3339Micro)],
            ])
    }

    mutating func pod(_ name: String, on node: String, tolerations: [JSON] = Nodes.usual) {
        story.put(
            .pod,
            [
                "metadata": ["name": .string(name), "namespace": "default"],
                "spec": ["nodeName": .string(node), "tolerations": .array(tolerations), "containers": []],
                "status": ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]],
            ])
    }

    static let usual: [JSON] = ["not-ready", "unreachable"].map {
        [
            "key": .string("node.kubernetes.io/\($0)"), "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 300,
        ]
    }

    mutating func silence(_ names: String...) { silent.formUnion(names) }

    /// An agent that is heard again says at once how its node is.
    mutating func revive(_ name: String) {
        silent.remove(name)
        renew(name)
        guard var node = story.snapshot.get(.node, name: name) else { return }
        node["status"] = self.node(name)["status"]
        story.put(.node, node)
        story.settle()
    }

    mutating func wait(seconds: Int, offset: Duration = .zero) {
        for _ in 0..<seconds {
            story.wait(seconds: 1)
            guard story.now.seconds % 10 == 0 else { continue }
            for node in story.snapshot.list(.node) where !silent.contains(node.name) {
                renew(node.name, offset: offset)
            }
            story.settle()
        }
    }

    func taints(_ name: String) -> [String] {
        (story.snapshot.get(.node, name: name)?["spec", "taints"]?.array ?? []).map {
            "\($0["key"]?.string?.split(separator: "/").last ?? ""):\($0["effect"]?.string ?? "")"
        }
    }
    func ready(_ name: String) -> String? {
        story.snapshot.get(.node, name: name)?["status", "conditions"]?[0]?["status"]?.string
    }
    func pod(_ name: String) -> JSON? { story.snapshot.get(.pod, namespace: "default", name: name) }
    func isReady(_ name: String) -> Bool { pod(name)?["status", "conditions"]?[0]?["status"] == "True" }
}

@Suite("What becomes of nodes that fall silent") struct NodeHealthTests {
    @Test func oneIsSeenDeadWhenItsLeaseRunsOutAndItsPodsLeaveTheServices() {
        var nodes = Nodes(["a", "b", "c"])
        nodes.pod("web", on: "a")
        nodes.wait(seconds: 30)
        nodes.silence("a")
        nodes.wait(seconds: 30)
        #expect(nodes.ready("a") == "True" && nodes.taints("a") == [] && nodes.isReady("web"))
        nodes.wait(seconds: 15)
        #expect(nodes.ready("a") == "Unknown")
        #expect(nodes.taints("a") == ["unreachable:NoSchedule", "unreachable:NoExecute"])
        #expect(!nodes.isReady("web"))
        #expect(nodes.taints("b") == [] && nodes.ready("b") == "True")

        nodes.revive("a")
        #expect(nodes.taints("a") == [])
    }

    @Test func podsOfADeadNodeAreDeletedAfterTheirTime() {
        var nodes = Nodes(["a", "b", "c"])
        nodes.pod("patient", on: "a")
        nodes.pod("hasty", on: "a", tolerations: [])
        nodes.pod("stays", on: "a", tolerations: [["operator": "Exists"]])
        nodes.pod("elsewhere", on: "b", tolerations: [])
        nodes.silence("a")
        nodes.wait(seconds: 60)
        #expect(nodes.pod("hasty")?.isTerminating == true)
        #expect(nodes.pod("patient")?.isTerminating == false)
        nodes.wait(seconds: 300)
        let ended = nodes.pod("patient")
        #expect(ended?.isTerminating == true)
        let mark = ended?["status", "conditions"]?.array?.first { $0["type"] == "DisruptionTarget" }
        #expect(mark?["reason"] == "DeletionByTaintManager")
        #expect(nodes.pod("stays")?.isTerminating == false)
        #expect(nodes.pod("elsewhere")?.isTerminating == false)
        #expect(nodes.story.events.contains("Marking for deletion Pod default/patient"))
    }

    @Test func oneThatIsBackInTimeKeepsItsPods() {
        var nodes = Nodes(["a", "b", "c"])
        nodes.pod("web", on: "a")
        nodes.silence("a")
        nodes.wait(seconds: 120)
        nodes.revive("a")
        nodes.wait(seconds: 600)
        #expect(nodes.pod("web")?.isTerminating == false)
    }

    @Test func nothingIsEvictedWhenAllVanish() {
        var nodes = Nodes(["a", "b", "c"])
        for name in ["a", "b", "c"] { nodes.pod("pod-\(name)", on: name) }
        nodes.silence("a", "b", "c")
        nodes.wait(seconds: 1000)
        for name in ["a", "b", "c"] {
            #expect(nodes.ready(name) == "Unknown")
            #expect(nodes.taints(name) == ["unreachable:NoSchedule"])
            #expect(nodes.pod("pod-\(name)")?.isTerminating == false)
        }
    }

    @Test func mostNodesOfAZoneAreNotBlamedBeyondTheFirst() {
        var nodes = Nodes(["a", "b", "c", "d", "e"])
        for name in ["a", "b", "c", "d"] { nodes.pod("pod-\(name)", on: name, tolerations: []) }
        nodes.silence("a", "b", "c", "d")
        nodes.wait(seconds: 1000)
        let blamed = ["a", "b", "c", "d"].filter { nodes.taints($0).contains("unreachable:NoExecute") }
        #expect(blamed.count <= 1, "\(blamed)")
    }

    @Test func nodesAreBlamedOneAfterTheOther() {
        var nodes = Nodes(["a", "b", "c", "d", "e", "f"])
        nodes.silence("a", "b")
        nodes.wait(seconds: 45)
        func blamed() -> Int { ["a", "b"].count { nodes.taints($0).contains("unreachable:NoExecute") } }
        #expect(blamed() == 1)
        nodes.wait(seconds: 15)
        #expect(blamed() == 2)
    }

    @Test func aZoneThatIsGoneWhollyIsBlamedWhileAnotherLives() {
        var nodes = Nodes(["a", "b", "x", "y"]) { "ab".contains($0) ? "left" : "right" }
        nodes.pod("web", on: "a", tolerations: [])
        nodes.silence("a", "b")
        nodes.wait(seconds: 80)
        #expect(nodes.pod("web")?.isTerminating == true)
    }

    @Test func aClockThatIsOffDoesNotMakeANodeSilent() {
        var nodes = Nodes(["a"])
        nodes.wait(seconds: 200, offset: .seconds(-200))
        #expect(nodes.ready("a") == "True")
        nodes.silence("a")
        nodes.wait(seconds: 60)
        #expect(nodes.ready("a") == "Unknown")
    }

    @Test func anUnreadyNodeIsTaintedAndItsTaintChangesWithItsState() {
        var nodes = Nodes(["a", "b", "c"])
        var node = nodes.story.snapshot.get(.node, name: "a") ?? .null
        node["status", "conditions"] = [["type": "Ready", "status": "False"]]
        nodes.story.put(.node, node)
        nodes.story.settle()
        #expect(nodes.taints("a") == ["not-ready:NoSchedule", "not-ready:NoExecute"])
        let since = nodes.story.snapshot.get(.node, name: "a")?["spec", "taints"]?[1]?["timeAdded"]
        nodes.silence("a")
        nodes.wait(seconds: 60)
        #expect(nodes.taints("a") == ["unreachable:NoSchedule", "unreachable:NoExecute"])
        #expect(nodes.story.snapshot.get(.node, name: "a")?["spec", "taints"]?[1]?["timeAdded"] == since)
    }

    @Test func aTaintOfAUserEndsPodsAfterWhatTheyTolerate() {
        var nodes = Nodes(["a", "b"])
        let briefly: JSON = [
            "key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20,
        ]
        nodes.pod("briefly", on: "a", tolerations: [briefly])
        nodes.pod("not", on: "a", tolerations: [])
        var node = nodes.story.snapshot.get(.node, name: "a") ?? .null
        node["spec", "taints"] = [["key": "maintenance", "effect": "NoExecute"]]
        nodes.story.put(.node, node)
        nodes.story.settle()
        #expect(nodes.pod("not")?.isTerminating == true)
        nodes.wait(seconds: 15)
        #expect(nodes.pod("briefly")?.isTerminating == false)
        nodes.wait(seconds: 10)
        #expect(nodes.pod("briefly")?.isTerminating == true)
    }

    @Test func theTimeOfATolerationBeginsWithItsOwnTaint() {
        var nodes = Nodes(["a", "b"])
        let tolerations: [JSON] = [
            ["key": "dedicated", "operator": "Exists", "effect": "NoExecute"],
            ["key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20],
        ]
        var node = nodes.story.snapshot.get(.node, name: "a") ?? .null
        node["spec", "taints"] = [
            ["key": "dedicated", "effect": "NoExecute", "timeAdded": "2001-01-01T00:00:00Z"],
            ["key": "maintenance", "effect": "NoExecute"],
        ]
        nodes.story.put(.node, node)
        nodes.pod("web", on: "a", tolerations: tolerations)
        nodes.story.settle()
        nodes.wait(seconds: 15)
        #expect(nodes.pod("web")?.isTerminating == false)
        nodes.wait(seconds: 10)
        #expect(nodes.pod("web")?.isTerminating == true)
    }

    @Test func aNodeShortOfSomethingOrCordonedTakesNoNewPods() {
        var nodes = Nodes(["a"])
        var node = nodes.story.snapshot.get(.node, name: "a") ?? .null
        node["status", "conditions"] = [
            ["type": "Ready", "status": "True"], ["type": "DiskPressure", "status": "True"],
            ["type": "MemoryPressure", "status": "False"],
        ]
        node["spec"] = ["unschedulable": true, "taints": [["key": "dedicated", "effect": "NoSchedule"]]]
        nodes.story.put(.node, node)
        nodes.story.settle()
        let taints = nodes.story.snapshot.get(.node, name: "a")?["spec", "taints"]?.array ?? []
        #expect(
            taints.map { $0["key"]?.string } == [
                "dedicated", "node.kubernetes.io/disk-pressure", "node.kubernetes.io/unschedulable",
            ])
        #expect(taints.allSatisfy { $0["effect"] == "NoSchedule" })
        node["status", "conditions"] = [["type": "Ready", "status": "True"]]
        node["spec"] = ["taints": .array(taints)]
        nodes.story.put(.node, node)
        nodes.story.settle()
        #expect(
            nodes.story.snapshot.get(.node, name: "a")?["spec", "taints"]
                == [["key": "dedicated", "effect": "NoSchedule"]])
    }

    @Test func podsOfANodeThatIsGoneAreRemoved() {
        var nodes = Nodes(["a", "b"])
        nodes.pod("web", on: "a")
        nodes.wait(seconds: 60)
        nodes.story.take(ObjectKey(.node, namespace: "", name: "a"))
        nodes.story.settle()
        #expect(nodes.pod("web") == nil)
        // News of a pod may come before that of its node.
        nodes.pod("early", on: "late")
        nodes.wait(seconds: 30)
        #expect(nodes.pod("early") != nil)
        nodes.wait(seconds: 15)
        #expect(nodes.pod("early") == nil)
    }

    @Test func terminatingPodsOfANodeOutOfServiceAreRemoved() {
        var nodes = Nodes(["a", "b"])
        nodes.pod("web", on: "a")
        nodes.pod("kept", on: "a")
        nodes.story.delete(ObjectKey(.pod, namespace: "default", name: "web"))
        nodes.silence("a")
        nodes.wait(seconds: 60)
        #expect(nodes.pod("web") != nil)
        var node = nodes.story.snapshot.get(.node, name: "a") ?? .null
        node["spec", "taints"] = .array(
            (node["spec", "taints"]?.array ?? []) + [
                ["key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoSchedule"]
            ])
        nodes.story.put(.node, node)
        nodes.story.settle()
        #expect(nodes.pod("web") == nil)
        #expect(nodes.pod("kept") != nil)
    }
}

@Suite struct NodeRangeTests {
    private func node(_ name: String) -> JSON {
        ["apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name)], "spec": [:]]
    }

    @Test func eachNodeGetsItsOwnRange() {
        var story = Story()
        for name in ["a", "b", "c"] { story.put(.node, node(name)) }
        story.settle()
        #expect(
            story.snapshot.list(.node).map { $0["spec", "podCIDR"]?.string }
                == ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"])
    }

    @Test func aPieceThatOverlapsAnotherNodesIsNotFree() {
        var story = Story()
        var wide = node("wide")
        wide["spec"] = ["podCIDR": "10.244.0.0/23", "podCIDRs": ["10.244.0.0/23"]]
        story.put(.node, wide)
        story.put(.node, node("next"))
        story.settle()
        #expect(story.snapshot.get(.node, name: "next")?["spec", "podCIDR"] == "10.244.2.0/24")
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
}
