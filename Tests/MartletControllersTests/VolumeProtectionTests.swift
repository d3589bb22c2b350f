import MartletBase
import MartletObject
import Testing

@testable import MartletControllers

@Suite("Claims and volumes that are used") struct VolumeProtectionTests {
    private let claimKey = ObjectKey(.persistentVolumeClaim, namespace: "a", name: "disk")
    private let claims = ClaimProtectionController()

    private func wishes(_ controller: any Controller, _ key: ObjectKey, _ snapshot: Snapshot) -> [Intent] {
        var context = ControllerContext(now: WallTime(seconds: 0), random: SplitMix64(seed: 1))
        return controller.reconcile(key, in: snapshot, &context)
    }

    private func held(_ name: String, _ finalizers: [String], isTerminating: Bool, _ more: JSON = [:]) -> JSON {
        var object = more
        object["metadata", "name"] = .string(name)
        object["metadata", "uid"] = "u"
        object["metadata", "resourceVersion"] = "1"
        object["metadata", "finalizers"] = .array(finalizers.map { .string($0) })
        if isTerminating { object["metadata", "deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return object
    }

    private func claim(_ finalizers: [String], isTerminating: Bool = true, _ more: JSON = [:]) -> JSON {
        var claim = held("disk", finalizers, isTerminating: isTerminating, more)
        claim["metadata", "namespace"] = "a"
        // As the snapshot keeps it.
        return claim.ownershipHead
    }

    private func pod(_ volume: JSON, node: String = "n1", _ more: JSON = [:]) -> JSON {
        var pod = more
        pod["metadata", "name"] = "web"
        pod["metadata", "namespace"] = "a"
        pod["metadata", "uid"] = "u-web"
        pod["spec"] = ["nodeName": .string(node), "volumes": [["name": "x", "emptyDir": [:]], volume]]
        return pod
    }

    @Test("a claim stays until the last pod on a node that names it is gone")
    func claimsStay() {
        let using = pod(["name": "d", "persistentVolumeClaim": ["claimName": "disk"]])
        var snapshot = Snapshot()
        let object = claim(["x/y", "kubernetes.io/pvc-protection"])
        snapshot.put(object, kind: .persistentVolumeClaim)
        snapshot.put(using, kind: .pod)
        #expect(claims.needsWhole(using, of: .pod) && !claims.needsWhole(pod(["name": "s"]), of: .pod))
        #expect(claims.keys(for: using, kind: .pod, in: snapshot) == [claimKey])
        #expect(wishes(claims, claimKey, snapshot) == [])
        // A pod that has no node yet will get none.
        var waiting = using
        waiting["spec", "nodeName"] = ""
        // The API is asked whether that is so.
        let free: [Intent] = [.release(claim: object, object.metadataPatch(["finalizers": ["x/y"]]))]
        snapshot.put(waiting, kind: .pod)
        #expect(wishes(claims, claimKey, snapshot) == free)
        snapshot.put(using, kind: .pod)
        snapshot.remove(ObjectKey(.pod, namespace: "a", name: "web"))
        #expect(wishes(claims, claimKey, snapshot) == free)
        snapshot.put(claim(["x/y"]), kind: .persistentVolumeClaim)
        #expect(wishes(claims, claimKey, snapshot) == [])
    }

    @Test("a claim that was made for a pod is free when the pod has been shut down")
    func ephemeralClaims() {
        let key = ObjectKey(.persistentVolumeClaim, namespace: "a", name: "web-d")
        var owned = claim(
            ["kubernetes.io/pvc-protection"],
            ["metadata": ["ownerReferences": [["kind": "Pod", "name": "web", "uid": "u-web", "controller": true]]]])
        owned["metadata", "name"] = "web-d"
        var snapshot = Snapshot()
        snapshot.put(owned, kind: .persistentVolumeClaim)
        let volume: JSON = ["name": "d", "ephemeral": [:]]
        snapshot.put(pod(volume), kind: .pod)
        #expect(claims.keys(for: pod(volume), kind: .pod, in: snapshot) == [key])
        #expect(wishes(claims, key, snapshot) == [])
        let ended: JSON = [
            "metadata": ["deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0]
        ]
        snapshot.put(pod(volume, ended), kind: .pod)
        #expect(
            wishes(claims, key, snapshot) == [.release(claim: owned, owned.metadataPatch(["finalizers": []]))])
    }

    @Test("what is older than its protection gets it, and a volume stays while it is bound")
    func volumesStay() {
        let volumes = VolumeProtectionController()
        let key = ObjectKey(.persistentVolume, namespace: "", name: "pv")
        let bound: JSON = ["status": ["phase": "Bound"]]
        var snapshot = Snapshot()
        let old = held("pv", [], isTerminating: false, bound)
        snapshot.put(old, kind: .persistentVolume)
        let name: JSON = "kubernetes.io/pv-protection"
        #expect(wishes(volumes, key, snapshot) == [.changeMetadata(key, of: old, ["finalizers": [name]])])
        snapshot.put(held("pv", [name.string ?? ""], isTerminating: false, bound), kind: .persistentVolume)
        #expect(wishes(volumes, key, snapshot) == [])
        snapshot.put(held("pv", [name.string ?? ""], isTerminating: true, bound), kind: .persistentVolume)
        #expect(wishes(volumes, key, snapshot) == [])
        let released = held("pv", [name.string ?? ""], isTerminating: true, ["status": ["phase": "Released"]])
        snapshot.put(released, kind: .persistentVolume)
        #expect(wishes(volumes, key, snapshot) == [.changeMetadata(key, of: released, ["finalizers": []])])
    }
}
