import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletClient

private func client(_ answers: [@Sendable (Request) -> Response]) -> (Client, Script) {
    let world = HastyWorld()
    let script = Script(answers)
    return (Client(transport: InProcessTransport(in: world) { await script.handle($0) }, in: world), script)
}

private func status(_ code: Int, _ reason: String) -> Response {
    json(
        ["kind": "Status", "apiVersion": "v1", "code": .int(Int64(code)), "reason": .string(reason), "message": "m"],
        status: .init(code: code))
}

@Suite struct Requesting {
    @Test func eachCallIsTheRequestThatKubernetesKnows() async throws {
        let ok: @Sendable (Request) -> Response = { _ in json(pod("p", 1)) }
        let (client, script) = client(Array(repeating: ok, count: 8))
        #expect(try await client.get(.pod, namespace: "n", name: "p").name == "p")
        _ = try await client.get(.node, name: "a b")
        let object: JSON = ["metadata": ["name": "p", "namespace": "n"]]
        _ = try await client.create(.pod, object)
        _ = try await client.update(.pod, object)
        _ = try await client.updateStatus(.deployment, object)
        _ = try await client.patch(.pod, namespace: "n", name: "p", type: .strategic, ["a": 1])
        try await client.delete(.pod, namespace: "n", name: "p")
        try await client.delete(.pod, namespace: "n", name: "p", uid: "u", graceSeconds: 0)
        let asked = await script.asked
        let typed = #"{"metadata":{"name":"p","namespace":"n"},"apiVersion":"v1","kind":"Pod"}"#
        let path = "/api/v1/namespaces/n/pods"
        #expect(
            asked == [
                "GET \(path)/p", "GET /api/v1/nodes/a%20b", "POST \(path) \(typed)", "PUT \(path)/p \(typed)",
                "PUT /apis/apps/v1/namespaces/n/deployments/p/status "
                    + #"{"metadata":{"name":"p","namespace":"n"},"apiVersion":"apps/v1","kind":"Deployment"}"#,
                #"PATCH \#(path)/p {"a":1}"#, "DELETE \(path)/p",
                #"DELETE \#(path)/p {"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u"},"#
                    + #""gracePeriodSeconds":0}"#,
            ])
        #expect(await script.contentTypes[5] == "application/strategic-merge-patch+json")
    }

    @Test func aRefusalIsAnAPIError() async throws {
        let (client, _) = client([
            { _ in status(404, "NotFound") }, { _ in status(409, "Conflict") }, { _ in status(409, "AlreadyExists") },
            { _ in Response(status: .badGateway, contentType: "text/plain", bytes: Array("down".utf8)) },
        ])
        var errors: [APIError] = []
        for _ in 0..<4 {
            do {
                _ = try await client.get(.pod, namespace: "n", name: "p")
            } catch let error as APIError {
                errors.append(error)
            }
        }
        #expect(errors.map(\.code) == [404, 409, 409, 502])
        #expect(errors.map(\.isNotFound) == [true, false, false, false])
        #expect(errors.map(\.isConflict) == [false, true, false, false])
        #expect(errors.map(\.isAlreadyExists) == [false, false, true, false])
        #expect(errors[3].message == "down")
    }

    @Test func applyPatchesWhatIsThereAndCreatesWhatIsNot() async throws {
        let (client, script) = client([
            { _ in status(404, "NotFound") }, { _ in status(409, "AlreadyExists") }, { _ in json(pod("p", 2)) },
        ])
        let object: JSON = ["metadata": ["name": "p", "namespace": "n"]]
        #expect(try await client.apply(.pod, object).resourceVersion == "2")
        #expect(await script.asked.map { $0.prefix(5) } == ["PATCH", "POST ", "PATCH"])
        #expect(await script.contentTypes[0] == "application/merge-patch+json")
    }

    @Test func aListFallsBackToOnePieceWhenItsTokenExpires() async throws {
        let (client, script) = client([
            { _ in
                json(["metadata": ["resourceVersion": "5", "continue": "t"], "items": [["metadata": ["name": "a"]]]])
            },
            { _ in status(410, "Expired") },
            { _ in
                json([
                    "metadata": ["resourceVersion": "7"],
                    "items": [["metadata": ["name": "a"]], ["metadata": ["name": "b"]]],
                ])
            },
        ])
        let (items, version) = try await client.list(.node, fieldSelector: "metadata.name!=x")
        #expect(items.map(\.name) == ["a", "b"] && version == "7")
        #expect(items[0].kind == "Node" && items[0].apiVersion == "v1")
        #expect(await script.asked.last == "GET /api/v1/nodes?fieldSelector=metadata.name%21%3Dx")
    }

    @Test func aClaimIsReleasedWhenNoPodOfTheAPIUsesIt() async throws {
        let claim: JSON = ["metadata": ["name": "disk", "namespace": "n", "uid": "u", "resourceVersion": "7"]]
        let using: JSON = [
            "metadata": ["name": "p", "namespace": "n"],
            "spec": ["nodeName": "w", "volumes": [["name": "v", "persistentVolumeClaim": ["claimName": "disk"]]]],
        ]
        func pods(_ items: JSON) -> @Sendable (Request) -> Response {
            { _ in json(["metadata": ["resourceVersion": "9"], "items": items]) }
        }
        let (client, script) = client([pods([using]), pods([]), { _ in json(claim) }])
        let release = Intent.release(claim: claim, claim.metadataPatch(["finalizers": []]))
        #expect(try await client.perform(release, as: "x") == nil)
        #expect(try await client.perform(release, as: "x")?.name == "disk")
        let asked = await script.asked
        #expect(asked.map { $0.split(separator: " ")[0] } == ["GET", "GET", "PATCH"])
        #expect(asked[0].contains("/api/v1/namespaces/n/pods"))
        #expect(
            asked[2] == "PATCH /api/v1/namespaces/n/persistentvolumeclaims/disk "
                + #"{"metadata":{"finalizers":[],"uid":"u","resourceVersion":"7"}}"#)
    }

    @Test func intentsBecomeBindingsAndEvents() async throws {
        let (client, script) = client([
            { _ in json(["kind": "Status"]) }, { _ in json(["kind": "Event"]) }, { _ in json(pod("owner", 1)) },
        ])
        let key = ObjectKey(.pod, namespace: "n", name: "p")
        try await client.perform(.bind(pod: key, uid: "u", node: "w"), as: "scheduler")
        try await client.perform(
            .event(about: key, uid: "u", type: "Warning", reason: "Failed", message: "why"), as: "node")
        // The owner lives with another uid: what it owned before is collected. Here the owner is the same: kept.
        try await client.perform(
            .collect(key, uid: "u", owners: [ObjectKey(.pod, namespace: "n", name: "owner"): ""]), as: "gc")
        try await client.perform(.requeue(key, afterMilliseconds: 5), as: "x")
        let asked = await script.asked
        #expect(asked.count == 3)
        #expect(
            asked[0]
                == "POST /api/v1/namespaces/n/pods/p/binding "
                + #"{"apiVersion":"v1","kind":"Binding","metadata":{"name":"p","namespace":"n","uid":"u"},"#
                + #""target":{"apiVersion":"v1","kind":"Node","name":"w"}}"#)
        let body = asked[1].dropFirst("POST /api/v1/namespaces/n/events ".count)
        let event = try JSON(parsing: Array(body.utf8))
        #expect(event.name.hasPrefix("p.") && event.namespace == "n")
        #expect(event["involvedObject", "uid"]?.string == "u" && event["count"]?.int == 1)
        #expect(event["firstTimestamp"]?.string == "2023-11-14T22:13:20Z")
        #expect(event["source", "component"]?.string == "node" && event["type"]?.string == "Warning")
    }
}
