import HTTPTypes
import MartletHTTP
import MartletIO
import MartletPKI
import MartletTesting
import Synchronization
import Testing

@testable import Martlet

/// Clients that come anew for every request, as people's commands do, and how they fare.
private final class Load: Sendable {
    private struct State {
        var asked = 0
        var failures: [String] = []
        var isOver = false
    }
    private let state = Mutex(State())

    /// Asks until it is stopped.
    func run(_ name: String, _ world: any World, _ ask: @escaping @Sendable () async throws -> Void) {
        world.spawn {
            while !self.state.withLock({ $0.isOver }) {
                do { try await ask() } catch {
                    self.state.withLock { if !$0.isOver { $0.failures.append("\(name): \(error)") } }
                }
                self.state.withLock { $0.asked += 1 }
                try? await world.sleep(for: .milliseconds(20))
            }
        }
    }

    func stop() -> (asked: Int, failures: [String]) {
        state.withLock { state in
            state.isOver = true
            return (state.asked, state.failures)
        }
    }
}

extension Masters {
    fileprivate func pki(_ name: String) -> ClusterPKI { ClusterPKI(directory: "\(folder)/\(name)/pki") }
}

extension Cluster {
    /// Waits until the rotation is as asked for, and returns it.
    fileprivate func rotation(
        within limit: Duration = .seconds(60), until condition: (JSON) -> Bool
    ) async throws -> JSON {
        let deadline = world.now() + limit
        while true {
            let rotation = try await client.ask(.get, "/martlet/v1/pki")["rotation"] ?? .null
            if condition(rotation) { return rotation }
            try #require(world.now() < deadline, "the rotation stands at \(rotation)")
            try await world.sleep(for: .milliseconds(50))
        }
    }
}

@Suite(.serialized) struct RotationClusterTests {
    @Test func oneThatNeverCameIsWaitedForUntilItIsForgotten() async throws {
        try await TestCluster.run(configure: { $0.roles = [.gateway, .controlPlane] }) { cluster in
            var report = MachineReport(machine: "other")
            report.joinsSince = cluster.world.wallTime()
            try await RotationStore(client: cluster.client).write(report)
            _ = try await cluster.client.ask(.post, "/martlet/v1/pki/rotations", ["scope": "leaf"])
            _ = try await cluster.rotation { ($0["waitsFor"]?.array ?? []).contains("other (joining)") }
            let answer = try await cluster.client.ask(.delete, "/martlet/v1/members/other")
            #expect(answer["forgotten"] == "other")
            _ = try await cluster.rotation { $0["phase"] == "done" }
            await #expect(throws: APIError.self) {
                _ = try await cluster.client.ask(.delete, "/martlet/v1/members/other")
            }
        }
    }

    @Test func whatARestoredSnapshotSaysOfAuthoritiesIsPutRight() async throws {
        try await TestCluster.run(configure: { $0.roles = [.gateway, .controlPlane] }) { cluster in
            let published = { @Sendable () async throws -> String in
                let map = try await cluster.wait(for: .configMap, namespace: "default", name: "kube-root-ca.crt") { _ in
                    true
                }
                return map["data", "ca.crt"]?.string ?? ""
            }
            let own = try await published()
            let (old, new) = (try foreignAuthority(cluster.world), try foreignAuthority(cluster.world))
            var rotation = Rotation(id: "older", scope: .authorities, startedAt: cluster.world.wallTime())
            rotation.phase = .done
            let store = RotationStore(client: cluster.client)
            try await store.write(
                RotationRecord(
                    rotation: rotation, exchange: AuthorityExchange(old: ["ca": old], new: ["ca": new]), trusted: new))
            let deadline = cluster.world.now() + .seconds(30)
            while try await store.read()?.trusted != Array(own.utf8) {
                try #require(cluster.world.now() < deadline, "what was restored stands")
                try await cluster.world.sleep(for: .milliseconds(50))
            }
            #expect(try await store.read()?.exchange == nil)
            _ = try await cluster.wait(for: .configMap, namespace: "default", name: "kube-root-ca.crt") {
                $0["data", "ca.crt"]?.string == own
            }
            _ = try await cluster.httpsClient().get(.namespace, name: "default")
        }
    }

    private func foreignAuthority(_ world: any World) throws -> [UInt8] {
        try Authority.make(commonName: "kubernetes", lifetime: .seconds(3600), now: world.wallTime())
            .keyPair.certificatePEM
    }

    /// The phase in which a rotation of authorities has begun, or why it has not.
    private func begun(by cluster: Cluster) async -> String {
        do {
            let body: JSON = ["scope": "ca", "overlapSeconds": 3]
            let rotation = try await cluster.client.ask(.post, "/martlet/v1/pki/rotations", body)
            return rotation["phase"]?.string ?? ""
        } catch { return "\(error)" }
    }

    @Test func authoritiesAreRotatedWithoutAFailedRequest() async throws {
        let masters = try await Masters()
        defer { try? Files.remove(masters.folder) }
        var clusters = try await masters.start()
        let one = try #require(clusters["coup"])
        let old = try masters.pki("coup").authority("ca")
        let load = Load()
        for (name, cluster) in clusters {
            // As one who reads the kubeconfig anew.
            load.run("fresh \(name)", cluster.world) {
                _ = try await cluster.httpsClient().get(.namespace, name: "default")
            }
            load.run("writes \(name)", cluster.world) {
                let map: JSON = ["metadata": ["generateName": "load-", "namespace": "default"]]
                _ = try await cluster.httpsClient().create(.configMap, map)
            }
        }
        // Two begin at the same moment, on two masters: the other one is told of it.
        let other = try #require(clusters.first { $0.key != "coup" }?.value)
        async let first = begun(by: one)
        async let second = begun(by: other)
        let answers = await [first, second]
        #expect(answers.count { $0 == "trust" } == 1)
        #expect(answers.contains { $0.contains("is under way") })
        do {
            _ = try await one.client.ask(.post, "/martlet/v1/pki/rotations", ["scope": "leaf"])
            Issue.record("a second rotation is let begin")
        } catch let error as APIError { #expect(error.message.contains("is under way")) }

        // Who knows only the old authority goes on for as long as both are trusted.
        _ = try await one.rotation { $0["overlapEnds"]?.string != nil }
        let stale = try staleClient(of: one, old)
        _ = try await stale.get(.namespace, name: "default")
        let maps = try await one.client.get(.configMap, namespace: "default", name: "kube-root-ca.crt")
        #expect(PEM.blocks("CERTIFICATE", in: Array((maps["data", "ca.crt"]?.string ?? "").utf8)).count == 2)

        _ = try await one.rotation { $0["phase"] == "done" }
        let (asked, failures) = load.stop()
        #expect(failures == [], "of \(asked)")
        #expect(asked > 50)
        for name in Masters.names {
            let now = try masters.pki(name).authority("ca")
            #expect(now != old)
            #expect(try now == masters.pki("coup").authority("ca"))
            #expect(PEM.blocks("CERTIFICATE", in: try masters.pki(name).trusted("etcd/ca")).count == 1)
        }
        await #expect(throws: (any Error).self) {
            _ = try await staleClient(of: one, old).get(.namespace, name: "default")
        }
        // The peers know each other by the new ones too.
        await clusters["autocrat"]?.stop()
        clusters["autocrat"] = try await Cluster.start(masters.configuration("autocrat"))
        _ = try await clusters["autocrat"]?.client.create(
            .configMap, ["metadata": ["name": "after", "namespace": "default"]])
        for cluster in clusters.values { await cluster.stop() }
    }

    /// One whose kubeconfig is of before.
    private func staleClient(of cluster: Cluster, _ old: Authority) throws -> Client {
        var request = CertificateRequest(commonName: "jane")
        request.organizations = ["system:masters"]
        request.isClient = true
        let identity = try TLSIdentity(old.issue(request, now: cluster.world.wallTime()))
        let tls = try TLSClient(authoritiesPEM: old.keyPair.certificatePEM, identity: identity)
        let http = HTTPClient(
            endpoint: cluster.apiEndpoint, serverName: "127.0.0.1", in: cluster.world, tls: tls)
        return Client(transport: HTTPSTransport(http), in: cluster.world)
    }

    @Test func anotherLeaderGoesOnAndWaitsForWhoIsAway() async throws {
        let masters = try await Masters()
        defer { try? Files.remove(masters.folder) }
        var clusters = try await masters.start()
        var leader = ""
        for (name, cluster) in clusters where await cluster.leads { leader = name }
        let other = try #require(clusters.first { $0.key != leader }?.value)
        _ = try await other.client.ask(.post, "/martlet/v1/pki/rotations", ["scope": "ca", "overlapSeconds": 2])
        _ = try await other.rotation { $0["phase"] == "issue" }
        await clusters[leader]?.stop()
        let standing = try await other.rotation {
            ($0["waitsFor"]?.array ?? []).contains { $0.string == "\(leader) (away)" }
        }
        #expect(standing["phase"] != "done")
        clusters[leader] = try await Cluster.start(masters.configuration(leader))
        _ = try await other.rotation { $0["phase"] == "done" }
        #expect(try masters.pki(leader).authority("ca") == masters.pki("coup").authority("ca"))
        for cluster in clusters.values { await cluster.stop() }
    }

    @Test func leavesAreRenewedWhileAMasterRuns() async throws {
        try await TestCluster.run(configure: { $0.certificateLifetime = .seconds(10) }) { cluster in
            let first = try await serial(of: cluster)
            // Until the one of the start has long ended: whoever shows it now is refused.
            try await cluster.world.sleep(for: .seconds(13))
            #expect(try await serial(of: cluster) != first)
            _ = try await cluster.httpsClient().get(.namespace, name: "default")
            let kubeconfig = String(decoding: try Files.read(cluster.adminKubeconfig), as: UTF8.self)
            #expect(kubeconfig.contains("client-certificate-data"))
        }
    }

    @Test func leavesAreRotatedOnDemandWithNewKeys() async throws {
        try await TestCluster.run { cluster in
            let before = try await serial(of: cluster)
            let connection = try await cluster.httpsClient()
            _ = try await connection.get(.namespace, name: "default")
            _ = try await cluster.client.ask(.post, "/martlet/v1/pki/rotations", ["scope": "leaf"])
            _ = try await cluster.rotation { $0["phase"] == "done" }
            #expect(try await serial(of: cluster) != before)
            let folder = cluster.adminKubeconfig.dropLast("/admin.kubeconfig".count)
            let served = try ClusterPKI(directory: folder + "/pki").keyPair("apiserver").certificatePEM
            #expect(try CertificateInfo(pem: served).addresses.contains("10.96.0.1"), "where pods look for the API")
            // An open connection has gone on.
            _ = try await connection.get(.namespace, name: "default")
            do {
                let nobody: JSON = ["scope": "leaf", "machine": "nobody"]
                _ = try await cluster.client.ask(.post, "/martlet/v1/pki/rotations", nobody)
                Issue.record("a machine that is not there is rotated")
            } catch let error as APIError { #expect(error.message.contains("there is no machine nobody")) }
        }
    }

    /// The serial number of the API's certificate.
    private func serial(of cluster: Cluster) async throws -> String {
        let deadline = cluster.world.now() + .seconds(20)
        while true {
            let machines = try await cluster.client.ask(.get, "/martlet/v1/pki")["machines"]?.array ?? []
            let told = machines.flatMap { $0["certificates"]?.array ?? [] }
            if let serial = told.first(where: { $0["file"] == "apiserver.crt" })?["serial"]?.string { return serial }
            try #require(cluster.world.now() < deadline, "the machine tells nothing of its certificates")
            try await cluster.world.sleep(for: .milliseconds(50))
        }
    }
}

/// A world whose calendar is off.
private struct ShiftedWorld: WorldInFront {
    let world: any World
    let shift: Duration
    func wallTime() -> WallTime { world.wallTime() + shift }
}

@Suite(.serialized) struct JoinRefusalTests {
    private func refusal(
        _ cluster: Cluster, _ token: JoinToken, shift: Duration = .zero, role: JoinToken.Role = .worker
    ) async throws -> String {
        let folder = try Files.makeTemporaryDirectory(prefix: "martlet-join")
        defer { try? Files.remove(folder) }
        let machine = MachineFile(roles: [.worker], nodeName: "stranger", nodeAddress: "127.0.0.1")
        let joining = Joining(dataDirectory: folder + "/data", machine: machine)
        do {
            try await joining.join(
                cluster.apiEndpoint, token, as: role, in: ShiftedWorld(world: cluster.world, shift: shift))
            return "joined"
        } catch {
            #expect(!Files.exists(folder + "/data/machine.json"))
            return "\(error)"
        }
    }

    @Test func eachMistakeIsToldWithWhatToDo() async throws {
        try await TestCluster.run(configure: { $0.roles = [.gateway, .controlPlane] }) { cluster in
            let kubeconfig = String(decoding: try Files.read(cluster.adminKubeconfig), as: UTF8.self)
            let line = kubeconfig.split(separator: "\n").first { $0.contains("certificate-authority-data: ") }
            let text = try #require(line?.split(separator: " ").last.map(String.init))
            let pin = try Joining.pin(ofAuthority: try #require(Base64.decode(text)))
            func token(_ ttl: Duration, pin: String = pin) async throws -> JoinToken {
                let token = JoinToken(pin: pin, in: cluster.world)
                let secret = token.secretObject(for: .worker, until: cluster.world.wallTime() + ttl)
                _ = try await cluster.client.create(.secret, secret)
                return token
            }
            let good = try await token(.seconds(600))
            for (shift, direction) in [(Duration.seconds(3600), "ahead of"), (.seconds(-3600), "behind")] {
                let said = try await refusal(cluster, good, shift: shift)
                // What the asking takes is on top.
                #expect(said.contains(#/clock is 3[56]\d\d seconds/#) && said.contains(direction), "\(said)")
                #expect(said.contains("set the clock"))
            }
            #expect(try await refusal(cluster, try await token(.seconds(-1))).contains("has run out: make another one"))
            let foreign = try await token(.seconds(600), pin: String(repeating: "0a", count: 32))
            #expect(try await refusal(cluster, foreign).contains("make a token there with martlet token create"))
            #expect(try await refusal(cluster, JoinToken(pin: pin, in: cluster.world)).contains("token is not known"))
            #expect(try await refusal(cluster, good, role: .master).contains("this token lets a worker join"))
            try await strangersAreRefused(cluster)
        }
    }

    /// Certificates of another authority, and those that have ended or not begun.
    private func strangersAreRefused(_ cluster: Cluster) async throws {
        let now = cluster.world.wallTime()
        let other = try Authority.make(commonName: "kubernetes", lifetime: .seconds(3600), now: now)
        let folder = cluster.adminKubeconfig.dropLast("/admin.kubeconfig".count)
        let own = ClusterPKI(directory: folder + "/pki")
        func said(_ authority: Authority, _ time: WallTime) async throws -> String {
            var request = CertificateRequest(commonName: "system:node:a")
            request.organizations = ["system:nodes"]
            request.isClient = true
            request.lifetime = .seconds(600)
            let identity = try TLSIdentity(authority.issue(request, now: time))
            let tls = try TLSClient(authoritiesPEM: own.trusted("ca"), identity: identity)
            let http = HTTPClient(endpoint: cluster.apiEndpoint, serverName: "127.0.0.1", in: cluster.world, tls: tls)
            do {
                _ = try await Client(transport: HTTPSTransport(http), in: cluster.world).list(.pod)
                return "let in"
            } catch { return "\(error)" }
        }
        let foreign = try await said(other, now)
        #expect(foreign.contains("Unauthorized"), "\(foreign)")
        let expired = try await said(try own.authority("ca"), now + .seconds(-3600))
        #expect(expired.contains("Unauthorized"), "\(expired)")
        let early = try await said(try own.authority("ca"), now + .seconds(3600))
        #expect(early.contains("Unauthorized"), "\(early)")
    }
}
