import MartletObject
import Testing

@testable import MartletGateway

@Suite struct EphemeralContainerTests {
    private static let path = "\(Paths.pods)/a"
    private static let look: JSON = [
        "name": "look", "image": "registry.test/tools:1", "targetContainerName": "main", "stdin": true, "tty": true,
    ]

    @Test func whatLooksIntoAPodIsAddedAndStays() async throws {
        try await TestAPI.run { api in
            let made = await api.post(Paths.pods, Samples.pod("a")).json
            // As kubectl debug does it.
            let patch: JSON = [
                "metadata": ["labels": ["not": "here"]],
                "spec": ["ephemeralContainers": [Self.look], "nodeName": "elsewhere"],
            ]
            let patched = await api.patch("\(Self.path)/ephemeralcontainers?fieldManager=debug", patch, .strategic)
            #expect(patched.code == 200)
            let added = patched.json["spec", "ephemeralContainers"]?[0] ?? .null
            #expect(added["imagePullPolicy"] == "IfNotPresent")
            #expect(added["terminationMessagePolicy"] == "File")
            #expect(patched.json.labels.isEmpty && patched.json["spec", "nodeName"] == nil)
            #expect(patched.json.generation == made.generation + 1)
            let managers = patched.json["metadata", "managedFields"]?.array ?? []
            #expect(managers.contains { $0["manager"] == "debug" && $0["subresource"] == "ephemeralcontainers" })
            #expect(await api.get("\(Self.path)/ephemeralcontainers").json == patched.json)

            var second = patched.json
            second["spec", "ephemeralContainers"] = [added, ["name": "more", "image": "registry.test/tools:2"]]
            let put = await api.put("\(Self.path)/ephemeralcontainers", second)
            #expect(put.json["spec", "ephemeralContainers"]?.array?.count == 2)

            var refused = put.json
            refused["spec", "ephemeralContainers"] = [added]
            let removal = await api.put("\(Self.path)/ephemeralcontainers", refused)
            #expect(removal.code == 422)
            #expect(removal.message.contains("existing ephemeral containers \"more\" may not be removed"))
            refused = put.json
            refused["spec", "ephemeralContainers"] = [["name": "look", "image": "x"], ["name": "more", "image": "y"]]
            let change = await api.put("\(Self.path)/ephemeralcontainers", refused)
            #expect(change.message.contains("existing ephemeral containers \"look\" may not be changed"))
            // Not by the pod itself, neither new nor changed.
            let around = await api.put(Self.path, refused)
            #expect(around.code == 422 && around.message.contains("pod updates may not change fields other than"))
            var pod = Samples.pod("b")
            pod["spec", "ephemeralContainers"] = [Self.look]
            let new = await api.post(Paths.pods, pod)
            #expect(
                new.message == "Pod \"b\" is invalid: spec.ephemeralContainers: Forbidden: cannot be set on create")
        }
    }

    @Test func whatItMayNotSayIsNamed() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.pods, Samples.pod("a"))
            let faults: [(JSON, String)] = [
                (["name": "main"], "ephemeralContainers[0].name: Duplicate value: \"main\""),
                (["targetContainerName": "none"], "ephemeralContainers[0].targetContainerName: Not found: \"none\""),
                (["ports": [["containerPort": 80]]], "ports: Forbidden: cannot be set for an Ephemeral Container"),
                (
                    ["livenessProbe": ["exec": ["command": ["true"]]]],
                    "livenessProbe: Forbidden: cannot be set for an Ephemeral Container"
                ),
                (
                    ["resources": ["limits": ["cpu": "1"]]],
                    "resources: Forbidden: cannot be set for an Ephemeral Container"
                ),
                (
                    ["volumeMounts": [["name": "v", "mountPath": "/v", "subPath": "x"]]],
                    "volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container"
                ),
            ]
            for (change, text) in faults {
                var container = Self.look
                for (name, value) in change.members { container[name] = value }
                let patch: JSON = ["spec": ["ephemeralContainers": [container]]]
                let answer = await api.patch("\(Self.path)/ephemeralcontainers", patch)
                #expect(answer.code == 422)
                #expect(answer.message.contains(text), "\(answer.message)")
            }
            #expect(await api.get("\(Paths.pods)/none/ephemeralcontainers").code == 404)
            #expect(await api.delete("\(Self.path)/ephemeralcontainers").code == 405)
        }
    }
}
