import HTTPTypes
import MartletObject
import MartletReplica
import Testing

@testable import MartletGateway

@Suite struct VerbTests {
    @Test func anUpdateThatWouldCreateUpdatesWhatSomebodyElseMadeMeanwhile() async throws {
        try await TestAPI.run { api in
            let path = "/api/v1/namespaces/default/endpoints"
            let wanted: JSON = ["metadata": ["name": "e", "labels": ["by": "me"]]]
            let target = Target(kind: .endpoints, namespace: "default", name: "e", subresource: "")
            let (written, isNew) = try await api.gateway.registry.acting(as: TestAPI.admin).updateOrCreate(
                target, body: ObjectBody(bytes: wanted.encoded()), options: WriteOptions()
            ) {
                _ = await api.post(path, ["metadata": ["name": "e", "labels": ["by": "another"]]])
            }
            #expect(!isNew)
            #expect(try JSON(parsing: written.bytes).labels == ["by": "me"])
            #expect(await api.get("\(path)/e").json.labels == ["by": "me"])
        }
    }

    @Test func aCreatedObjectIsReadBackWithTheServersFields() async throws {
        try await TestAPI.run { api in
            let created = await api.post(Paths.configMaps, Samples.configMap("a", ["k": "v"]))
            #expect(created.code == 201)
            #expect(created.json.uid.count == 36 && Array(created.json.uid)[14] == "4")
            #expect(created.json["metadata", "creationTimestamp"]?.string?.hasSuffix("Z") == true)
            #expect(created.json.namespace == "default")
            let read = await api.get("\(Paths.configMaps)/a")
            #expect(read.code == 200)
            #expect(read.json == created.json)
            #expect(read.json["data", "k"] == "v")
        }
    }

    @Test func whatIsMissingOrThereAlreadyIsRefusedInKubernetesWords() async throws {
        try await TestAPI.run { api in
            let missing = await api.get("\(Paths.pods)/x")
            #expect(missing.code == 404)
            #expect(missing.reason == "NotFound")
            #expect(missing.message == "pods \"x\" not found")
            #expect(missing.json["details"] == ["name": "x", "kind": "pods"])
            let deployment = await api.get("\(Paths.deployments)/x")
            #expect(deployment.message == "deployments.apps \"x\" not found")
            #expect(deployment.json["details"] == ["name": "x", "group": "apps", "kind": "deployments"])
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            let twice = await api.post(Paths.configMaps, Samples.configMap("a"))
            #expect(twice.code == 409)
            #expect(twice.reason == "AlreadyExists")
            #expect(twice.message == "configmaps \"a\" already exists")
        }
    }

    @Test func aStaleUpdateConflictsAndAFreshOneDoesNot() async throws {
        try await TestAPI.run { api in
            let first = await api.post(Paths.configMaps, Samples.configMap("a", ["k": "1"])).json
            var second = first
            second["data", "k"] = "2"
            let updated = await api.put("\(Paths.configMaps)/a", second)
            #expect(updated.code == 200)
            #expect(updated.json.resourceVersion != first.resourceVersion)
            let stale = await api.put("\(Paths.configMaps)/a", second)
            #expect(stale.code == 409)
            #expect(stale.reason == "Conflict")
            #expect(
                stale.message
                    == "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply "
                    + "your changes to the latest version and try again")
            // Without a resourceVersion the last writer wins.
            second["metadata", "resourceVersion"] = nil
            second["data", "k"] = "3"
            #expect(await api.put("\(Paths.configMaps)/a", second).json["data", "k"] == "3")
        }
    }

    @Test func anUpdateThatChangesNothingWritesNothing() async throws {
        try await TestAPI.run { api in
            let object = await api.post(Paths.configMaps, Samples.configMap("a", ["k": "1"])).json
            let revision = await api.replica.revision
            let again = await api.put("\(Paths.configMaps)/a", object)
            #expect(again.code == 200)
            #expect(again.json.resourceVersion == object.resourceVersion)
            #expect(await api.replica.revision == revision)
        }
    }

    @Test func patchesOfThreeKindsAreApplied() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a", ["k": "1"]))
            let path = "\(Paths.configMaps)/a"
            #expect(await api.patch(path, ["data": ["k": "2"]]).json["data", "k"] == "2")
            let labelled = await api.patch(path, ["metadata": ["labels": ["x": "y"]]], .strategic)
            #expect(labelled.json.labels == ["x": "y"])
            let replaced = await api.patch(path, [["op": "replace", "path": "/data/k", "value": "3"]], .json)
            #expect(replaced.json["data", "k"] == "3")
            let failed = await api.patch(path, [["op": "test", "path": "/data/k", "value": "9"]], .json)
            #expect(failed.code == 422)
            // kubectl prefers causes to the message, so there are none.
            #expect(failed.message == "the server rejected our request due to an error in our request")
            #expect(failed.json["details"] == [:])
            let operation: JSON = ["op": "test", "path": "/data/k", "value": "3"]
            let many = await api.patch(path, .array(Array(repeating: operation, count: 10_001)), .json)
            #expect(many.code == 413 && many.reason == "RequestEntityTooLarge")
            #expect(many.message.hasSuffix("maximum operations in a JSON patch is 10000, got 10001"))
            let stale = await api.patch(path, ["metadata": ["resourceVersion": "1"], "data": ["k": "4"]])
            #expect(stale.code == 409)
            let unknown = await api.send(.patch, path, Array("{}".utf8), type: "text/plain")
            #expect(unknown.code == 415)
            #expect(
                unknown.message == "the body of the request was in an unknown format - accepted media types include: "
                    + "application/json-patch+json, application/merge-patch+json, "
                    + "application/strategic-merge-patch+json, application/apply-patch+yaml")
            #expect(unknown.reason == "UnsupportedMediaType")
        }
    }

    @Test(arguments: [
        (
            PatchType.json, #"{"op":"test"}"#,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        ),
        (
            .json, #"["add"]"#,
            "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"
        ),
        (
            .json, #"[{"op":"add","path":1}]"#,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string"
        ),
        (
            .merge, "[]",
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        ),
        (.strategic, #""x""#, "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        (.strategic, #"{"spec":{"$retainKeys":"x"}}"#, "invalid patch format of retainKeys"),
    ])
    func whatIsNoPatchIsABadRequest(type: PatchType, patch: String, message: String) async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.deployments, Samples.deployment("web"))
            let path = "\(Paths.deployments)/web"
            let refused = await api.send(.patch, path, Array(patch.utf8), type: type.rawValue)
            #expect(refused.code == 400 && refused.reason == "BadRequest")
            #expect(refused.message == message)
        }
    }

    /// The patch is one, but what it makes is no object of the kind.
    @Test(arguments: [
        (
            PatchType.json, #"[{"op":"add","path":"/spec/replicas","value":"2"}]"#,
            #"{\""#, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        ),
        (.json, #"[{"op":"add","path":"","value":7}]"#, "7", "it is no object"),
        (
            .merge, #"{"metadata":"x"}"#, #"{\""#,
            "json: cannot unmarshal string into Go struct field Deployment.metadata of type v1.ObjectMeta"
        ),
        (
            .merge, #"{"kind":"Pod"}"#, #"{\""#,
            #"Pod in version "v1" cannot be handled as a Deployment"#
        ),
        (
            .strategic, #"{"metadata":{"labels":{"a":["b"]}}}"#, "map[metadata:map[labels:map[a:[b]]]]",
            "unrecognized type: string"
        ),
        (
            .strategic, #"{"spec":{"template":{"spec":{"initContainers":["x"]}}}}"#,
            "map[spec:map[template:map[spec:map[initContainers:[x]]]]]", "cannot restore struct from: string"
        ),
    ])
    func patchesWhoseTypesDoNotFitAreInvalid(
        type: PatchType, patch: String, shown: String, why: String
    ) async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.deployments, Samples.deployment("web"))
            let path = "\(Paths.deployments)/web"
            let refused = await api.send(.patch, path, Array(patch.utf8), type: type.rawValue)
            #expect(refused.code == 422 && refused.reason == "Invalid")
            #expect(
                refused.message.hasPrefix(#" "" is invalid: patch: Invalid value: ""# + shown), "\(refused.message)")
            #expect(refused.message.hasSuffix(why), "\(refused.message)")
        }
    }

    @Test func aStrategicPatchIsOfTheKindOfItsPath() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            let patched = await api.patch("\(Paths.configMaps)/a", ["kind": "Pod", "data": ["k": "v"]], .strategic)
            #expect(patched.code == 200 && patched.json.kind == "ConfigMap")
        }
    }

    @Test func patchesAtTheSameTimeAllHappen() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            await withTaskGroup(of: Int.self) { group in
                for index in 0..<40 {
                    group.addTask { await api.patch("\(Paths.configMaps)/a", ["data": ["k\(index)": "x"]]).code }
                }
                for await code in group { #expect(code == 200) }
            }
            #expect(await api.get("\(Paths.configMaps)/a").json["data"]?.stringMap?.count == 40)
        }
    }

    @Test func aDryRunAnswersAndChangesNothing() async throws {
        try await TestAPI.run { api in
            let revision = await api.replica.revision
            let created = await api.post("\(Paths.configMaps)?dryRun=All", Samples.configMap("a"))
            #expect(created.code == 201)
            #expect(!created.json.uid.isEmpty)
            #expect(await api.get("\(Paths.configMaps)/a").code == 404)
            #expect(await api.replica.revision == revision)
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            #expect(await api.post("\(Paths.configMaps)?dryRun=All", Samples.configMap("a")).code == 409)
            #expect(await api.delete("\(Paths.configMaps)/a?dryRun=All").code == 200)
            let patched = await api.patch("\(Paths.configMaps)/a?dryRun=All", ["data": ["k": "v"]])
            #expect(patched.json["data", "k"] == "v")
            #expect(await api.get("\(Paths.configMaps)/a").json["data", "k"] == nil)
            #expect(await api.post("\(Paths.configMaps)?dryRun=Some", Samples.configMap("b")).code == 422)
        }
    }

    @Test func aGeneratedNameIsThePrefixAndFiveLetters() async throws {
        try await TestAPI.run { api in
            var object = Samples.configMap("x")
            object["metadata", "name"] = nil
            object["metadata", "generateName"] = "job-"
            let one = await api.post(Paths.configMaps, object)
            let two = await api.post(Paths.configMaps, object)
            #expect(one.code == 201 && two.code == 201)
            #expect(one.json.name.hasPrefix("job-") && one.json.name.count == 9)
            #expect(one.json.name != two.json.name)
            object["metadata", "generateName"] = nil
            let nameless = await api.post(Paths.configMaps, object)
            #expect(nameless.code == 422)
            #expect(nameless.message.contains("name or generateName is required"))
        }
    }

    @Test func bodiesOfAnotherKindNameOrNamespaceAreRefused() async throws {
        try await TestAPI.run { api in
            var object = Samples.configMap("a")
            object["metadata", "namespace"] = "other"
            let elsewhere = await api.post(Paths.configMaps, object)
            #expect(elsewhere.code == 400)
            #expect(elsewhere.message.contains("does not match the namespace sent on the request"))
            #expect(await api.post(Paths.configMaps, Samples.pod("a")).code == 400)
            let version = await api.post(Paths.configMaps, Samples.deployment("a"))
            #expect(
                version.message
                    == "the API version in the data (apps/v1) does not match the expected API version (v1)")
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            let renamed = await api.put("\(Paths.configMaps)/a", Samples.configMap("b"))
            #expect(renamed.message == "the name of the object (b) does not match the name on the URL (a)")
            #expect(await api.send(.post, Paths.configMaps, Array("{".utf8)).code == 400)
            #expect(await api.send(.post, Paths.configMaps, Array("{}".utf8), type: "text/plain").code == 415)
            let big = await api.send(.post, Paths.configMaps, [UInt8](repeating: 0x20, count: 3 * 1024 * 1024 + 1))
            #expect(big.code == 413)
            // What the HTTP server refuses before is a Status too.
            let (type, body) = api.gateway.refusal(.contentTooLarge, "the body is over the limit of 3145728 bytes")
            let status = try JSON(parsing: body)
            #expect(type == "application/json" && status.kind == "Status" && status["code"] == 413)
            #expect(status["message"] == "Request entity too large: limit is 3145728")
            #expect(status["reason"] == "RequestEntityTooLarge")
            let bad = try JSON(parsing: api.gateway.refusal(.badRequest, "malformed HTTP: no Host").body)
            #expect(bad["reason"] == "BadRequest" && bad["message"] == "malformed HTTP: no Host")
            let long = try JSON(parsing: api.gateway.refusal(.requestHeaderFieldsTooLarge, "too long").body)
            #expect(long["code"] == 431 && long["status"] == "Failure")
        }
    }

    @Test func statusAndSpecDoNotReachIntoEachOther() async throws {
        try await TestAPI.run { api in
            var object = Samples.deployment("web")
            object["status"] = ["replicas": 7]
            let created = await api.post(Paths.deployments, object).json
            #expect(created["status", "replicas"] == nil)
            #expect(created.generation == 1)
            var status = created
            status["status"] = ["replicas": 2, "observedGeneration": 1]
            status["spec", "replicas"] = 9
            let written = await api.put("\(Paths.deployments)/web/status", status).json
            #expect(written["status", "replicas"] == 2)
            #expect(written["spec", "replicas"] == 2)
            #expect(written.generation == 1)
            let scaled = await api.patch(
                "\(Paths.deployments)/web", ["spec": ["replicas": 5], "status": ["replicas": 8]])
            #expect(scaled.json["status", "replicas"] == 2)
            #expect(scaled.json["spec", "replicas"] == 5)
            #expect(scaled.json.generation == 2)
        }
    }

    @Test func theScaleSubresourceIsAWindowOnTheReplicas() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.deployments, Samples.deployment("web"))
            let path = "\(Paths.deployments)/web/scale"
            let scale = await api.get(path).json
            #expect(scale.kind == "Scale" && scale.apiVersion == "autoscaling/v1")
            #expect(scale["spec", "replicas"] == 2)
            #expect(scale["status", "selector"] == "app=web")
            #expect(await api.patch(path, ["spec": ["replicas": 4]]).json["spec", "replicas"] == 4)
            #expect(await api.put(path, scale).code == 409)
            #expect(await api.patch(path, ["spec": ["replicas": -1]]).code == 422)
            let misfit = await api.patch(path, ["spec": ["replicas": "x"]])
            #expect(misfit.code == 422 && misfit.message.hasSuffix("ScaleSpec.spec.replicas of type int32"))
            var replaced = scale
            replaced["spec", "replicas"] = "x"
            let unread = await api.put(path, replaced)
            #expect(unread.code == 400)
            #expect(unread.message.hasPrefix(#"Scale in version "v1" cannot be handled as a Scale: json: "#))
            #expect(await api.get("\(Paths.deployments)/web").json["spec", "replicas"] == 4)
        }
    }

    @Test func aCollectionIsDeletedByItsSelector() async throws {
        try await TestAPI.run { api in
            for name in ["a", "b"] {
                _ = await api.post(Paths.configMaps, Samples.configMap(name, labels: ["go": "yes"]))
            }
            _ = await api.post(Paths.configMaps, Samples.configMap("c"))
            #expect(await api.delete("\(Paths.configMaps)?labelSelector=go%3Dyes").code == 200)
            #expect(await api.get(Paths.configMaps).names == ["c"])
        }
    }

    @Test func emptyLabelsAndAnnotationsAreNoneAtAll() async throws {
        try await TestAPI.run { api in
            var object = Samples.configMap("a")
            object["metadata", "annotations"] = [:]
            object["metadata", "finalizers"] = []
            let made = await api.post(Paths.configMaps, object).json
            let names = ["labels", "annotations", "finalizers"]
            for name in names { #expect(made["metadata", name] == nil, "\(name)") }
            // As kubectl diff asks: nothing changes, so nothing may seem to.
            let patch: JSON = ["metadata": ["annotations": [:], "labels": [:]]]
            let same = await api.patch("\(Paths.configMaps)/a?dryRun=All", patch).json
            #expect(same == made)
            #expect(await api.patch("\(Paths.configMaps)/a", patch).json == made)
        }
    }
}

@Suite struct HardObjectTests {
    @Test func anObjectTooDeepToBeReadAgainIsNotStored() async throws {
        try await TestAPI.run { api in
            let path = "/apis/apps/v1/namespaces/default/controllerrevisions"
            func revision(_ levels: Int) -> JSON {
                var data: JSON = 1
                for _ in 0..<levels { data = ["a": data] }
                return [
                    "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": ["name": "r"], "revision": 1,
                    "data": data,
                ]
            }
            #expect(await api.post(path, revision(505)).code == 400)
            #expect(await api.post(path, revision(470)).code == 201)
            #expect(await api.patch("\(path)/r", ["revision": 2]).code == 200)
            #expect(await api.delete("\(path)/r").code == 200)
        }
    }

    @Test func aNamespaceStatedForAnObjectOfTheWholeClusterIsDropped() async throws {
        try await TestAPI.run { api in
            let path = "/apis/scheduling.k8s.io/v1/priorityclasses"
            var made: JSON = [
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                "metadata": ["name": "high", "namespace": "default"], "value": 10,
            ]
            let answer = await api.post(path, made)
            #expect(answer.code == 201 && answer.json["metadata", "namespace"] == nil)
            made["description"] = "for what is urgent"
            #expect(await api.put("\(path)/high", made).code == 200)
        }
    }

    @Test func aPodsStatusDoesNotChangeItsOwners() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.pods, Samples.pod("a"))
            let owner: JSON = ["apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"]
            let changed = await api.patch("\(Paths.pods)/a/status", ["metadata": ["ownerReferences": [owner]]])
            #expect(changed.code == 200 && changed.json["metadata", "ownerReferences"] == nil)
        }
    }
}
