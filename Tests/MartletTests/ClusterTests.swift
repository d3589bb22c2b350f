import Martlet
import MartletTesting
import Testing

private func web(_ replicas: Int, image: String = "app:1") -> JSON {
    [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "namespace": "default"],
        "spec": [
            "replicas": .int(Int64(replicas)), "selector": ["matchLabels": ["app": "web"]],
            "template": [
                "metadata": ["labels": ["app": "web"]],
                "spec": ["containers": [["name": "web", "image": .string(image)]]],
            ],
        ],
    ]
}

private func isRolledOut(_ deployment: JSON, _ replicas: Int) -> Bool {
    let status = deployment["status"]
    return status?["observedGeneration"]?.int == deployment.generation && status?["updatedReplicas"]?.int == replicas
        && status?["availableReplicas"]?.int == replicas && status?["replicas"]?.int == replicas
}

@Suite(.serialized) struct ClusterTests {
    @Test func aDeploymentRunsRollsAndGoes() async throws {
        try await TestCluster.run { cluster in
            _ = try await cluster.client.create(.deployment, web(3))
            _ = try await cluster.wait(for: .deployment, namespace: "default", name: "web") { isRolledOut($0, 3) }
            let pods = try await cluster.client.list(.pod, namespace: "default").items
            #expect(pods.count == 3)
            #expect(pods.allSatisfy { $0["status", "phase"] == "Running" && $0["spec", "nodeName"] == "node" })

            _ = try await cluster.client.apply(.deployment, web(2, image: "app:2"))
            _ = try await cluster.wait(for: .deployment, namespace: "default", name: "web") { isRolledOut($0, 2) }

            try await cluster.client.delete(.deployment, namespace: "default", name: "web")
            for _ in 0..<300 {
                if try await cluster.client.list(.pod, namespace: "default").items.isEmpty { break }
                try await cluster.world.sleep(for: .milliseconds(50))
            }
            #expect(try await cluster.client.list(.pod, namespace: "default").items.isEmpty)
        }
    }

    @Test func whatWasWrittenIsThereAfterARestart() async throws {
        let folder = "/tmp/martlet-restart-\(UInt32.random(in: .min ... .max))"
        defer { try? remove(folder) }
        var configuration = ClusterConfiguration.local(dataDirectory: folder)
        configuration.roles = [.gateway]
        for round in 0..<3 {
            let cluster = try await Cluster.start(configuration)
            _ = try await cluster.client.create(
                .configMap,
                ["metadata": ["name": .string("c\(round)"), "namespace": "default"], "data": ["round": "x"]])
            let names = try await cluster.client.list(.configMap, namespace: "default").items.map(\.name)
            #expect(names.filter { $0.hasPrefix("c") } == (0...round).map { "c\($0)" })
            await cluster.stop()
        }
    }

    @Test func aGatewayAloneTendsItsObjects() async throws {
        try await TestCluster.run(configure: { $0.roles = [.gateway] }) { cluster in
            let client = cluster.client
            func isGone(_ kind: ResourceKind, _ namespace: String, _ name: String) async throws -> Bool {
                for _ in 0..<300 {
                    do { _ = try await client.get(kind, namespace: namespace, name: name) } catch let error as APIError
                        where error.isNotFound
                    { return true }
                    try await cluster.world.sleep(for: .milliseconds(50))
                }
                return false
            }
            _ = try await client.create(.namespace, ["metadata": ["name": "team"]])
            _ = try await cluster.wait(for: .serviceAccount, namespace: "team", name: "default") { _ in true }
            _ = try await cluster.wait(for: .configMap, namespace: "team", name: "kube-root-ca.crt") { _ in true }
            let asking: JSON = [
                "metadata": [
                    "name": "kept", "namespace": "team",
                    "annotations": ["kubernetes.io/service-account.name": "default"],
                ], "type": "kubernetes.io/service-account-token",
            ]
            _ = try await client.create(.secret, asking)
            _ = try await cluster.wait(for: .secret, namespace: "team", name: "kept") {
                ($0["data", "token"]?.string ?? "").utf8.count > 100 && $0["data", "ca.crt"] != nil
            }

            // What is owned goes with its owner, which in the foreground waits for it.
            let parent = try await client.create(
                .configMap,
                ["metadata": ["name": "parent", "namespace": "team", "finalizers": ["foregroundDeletion"]]])
            _ = try await client.create(
                .configMap,
                [
                    "metadata": [
                        "name": "child", "namespace": "team",
                        "ownerReferences": [
                            [
                                "apiVersion": "v1", "kind": "ConfigMap", "name": "parent",
                                "uid": .string(parent.uid), "blockOwnerDeletion": true,
                            ]
                        ],
                    ], "data": ["a": "b"],
                ])
            try await client.delete(.configMap, namespace: "team", name: "parent")
            #expect(try await isGone(.configMap, "team", "parent"))
            #expect(try await isGone(.configMap, "team", "child"))

            try await client.delete(.namespace, name: "team")
            #expect(try await isGone(.namespace, "", "team"))
        }
    }

    @Test func aContainerThatEndsIsStartedAgainAndCounted() async throws {
        try await TestCluster.run(configure: { $0.runtime = .processes }) { cluster in
            _ = try await cluster.client.create(
                .pod,
                [
                    "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "brief", "namespace": "default"],
                    "spec": [
                        "terminationGracePeriodSeconds": 1,
                        "containers": [["name": "c", "image": "any", "command": ["sleep", "0.2"]]],
                    ],
                ])
            let pod = try await cluster.wait(for: .pod, namespace: "default", name: "brief") { pod in
                (pod["status", "containerStatuses"]?[0]?["restartCount"]?.int ?? 0) >= 1
            }
            #expect(pod["status", "containerStatuses"]?[0]?["lastState", "terminated", "exitCode"] == 0)
        }
    }

    @Test func theSameClusterIsMetOverHTTPSAndStrangersAreTurnedAway() async throws {
        try await TestCluster.run { cluster in
            let admin = try await cluster.httpsClient()
            _ = try await admin.create(
                .configMap, ["metadata": ["name": "a", "namespace": "default"], "data": ["k": "v"]])
            #expect(try await cluster.client.get(.configMap, namespace: "default", name: "a")["data", "k"] == "v")
            let stranger = try await cluster.httpsClient(user: "jane", groups: ["students"])
            do {
                _ = try await stranger.list(.pod, namespace: "default")
                Issue.record("a stranger may list pods")
            } catch let error as APIError {
                #expect(error.code == 403)
                #expect(error.message.contains("pods is forbidden: User \"jane\" cannot list resource \"pods\""))
            }
        }
    }

    @Test func aWrongImageIsSaidInTheStatusAndAnEvent() async throws {
        try await TestCluster.run(missingImages: ["nowhere:1"]) { cluster in
            _ = try await cluster.client.create(
                .pod,
                [
                    "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "typo", "namespace": "default"],
                    "spec": ["containers": [["name": "c", "image": "nowhere:1"]]],
                ])
            let pod = try await cluster.wait(for: .pod, namespace: "default", name: "typo") { pod in
                let reason = pod["status", "containerStatuses"]?[0]?["state", "waiting", "reason"]?.string
                return reason == "ErrImagePull" || reason == "ImagePullBackOff"
            }
            #expect(pod["status", "phase"] == "Pending")
        }
    }

    @Test func aTakenPortIsNamedWithTheFlagThatChangesIt() async throws {
        try await TestCluster.run { cluster in
            var second = ClusterConfiguration.local(
                dataDirectory: "/tmp/martlet-second-\(UInt32.random(in: .min ... .max))")
            defer { try? remove(second.dataDirectory) }
            second.apiEndpoint = cluster.apiEndpoint
            do {
                let other = try await Cluster.start(second)
                await other.stop(removesPods: true)
                Issue.record("two gateways listen on one port")
            } catch {
                #expect("\(error)".contains("cannot listen on"))
                #expect("\(error)".contains("--api-address"))
            }
        }
    }
}
