import MartletBase
import MartletObject
import Testing

@testable import MartletControllers

@Suite("Roles that gather, and the published authority") struct AccessControllerTests {
    private func wishes(
        _ controller: any Controller, _ key: ObjectKey, _ snapshot: Snapshot, at seconds: Int64 = 0
    ) -> [Intent] {
        var context = ControllerContext(now: WallTime(seconds: seconds), random: SplitMix64(seed: 1))
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

    private func secret(_ annotations: JSON) -> JSON {
        [
            "metadata": [
                "name": "s", "namespace": "a", "uid": "u-s", "annotations": annotations,
                "creationTimestamp": .string(WallTime(seconds: 0).rfc3339),
            ], "type": "kubernetes.io/service-account-token",
        ]
    }

    @Test("a Secret that asks for a token of an account gets one, and goes with the account")
    func fillsSecrets() throws {
        let controller = ServiceAccountTokenController(authority: "PEM") { "token of \($0["sub"]?.string ?? "")" }
        let key = ObjectKey(.secret, namespace: "a", name: "s")
        let account: JSON = ["metadata": ["name": "robot", "namespace": "a", "uid": "u-r"]]
        let asking = secret(["kubernetes.io/service-account.name": "robot"])
        var snapshot = Snapshot()
        snapshot.put(asking, kind: .secret)
        #expect(controller.keys(for: asking, kind: .secret, in: snapshot) == [key])
        #expect(wishes(controller, key, snapshot) == [.requeue(key, afterMilliseconds: 10_000)])
        snapshot.put(account, kind: .serviceAccount)
        #expect(controller.keys(for: account, kind: .serviceAccount, in: snapshot) == [key])
        guard case .update(.secret, let filled) = wishes(controller, key, snapshot).first else {
            Issue.record("the Secret is filled")
            return
        }
        #expect(filled.annotations["kubernetes.io/service-account.uid"] == "u-r")
        let told = filled["data"]?.stringMap?.mapValues { String(decoding: Base64.decode($0) ?? [], as: UTF8.self) }
        #expect(
            told == ["ca.crt": "PEM", "namespace": "a", "token": "token of system:serviceaccount:a:robot"])
        snapshot.put(filled, kind: .secret)
        #expect(wishes(controller, key, snapshot) == [])
        // The account goes, and another comes by its name.
        let owner = ObjectKey(.serviceAccount, namespace: "a", name: "robot")
        snapshot.remove(owner)
        #expect(wishes(controller, key, snapshot) == [.collect(key, uid: "u-s", owners: [owner: "u-r"])])
        var other = account
        other["metadata", "uid"] = "u-2"
        snapshot.put(other, kind: .serviceAccount)
        #expect(wishes(controller, key, snapshot) == [.collect(key, uid: "u-s", owners: [owner: "u-r"])])
    }

    @Test("a Secret for an account that never was goes after a while, and other Secrets are let be")
    func secretsWithoutAccounts() {
        let controller = ServiceAccountTokenController(authority: "PEM") { _ in "t" }
        let key = ObjectKey(.secret, namespace: "a", name: "s")
        var snapshot = Snapshot()
        snapshot.put(secret(["kubernetes.io/service-account.name": "nobody"]), kind: .secret)
        #expect(wishes(controller, key, snapshot, at: 11) == [.delete(key, uid: "u-s")])
        var other = secret(["kubernetes.io/service-account.name": "nobody"])
        other["type"] = "Opaque"
        snapshot.put(other, kind: .secret)
        #expect(wishes(controller, key, snapshot, at: 11) == [])
        #expect(!controller.needsWhole(other, of: .secret))
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

    @Test("while authorities are rotated, Secrets with tokens have those that are trusted")
    func tokensShowTheTrusted() {
        let controller = ServiceAccountTokenController(authority: "OLD") { _ in "t" }
        let key = ObjectKey(.secret, namespace: "a", name: "s")
        var snapshot = Snapshot()
        snapshot.put(["metadata": ["name": "robot", "namespace": "a", "uid": "u-r"]], kind: .serviceAccount)
        snapshot.put(secret(["kubernetes.io/service-account.name": "robot"]), kind: .secret)
        guard case .update(.secret, let filled) = wishes(controller, key, snapshot).first else {
            Issue.record("the Secret is filled")
            return
        }
        snapshot.put(filled, kind: .secret)
        let trusted: JSON = [
            "metadata": ["name": "martlet-pki", "namespace": "kube-system"], "data": ["ca.crt": "OLD NEW"],
        ]
        snapshot.put(trusted, kind: .configMap)
        #expect(controller.needsWhole(trusted, of: .configMap))
        #expect(!controller.needsWhole(["metadata": ["name": "other", "namespace": "a"]], of: .configMap))
        #expect(controller.keys(for: trusted, kind: .configMap, in: snapshot) == [key])
        guard case .update(.secret, let renewed) = wishes(controller, key, snapshot).first else {
            Issue.record("the Secret is renewed")
            return
        }
        #expect(renewed["data", "ca.crt"] == .string(Base64.encode("OLD NEW".utf8)))
        #expect(renewed["data", "token"] == filled["data", "token"])
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
