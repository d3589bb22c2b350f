import FuzzSupport
import HTTPTypes
import MartletBase
import MartletObject
import Testing

@testable import MartletGateway

/// Each built-in kind lives its life through the door.
@Suite struct EveryKindTests {
    private func path(_ kind: ResourceKind, _ name: String? = nil, _ subresource: String? = nil) -> String {
        kind.path(namespace: kind.isNamespaced ? "default" : nil, name: name, subresource: subresource)
    }

    @Test func everyKindIsMadeReadChangedAndDeleted() async throws {
        try await TestAPI.run { api in
            // A definition changes by itself, once it is made.
            for kind in ResourceKind.all where kind.verbs.contains("list") && kind != .customResourceDefinition {
                let label = "\(kind.apiVersion) \(kind.kind)"
                let text = try #require(KindSamples.text(apiVersion: kind.apiVersion, kind: kind.kind), "\(label)")
                let made = await api.send(.post, path(kind), Array(text.utf8))
                #expect(made.code == 201, "\(label): \(made.text)")
                let expected = [kind.deprecationWarning, kind.creationWarning].compactMap { $0 }
                #expect(made.warnings == expected.map { Gateway.warning($0) }, "\(label)")
                let name = made.json.name
                #expect(made.json.apiVersion == kind.apiVersion && made.json.kind == kind.kind)
                let read = await api.get(path(kind, name))
                // A definition gets its conditions right after.
                #expect(read.json == made.json || kind == .customResourceDefinition, "\(label)")
                let list = await api.get(path(kind))
                #expect(list.json.kind == "\(kind.kind)List" && list.names.contains(name), "\(label)")
                let table = await api.get(path(kind), accept: "application/json;as=Table;v=v1;g=meta.k8s.io").json
                #expect((table["rows"]?.array ?? []).isEmpty == false, "\(label)")
                // Writing what was read changes nothing, so that nothing is written.
                let same = await api.put(path(kind, name), read.json)
                #expect(same.code == 200 && same.json == read.json, "\(label): \(same.text)")
                let labelled = await api.patch(path(kind, name), ["metadata": ["labels": ["a": "b"]]], .strategic)
                #expect(labelled.code == 200 && labelled.json.labels["a"] == "b", "\(label): \(labelled.text)")
                #expect(labelled.json.generation == made.json.generation, "\(label)")
                if kind.subresources.contains("status") {
                    let noted = await api.patch(
                        path(kind, name, "status"), ["metadata": ["annotations": ["note": "x"]]])
                    #expect(noted.code == 200 && noted.json.annotations["note"] == "x", "\(label): \(noted.text)")
                }
                let gone = await api.delete(path(kind, name), ["propagationPolicy": "Background"])
                #expect(gone.code == 200, "\(label): \(gone.text)")
            }
        }
    }

    @Test func aDeletionAnswersAsTheDocumentSays() async throws {
        let document = OpenAPI.v2()
        for kind in ResourceKind.all where kind.verbs.contains("delete") {
            let place = kind.path(namespace: kind.isNamespaced ? "{namespace}" : nil, name: "{name}")
            let operation = document["paths"]?[place]?["delete"]
            let answer = operation?["responses", "200", "schema", "$ref"]?.string ?? ""
            let returnsObject = Strategy.of(kind).returnsDeletedObject
            #expect(answer.hasSuffix(returnsObject ? ".\(kind.kind)" : ".Status"), "\(kind.plural): \(answer)")
        }
    }

    @Test func aJobGetsLabelsThatOnlyItsPodsHave() async throws {
        try await TestAPI.run { api in
            let text = try #require(KindSamples.text(apiVersion: "batch/v1", kind: "Job"))
            let job = await api.send(.post, path(.job), Array(text.utf8)).json
            let uid = job.uid
            #expect(
                job["spec", "template"]?.labels == [
                    "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "sample",
                    "controller-uid": uid, "job-name": "sample",
                ])
            #expect(job["spec", "selector"] == ["matchLabels": ["batch.kubernetes.io/controller-uid": .string(uid)]])
            #expect(job.generation == 1 && job.labels["job-name"] == "sample")
            var named = try JSON(parsing: text.utf8)
            named["metadata"] = ["generateName": "run-"]
            let second = await api.post(path(.job), named).json
            #expect(second["spec", "template"]?.labels["job-name"] == second.name)
            // Its pods outlive it unless the caller says otherwise, as with Kubernetes.
            let deleted = await api.delete(path(.job, "sample")).json
            #expect(deleted["metadata", "finalizers"] == ["orphan"])
        }
    }

    @Test func aSignersPartAndAnApproversPartAreKeptApart() async throws {
        try await TestAPI.run { api in
            let kind = ResourceKind.certificateSigningRequest
            let text = try #require(KindSamples.text(apiVersion: kind.apiVersion, kind: kind.kind))
            let made = await api.send(.post, path(kind), Array(text.utf8))
            #expect(made.json["spec", "username"] == "admin", "\(made.text)")
            #expect(made.json["spec", "groups"]?.array?.contains("system:masters") == true)
            let approval: JSON = ["type": "Approved", "status": "True", "reason": "Fine"]
            let pem = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"
            let certificate = JSON.string(Base64.encode(pem.utf8))
            let attempt = await api.patch(path(kind, "sample", "status"), ["status": ["conditions": [approval]]])
            #expect(attempt.json["status", "conditions"] == nil, "\(attempt.text)")
            let approved = await api.patch(
                path(kind, "sample", "approval"), ["status": ["conditions": [approval], "certificate": certificate]])
            #expect(approved.json["status"] == ["conditions": [approval]], "\(approved.text)")
            let signed = await api.patch(path(kind, "sample", "status"), ["status": ["certificate": certificate]])
            #expect(signed.json["status"] == ["conditions": [approval], "certificate": certificate], "\(signed.text)")
        }
    }

    @Test func aReplicationControllerScales() async throws {
        try await TestAPI.run { api in
            let kind = ResourceKind.replicationController
            let text = try #require(KindSamples.text(apiVersion: kind.apiVersion, kind: kind.kind))
            _ = await api.send(.post, path(kind), Array(text.utf8))
            let scaled = await api.patch(path(kind, "sample", "scale"), ["spec": ["replicas": 4]])
            #expect(scaled.json["spec", "replicas"] == 4, "\(scaled.text)")
            #expect(scaled.json["status", "selector"] == "app=web")
            let read = await api.get(path(kind, "sample")).json
            #expect(read["spec", "replicas"] == 4 && read.generation == 2)
            let table = await api.get(
                path(kind, "sample", "scale"), accept: "application/json;as=Table;v=v1;g=meta.k8s.io"
            ).json
            #expect(table["rows"]?[0]?["cells"]?.array?.prefix(3) == ["sample", 4, 0])
        }
    }

    @Test func fieldSelectorsKnowTheKindsFields() async throws {
        try await TestAPI.run { api in
            for (kind, selector) in [
                (ResourceKind.job, "status.successful=0"),
                (.certificateSigningRequest, "spec.signerName=example.com/x"),
                (.replicationController, "status.replicas=0"), (.groupedEvent, "regarding.kind=Pod,reason!=x"),
                (.namespace, "status.phase=Active"), (.statefulSet, "metadata.name=a"),
            ] {
                #expect(await api.get("\(path(kind))?fieldSelector=\(selector)").code == 200, "\(kind.plural)")
            }
            #expect(await api.get("\(path(.job))?fieldSelector=spec.x=0").code == 400)
        }
    }
}
