import MartletBase
import MartletObject
import Testing

@testable import MartletControllers

@Suite("Roles that gather, and the published authority") struct AccessControllerTests {
    private func wishes(_ controller: any Controller, _ key: ObjectKey, _ snapshot: Snapshot) -> [Intent] {
        var context = ControllerContext(now: WallTime(seconds: 0), random: SplitMix64(seed: 1))
        return controller.reconcile(key, in: snapshot, &context)
    }

    private func role(_ name: String, _ more: JSON) -> JSON {
        var role = more
        role["metadata", "name"] = .string(name)
        return role
    }

    @Test("a role gathers the rules of those that have its label")
    func gathers() throws {
        let controller = RoleAggregationController()
        var snapshot = Snapshot()
        let gatherer = role(
            "all", ["aggregationRule": ["clusterRoleSelectors": [["matchLabels": ["to": "all"]]]], "rules": []])
        let one = role("one", ["metadata": ["labels": ["to": "all"]], "rules": [["verbs": ["get"]]]])
        let other = role("other", ["rules": [["verbs": ["list"]]]])
        for object in [gatherer, one, other] { snapshot.put(object, kind: .clusterRole) }
        let keys = controller.keys(for: one, kind: .clusterRole, in: snapshot)
        #expect(keys == [ObjectKey(.clusterRole, namespace: "", name: "all")])
        guard case .update(_, let gathered) = wishes(controller, keys[0], snapshot).first else {
            Issue.record("the rules are written")
            return
        }
        #expect(gathered["rules"] == [["verbs": ["get"]]])
        snapshot.put(gathered, kind: .clusterRole)
        #expect(wishes(controller, keys[0], snapshot) == [])
    }

    @Test("every namespace has the authority, and it is put right")
    func publishes() {
        let controller = RootAuthorityController(authority: "PEM")
        let key = ObjectKey(.namespace, namespace: "", name: "a")
        var snapshot = Snapshot()
        snapshot.put(["metadata": ["name": "a"]], kind: .namespace)
        guard case .create(.configMap, var map) = wishes(controller, key, snapshot).first else {
            Issue.record("the map is made")
            return
        }
        #expect(map["data"] == ["ca.crt": "PEM"])
        snapshot.put(map, kind: .configMap)
        #expect(wishes(controller, key, snapshot) == [])
        map["data", "ca.crt"] = "other"
        snapshot.put(map, kind: .configMap)
        #expect(wishes(controller, key, snapshot).count == 1)
    }

    @Test("while authorities are rotated, every namespace has those that are trusted")
    func publishesTheTrusted() {
        let controller = RootAuthorityController(authority: "OLD")
        var snapshot = Snapshot()
        for name in ["a", "b"] { snapshot.put(["metadata": ["name": .string(name)]], kind: .namespace) }
        let trusted: JSON = [
            "metadata": ["name": "martlet-pki", "namespace": "kube-system"], "data": ["ca.crt": "OLD NEW"],
        ]
        snapshot.put(trusted, kind: .configMap)
        let keys = controller.keys(for: trusted, kind: .configMap, in: snapshot)
        #expect(Set(keys.map(\.name)) == ["a", "b"])
        for key in keys {
            guard case .create(.configMap, let map) = wishes(controller, key, snapshot).first else {
                Issue.record("the map is made")
                continue
            }
            #expect(map["data", "ca.crt"] == "OLD NEW")
        }
    }
}
