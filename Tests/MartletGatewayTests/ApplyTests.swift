import HTTPTypes
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

extension JSON {
    /// `Apply kubectl: {"f:data":...}` of each manager.
    fileprivate var owners: [String] {
        (self["metadata", "managedFields"]?.array ?? []).map { entry in
            let subresource = entry["subresource"]?.string.map { "/\($0)" } ?? ""
            let fields = String(decoding: (entry["fieldsV1"] ?? .null).encoded(), as: UTF8.self)
            return "\(entry["operation"]?.string ?? "") \(entry["manager"]?.string ?? "")\(subresource): \(fields)"
        }
    }
}

@Suite struct ApplyTests {
    private static let path = "\(Paths.configMaps)/shared"
    private static func shared(_ data: [String: String]) -> JSON {
        ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "shared"], "data": JSON(data)]
    }

    @Test func twoTeamsApplyOneObject() async throws {
        try await TestAPI.run { api in
            let created = await api.apply(Self.path, Self.shared(["a": "1"]), by: "red")
            #expect(created.code == 201)
            #expect(created.json.owners == [#"Apply red: {"f:data":{"f:a":{}}}"#])
            let shared = await api.apply(Self.path, Self.shared(["b": "1"]), by: "blue")
            #expect(shared.code == 200)
            #expect(shared.json["data"] == ["a": "1", "b": "1"])

            let conflict = await api.apply(Self.path, Self.shared(["a": "2"]), by: "blue")
            #expect(conflict.code == 409 && conflict.reason == "Conflict")
            #expect(conflict.message == #"Apply failed with 1 conflict: conflict with "red": .data.a"#)
            #expect(
                conflict.json["details", "causes"] == [
                    ["reason": "FieldManagerConflict", "message": #"conflict with "red""#, "field": ".data.a"]
                ])

            let forced = await api.apply(Self.path, Self.shared(["a": "2"]), by: "blue", force: true)
            #expect(forced.json["data"] == ["a": "2"], "b was given up")
            #expect(forced.json.owners == [#"Apply blue: {"f:data":{"f:a":{}}}"#])

            let same = await api.apply(Self.path, Self.shared(["a": "2"]), by: "blue")
            #expect(same.json == forced.json, "nothing to do, not even a new time")
            let gone = await api.apply(Self.path, Self.shared([:]), by: "blue")
            #expect(gone.json["data"] ?? [:] == [:])
        }
    }

    @Test func everyVerbKeepsAccount() async throws {
        try await TestAPI.run { api in
            var request = api.request(.post, Paths.deployments, Samples.deployment("web").encoded())
            request.head.headerFields[.userAgent] = "kubectl/v1.33.0 (linux/amd64) kubernetes/x"
            let made = await TestAPI.collect(await api.gateway.serve(request, as: TestAPI.admin)).json
            let owner = made["metadata", "managedFields", "x"] == nil ? made.owners.first ?? "" : ""
            #expect(owner.hasPrefix(#"Update kubectl: {"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{}"#))
            #expect(owner.contains(#""k:{\"name\":\"web\"}":{".":{},"f:image":{}"#))
            #expect(!owner.contains("f:status") && !owner.contains("f:name\":{}},\"f:uid"))

            let path = "\(Paths.deployments)/web"
            _ = await api.patch(
                "\(path)/status?fieldManager=ctl", ["status": ["replicas": 1], "spec": ["paused": true]])
            _ = await api.patch("\(path)/scale?fieldManager=hpa", ["spec": ["replicas": 5]])
            let owners = await api.get(path).json.owners
            #expect(owners.contains(#"Update ctl/status: {"f:status":{"f:replicas":{}}}"#))
            #expect(owners.contains(#"Update hpa/scale: {"f:spec":{"f:replicas":{}}}"#))
            #expect(owners.filter { $0.contains(#""f:spec":{"#) && $0.contains("f:replicas") }.count == 1)

            let two = Samples.deployment("web", replicas: 1)
            let refused = await api.apply(path, two, by: "me")
            #expect(
                refused.message
                    == #"Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" "#
                    + "using apps/v1: .spec.replicas")
        }
    }

    @Test func statusAndScaleAreAppliedByThemselves() async throws {
        try await TestAPI.run { api in
            let path = "\(Paths.deployments)/web"
            _ = await api.post(Paths.deployments, Samples.deployment("web"))
            let status: JSON = [
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"],
                "spec": ["paused": true], "status": ["replicas": 2],
            ]
            let applied = await api.apply("\(path)/status", status, by: "ctl")
            #expect(applied.json["status", "replicas"] == 2 && applied.json["spec", "paused"] == nil)
            #expect(applied.json.owners.first == #"Apply ctl/status: {"f:status":{"f:replicas":{}}}"#)
            let scale: JSON = ["apiVersion": "autoscaling/v1", "kind": "Scale", "spec": ["replicas": 6]]
            #expect(await api.apply("\(path)/scale", scale, by: "hpa").code == 409)
            let forced = await api.apply("\(path)/scale", scale, by: "hpa", force: true)
            #expect(forced.json["spec", "replicas"] == 6)
            #expect(await api.apply("\(Paths.deployments)/none/status", status, by: "ctl").code == 404)
        }
    }

    @Test func anApplyThatCannotBeIsRefusedInKubernetesWords() async throws {
        try await TestAPI.run { api in
            let nameless = await api.send(
                .patch, Self.path, Self.shared([:]).encoded(), type: "application/apply-patch+yaml")
            #expect(nameless.code == 422)
            #expect(
                nameless.message
                    == #"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply "#
                    + "patch")
            var managed = Self.shared([:])
            managed["metadata", "managedFields"] = []
            #expect(await api.apply(Self.path, managed, by: "x").message == "metadata.managedFields must be nil")
            var misspelt = Self.shared([:])
            misspelt["dat"] = [:]
            let unknown = await api.apply(Self.path, misspelt, by: "x")
            #expect(unknown.code == 400)
            #expect(
                unknown.message
                    == "failed to create typed patch object (/shared; v1, Kind=ConfigMap): .dat: field not declared "
                    + "in schema")
            var uid = Self.shared([:])
            uid["metadata", "uid"] = "u"
            let ghost = await api.apply(Self.path, uid, by: "x")
            #expect(ghost.code == 409 && ghost.message.contains("uid mismatch: the provided object specified uid u"))
            #expect(await api.apply("\(Paths.configMaps)/other", Self.shared([:]), by: "x").code == 400)
            let yaml = await api.send(
                .patch, "\(Self.path)?fieldManager=x", Array("a: b\nc: d: e".utf8),
                type: "application/apply-patch+yaml")
            #expect(yaml.code == 400)
            #expect(
                yaml.message
                    == "error decoding patch: error converting YAML to JSON: yaml: line 2: mapping values are not "
                    + "allowed in this context")
            let force = await api.patch("\(Self.path)?force=true", [:])
            #expect(force.message.hasSuffix("force: Forbidden: may not be specified for non-apply patch"))
        }
    }

    @Test func aDryRunOfAnApplyChangesNothing() async throws {
        try await TestAPI.run { api in
            let dry = await api.apply("\(Self.path)?dryRun=All", Self.shared(["a": "1"]), by: "x")
            #expect(dry.code == 201 && dry.json["data", "a"] == "1")
            #expect(await api.get(Self.path).code == 404)
        }
    }

    @Test func managersAreGivenUpByWritingNone() async throws {
        try await TestAPI.run { api in
            _ = await api.apply(Self.path, Self.shared(["a": "1"]), by: "x")
            let kept = await api.put(Self.path, Self.shared(["a": "1"])).json
            #expect(kept.owners.count == 1, "who knows nothing of the field keeps it")
            let patch: JSON = ["metadata": ["managedFields": [[:]]]]
            #expect(await api.patch(Self.path, patch).json["metadata", "managedFields"] == nil)
            let untracked = await api.patch(Self.path, ["data": ["b": "2"]]).json
            #expect(untracked.owners == [])
            let applied = await api.apply(Self.path, Self.shared(["a": "1"]), by: "x").json
            #expect(
                applied.owners == [
                    #"Apply x: {"f:data":{"f:a":{}}}"#,
                    #"Update before-first-apply: {"f:data":{".":{},"f:a":{},"f:b":{}}}"#,
                ])
        }
    }

    @Test func staleAndForeignAppliesAreConflicts() async throws {
        try await TestAPI.run { api in
            let made = await api.apply(Self.path, Self.shared(["a": "1"]), by: "x").json
            var next = Self.shared(["a": "2"])
            next["metadata", "resourceVersion"] = .string(made.resourceVersion)
            #expect(await api.apply(Self.path, next, by: "x").code == 200)
            let stale = await api.apply(Self.path, next, by: "x")
            #expect(stale.code == 409 && stale.message.contains("the object has been modified"))
        }
    }

    @Test func anUpdateMakesSomeKindsAndNotOthers() async throws {
        try await TestAPI.run { api in
            let service = await api.put("\(Paths.services)/web", Samples.service("web"))
            #expect(service.code == 201 && !service.json.uid.isEmpty)
            #expect(await api.put("\(Paths.services)/web", service.json).code == 200)
            #expect(await api.put("\(Paths.services)/other", Samples.service("web")).code == 400)
            #expect(await api.put(Self.path, Self.shared([:])).code == 404)
        }
    }

    @Test func whatIsGoingIsNotHeldByMore() async throws {
        try await TestAPI.run { api in
            var object = Self.shared([:])
            object["metadata", "finalizers"] = ["a.io/x"]
            _ = await api.post(Paths.configMaps, object)
            _ = await api.delete(Self.path)
            let more = await api.patch(Self.path, ["metadata": ["finalizers": ["a.io/x", "b.io/y"]]])
            #expect(more.code == 422)
            #expect(
                more.message.hasSuffix(
                    "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
                        + #"found new finalizers []string{"b.io/y"}"#))
            #expect(await api.patch(Self.path, ["metadata": ["finalizers": []]]).code == 200)
            #expect(await api.get(Self.path).code == 404)
        }
    }
}
