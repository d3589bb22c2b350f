import MartletObject
import Testing

@testable import MartletGateway

/// `pods/resize`
@Suite struct ResizeTests {
    private static let path = "\(Paths.pods)/a"

    private static func pod(_ containers: JSON...) -> JSON {
        var pod = Samples.pod("a")
        pod["spec", "containers"] = .array(containers)
        return pod
    }

    private static func container(_ name: String = "main", requests: JSON? = nil, limits: JSON? = nil) -> JSON {
        var container: JSON = ["name": .string(name), "image": "registry.test/web:1"]
        if let requests { container["resources", "requests"] = requests }
        if let limits { container["resources", "limits"] = limits }
        return container
    }

    private static let burstable = container(
        requests: ["cpu": "100m", "memory": "64Mi"], limits: ["cpu": "200m", "memory": "128Mi"])

    @Test func resourcesOfContainersChangeAndNothingElse() async throws {
        try await TestAPI.run { api in
            let made = await api.post(Paths.pods, Self.pod(Self.burstable)).json
            // As kubectl patch --subresource resize does it; the rest of the patch is not this subresource's.
            let patch: JSON = [
                "metadata": ["labels": ["not": "here"]],
                "spec": [
                    "nodeName": "elsewhere",
                    "containers": [["name": "main", "image": "other:1", "resources": ["requests": ["cpu": "150m"]]]],
                ],
            ]
            let patched = await api.patch("\(Self.path)/resize?fieldManager=tuner", patch, .strategic)
            #expect(patched.code == 200)
            let container = patched.json["spec", "containers"]?[0] ?? .null
            #expect(container["resources", "requests"] == ["cpu": "150m", "memory": "64Mi"])
            #expect(container["image"] == "registry.test/web:1")
            #expect(patched.json.labels.isEmpty && patched.json["spec", "nodeName"] == nil)
            #expect(patched.json.generation == made.generation + 1)
            let managers = patched.json["metadata", "managedFields"]?.array ?? []
            #expect(managers.contains { $0["manager"] == "tuner" && $0["subresource"] == "resize" })
            #expect(await api.get("\(Self.path)/resize").json == patched.json)

            var put = patched.json
            put["spec", "containers"] = [
                Self.container(
                    requests: ["cpu": "1", "memory": "1Gi"], limits: ["cpu": "2", "memory": "2Gi"])
            ]
            let replaced = await api.put("\(Self.path)/resize", put)
            #expect(replaced.json["spec", "containers"]?[0]?["resources", "limits", "memory"] == "2Gi")
            // Not by the pod itself.
            put["metadata", "resourceVersion"] = nil
            put["spec", "containers"] = [Self.burstable]
            let around = await api.put(Self.path, put)
            #expect(around.code == 422 && around.message.contains("pod updates may not change fields other than"))
        }
    }

    @Test func whatMayNotChangeIsNamed() async throws {
        try await TestAPI.run { api in
            var pod = Self.pod(Self.burstable, Self.container("side", requests: ["cpu": "10m"]))
            pod["spec", "initContainers"] = [Self.container("init", requests: ["cpu": "10m"], limits: ["cpu": "10m"])]
            _ = await api.post(Paths.pods, pod)
            let mutable = "spec: Forbidden: only cpu and memory resources are mutable"
            let faults: [(JSON, String)] = [
                (
                    [["name": "main", "resources": ["limits": ["memory": .null]]]],
                    "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"
                ),
                (
                    [["name": "side", "resources": .null]],
                    "spec.containers[1].resources.requests: Forbidden: resource requests cannot be removed"
                ),
                ([["name": "main", "resources": ["limits": ["ephemeral-storage": "1Gi"]]]], mutable),
                (
                    [
                        [
                            "name": "main",
                            "resizePolicy": [["resourceName": "cpu", "restartPolicy": "RestartContainer"]],
                        ]
                    ],
                    mutable
                ),
                (
                    [["name": "main", "resources": ["requests": ["cpu": "3"]]]],
                    "spec.containers[0].resources.requests: Invalid value: \"3\": must be less than or equal to cpu limit"
                ),
                (
                    [["name": "more", "image": "x"]],
                    "spec.containers: Forbidden: containers may not be added or removed on resize"
                ),
            ]
            for (containers, text) in faults {
                let answer = await api.patch(
                    "\(Self.path)/resize", ["spec": ["containers": containers]], .strategic)
                #expect(answer.code == 422)
                #expect(answer.message.contains(text), "\(answer.message)")
            }
            let initial: JSON = [
                "spec": ["initContainers": [["name": "init", "resources": ["requests": ["cpu": "5m"]]]]]
            ]
            let refused = await api.patch("\(Self.path)/resize", initial, .strategic)
            #expect(refused.message.contains("resources for non-sidecar init containers are immutable"))
            var swapped = await api.get(Self.path).json
            let containers = swapped["spec", "containers"]?.array ?? []
            swapped["spec", "containers"] = .array(containers.reversed())
            let order = await api.put("\(Self.path)/resize", swapped)
            #expect(
                order.message.contains("spec.containers[0].name: Forbidden: containers may not be renamed or reordered")
            )
            #expect(await api.get("\(Paths.pods)/none/resize").code == 404)
            #expect(await api.delete("\(Self.path)/resize").code == 405)
        }
    }

    @Test func theClassOfServiceStays() async throws {
        try await TestAPI.run { api in
            let equal: JSON = ["cpu": "100m", "memory": "64Mi"]
            _ = await api.post(Paths.pods, Self.pod(Self.container(requests: equal, limits: equal)))
            let patch: JSON = ["spec": ["containers": [["name": "main", "resources": ["limits": ["cpu": "1"]]]]]]
            let answer = await api.patch("\(Self.path)/resize", patch, .strategic)
            #expect(answer.code == 422)
            #expect(
                answer.message.contains(
                    "spec: Invalid value: \"Guaranteed\": Pod QOS Class may not change as a result of resizing"))
        }
    }

    @Test func aNodeThatSaysNothingOfResourcesIsNotAskedForAResize() async throws {
        try await TestAPI.run { api in
            var pod = await api.post(Paths.pods, Self.pod(Self.burstable)).json
            pod["status", "containerStatuses"] = [
                [
                    "name": "main", "image": "x", "imageID": "x", "ready": true, "restartCount": 0,
                    "state": ["running": ["startedAt": "2026-01-01T00:00:00Z"]],
                ]
            ]
            #expect(await api.put("\(Self.path)/status", pod).code == 200)
            let patch: JSON = ["spec": ["containers": [["name": "main", "resources": ["requests": ["cpu": "150m"]]]]]]
            let answer = await api.patch("\(Self.path)/resize", patch, .strategic)
            #expect(answer.message.contains("spec: Forbidden: Pod running on node without support for resize"))
        }
    }

    @Test func aPolicyThatCannotBeKeptIsRefused() async throws {
        try await TestAPI.run { api in
            func policy(_ name: JSON, _ policy: JSON) -> JSON {
                var container = Self.burstable
                container["resizePolicy"] = [["resourceName": name, "restartPolicy": policy]]
                var pod = Self.pod(container)
                pod["spec", "restartPolicy"] = "Never"
                return pod
            }
            let unknown = await api.post(Paths.pods, policy("disk", "NotRequired"))
            #expect(unknown.message.contains("resizePolicy: Unsupported value: \"disk\": supported values: \"cpu\""))
            let never = await api.post(Paths.pods, policy("cpu", "RestartContainer"))
            #expect(never.message.contains("must be 'NotRequired' when `restartPolicy` is 'Never'"))
            #expect(await api.post(Paths.pods, policy("cpu", "NotRequired")).code == 201)
        }
    }
}
