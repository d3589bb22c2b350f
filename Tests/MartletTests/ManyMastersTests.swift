import Glibc
import HTTPTypes
import MartletIO
import MartletTesting
import Testing

@testable import Martlet

private func map(_ name: String, _ value: String = "v") -> JSON {
    ["metadata": ["name": .string(name), "namespace": "default"], "data": ["k": .string(value)]]
}

private func service(_ name: String) -> JSON {
    [
        "metadata": ["name": .string(name), "namespace": "default"],
        "spec": ["type": "NodePort", "ports": [["port": 80]]],
    ]
}

private func deployment(_ name: String, replicas: Int) -> JSON {
    [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": .string(name), "namespace": "default"],
        "spec": [
            "replicas": .int(Int64(replicas)), "selector": ["matchLabels": ["app": .string(name)]],
            "template": [
                "metadata": ["labels": ["app": .string(name)]],
                "spec": ["containers": [["name": "c", "image": "i:1"]]],
            ],
        ],
    ]
}

@Suite(.serialized) struct ManyMastersTests {
    @Test func whatIsWrittenOnOneIsReadOnAllAndOutlivesTheLeader() async throws {
        let masters = try await Masters()
        defer { try? Files.remove(masters.folder) }
        let clusters = try await masters.start()
        let all = Masters.names.compactMap { clusters[$0] }
        #expect(all.count == 3)
        try await writesMeet(all)
        try await namesAreTakenOnce(all)
        try await quotasHold(all)
        try await mastersAreNamed(all, masters.apis.values.sorted())

        var leader: String?
        for (name, cluster) in clusters where await cluster.leads { leader = name }
        let gone = try #require(leader)
        _ = try await all[0].client.create(.deployment, deployment("before", replicas: 2))
        _ = try await all[0].wait(for: .deployment, namespace: "default", name: "before") {
            // It is 2 soon: the controller's annotation counts as a change, as upstream.
            ($0["status", "observedGeneration"]?.int ?? 0) > 0
        }
        let survivor = try #require(clusters.first { $0.key != gone }?.value)
        await clusters[gone]?.cutOff()
        let killed = survivor.world.now()
        _ = try await survivor.client.create(.configMap, map("after"))
        let took = survivor.world.now() - killed
        #expect(took < .seconds(2), "the first write after the leader's end took \(took)")
        // The controllers go on where the new leader is.
        _ = try await survivor.client.create(.deployment, deployment("after", replicas: 2))
        let pods = survivor.world.now() + .seconds(20)
        while try await survivor.client.list(.pod, namespace: "default").items.count < 4 {
            try #require(survivor.world.now() < pods, "nobody makes pods")
            try await survivor.world.sleep(for: .milliseconds(50))
        }
        let left = masters.apis.filter { $0.key != gone }.values.sorted()
        try await mastersAreNamed([survivor], left)
        for cluster in clusters.values { await cluster.stop() }
    }

    // Mounts a tiny tmpfs; root only.
    @Test(.timeLimit(.minutes(2)), .enabled(if: geteuid() == 0, "needs root for a small tmpfs"))
    func aMasterWithoutRoomSaysSoItself() async throws {
        let masters = try await Masters()
        defer { try? Files.remove(masters.folder) }
        let store = masters.folder + "/autocrat/store"
        try Files.makeDirectory(store, mode: 0o700)
        #expect(mount("none", store, "tmpfs", 0, "size=8m") == 0)
        defer { umount2(store, Int32(MNT_DETACH)) }
        let clusters = try await masters.start()
        let (well, full) = (try #require(clusters["coup"]), try #require(clusters["autocrat"]))
        func members(_ cluster: Cluster) async throws -> JSON {
            try await cluster.client.ask(.get, "/martlet/v1/members")
        }
        func failures() async throws -> [String] { MasterStates.failures(try await members(full)) }
        #expect(try await failures().isEmpty)
        let large = String(repeating: "x", count: 500_000)
        for number in 0..<100 where try await failures().isEmpty {
            // The full one may lead, and what it has begun is not decided.
            _ = try? await well.client.create(.configMap, map("large\(number)", large))
        }
        let why = try await failures()
        #expect(why.count == 1 && why.first?.contains("autocrat takes no changes: ") == true, "\(why)")
        #expect(why.first?.contains("No space left") == true, "\(why)")
        let all = MasterStates.merge(try await members(full), into: try await members(well))
        let states = (all["members"]?.array ?? []).map { "\($0["name"]?.string ?? "") \(MasterStates.word($0))" }
        #expect(states.contains("autocrat read-only") && states.contains("coup yes"), "\(states)")
        // With room again it is as the others are.
        #expect(mount("none", store, "tmpfs", UInt(MS_REMOUNT), "size=300m") == 0)
        while try await !failures().isEmpty { try await full.world.sleep(for: .milliseconds(50)) }
        for cluster in clusters.values { await cluster.stop() }
    }

    /// What waits for an answer of the others, a controller's write among it, does not hold a master back.
    @Test(.timeLimit(.minutes(2))) func aMasterWithoutAQuorumEnds() async throws {
        let masters = try await Masters()
        defer { try? Files.remove(masters.folder) }
        let clusters = try await masters.start()
        var leader: String?
        for (name, cluster) in clusters where await cluster.leads { leader = name }
        let last = try #require(leader.flatMap { clusters[$0] })
        for (name, cluster) in clusters where name != leader { await cluster.cutOff() }
        let writer = Task { try await last.client.create(.deployment, deployment("never", replicas: 2)) }
        try await last.world.sleep(for: .seconds(1))
        for cluster in [last] + clusters.values { await cluster.stop() }
        await #expect(throws: (any Error).self) { try await writer.value }
    }

    /// Each gateway reads at once what another has answered.
    private func writesMeet(_ all: [Cluster]) async throws {
        for (index, cluster) in all.enumerated() {
            let namespace = "team-\(index)"
            _ = try await cluster.client.create(.namespace, ["metadata": ["name": .string(namespace)]])
            var object = map("a")
            object["metadata", "namespace"] = .string(namespace)
            let other = all[(index + 1) % all.count]
            _ = try await other.client.create(.configMap, object)
            for reader in all {
                let read = try await reader.client.get(.configMap, namespace: namespace, name: "a")
                #expect(read["data", "k"] == "v")
            }
        }
    }

    /// Two gateways never give out one address or port twice.
    private func namesAreTakenOnce(_ all: [Cluster]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<30 {
                let cluster = all[number % all.count]
                group.addTask { _ = try await cluster.client.create(.service, service("s\(number)")) }
            }
            try await group.waitForAll()
        }
        let services = try await all[0].client.list(.service, namespace: "default").items
        let addresses = services.compactMap { $0["spec", "clusterIP"]?.string }
        let ports = services.compactMap { $0["spec", "ports"]?[0]?["nodePort"]?.int }
        #expect(Set(addresses).count == 31)
        #expect(Set(ports).count == 30)
        let fixed = (0..<all.count).map { number -> JSON in
            var one = service("fixed\(number)")
            one["spec", "ports"] = [["port": 80, "nodePort": 31999]]
            return one
        }
        let made = await withTaskGroup(of: Bool.self) { group in
            for (cluster, service) in zip(all, fixed) {
                group.addTask { (try? await cluster.client.create(.service, service)) != nil }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(made == 1)
    }

    /// A quota holds whichever gateways the objects come through.
    private func quotasHold(_ all: [Cluster]) async throws {
        _ = try await all[0].client.create(.namespace, ["metadata": ["name": "small"]])
        _ = try await all[0].client.create(
            .resourceQuota,
            ["metadata": ["name": "q", "namespace": "small"], "spec": ["hard": ["count/configmaps": "5"]]])
        let made = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<15 {
                let cluster = all[number % all.count]
                group.addTask {
                    var object = map("m\(number)")
                    object["metadata", "namespace"] = "small"
                    for _ in 0..<20 {
                        do {
                            _ = try await cluster.client.create(.configMap, object)
                            return true
                        } catch let error as APIError where error.isConflict {
                            continue
                        } catch {
                            return false
                        }
                    }
                    return false
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        let there = try await all[1].client.list(.configMap, namespace: "small").items
        #expect(made <= 5)
        #expect(there.filter { $0.name != "kube-root-ca.crt" }.count == made)
        #expect(there.count == 5)
    }

    /// The Service `kubernetes` leads to these ports.
    private func mastersAreNamed(_ all: [Cluster], _ ports: [UInt16]) async throws {
        for cluster in all {
            let deadline = cluster.world.now() + .seconds(10)
            while true {
                let slices = try await cluster.client.list(
                    .endpointSlice, namespace: "default", labelSelector: "kubernetes.io/service-name=kubernetes"
                ).items
                let named = slices.compactMap { $0["ports"]?[0]?["port"]?.int }.sorted()
                if named == ports.map(Int.init) { break }
                try #require(cluster.world.now() < deadline, "the masters named are \(named), not \(ports)")
                try await cluster.world.sleep(for: .milliseconds(100))
            }
        }
    }
}
