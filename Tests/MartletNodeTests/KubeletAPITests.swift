import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import MartletPods
import MartletRuntime
import Synchronization
import Testing

@testable import MartletNode

/// Keeps what a streamed body writes.
final class Collector: BodyWriter {
    private let bytes = Mutex<[UInt8]>([])
    func write(_ piece: [UInt8]) async throws { bytes.withLock { $0 += piece } }
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
}

@Suite("The kubelet's API")
struct KubeletAPITests {
    static let gateway = CertificateSubject(commonName: "kube-apiserver-kubelet-client", organizations: [])

    static func request(_ path: String, _ subject: CertificateSubject? = gateway) -> Request {
        Request(
            head: HTTPRequest(method: .get, scheme: "https", authority: "n1", path: path),
            peer: Peer(certificate: subject, isSecure: true))
    }

    static func text(_ response: Response) async throws -> String {
        switch response.body {
        case .bytes(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .stream(let write):
            let collector = Collector()
            try await write(collector)
            return collector.text
        case .upgrade: return ""
        }
    }

    @Test("Without a certificate it answers 401, to a stranger's 403")
    func authorization() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            let api = KubeletAPI(agent: agent)
            let node = CertificateSubject(commonName: "system:node:n2", organizations: ["system:nodes"])
            let admin = CertificateSubject(commonName: "admin", organizations: ["system:masters"])
            for path in ["/pods", "/healthz", "/containerLogs/ns/p/web", "/x"] {
                #expect(await api.handle(Self.request(path, nil)).head.status == .unauthorized)
                #expect(await api.handle(Self.request(path, node)).head.status == .forbidden)
            }
            #expect(await api.handle(Self.request("/healthz", admin)).head.status == .ok)
            #expect(await api.handle(Self.request("/x", admin)).head.status == .notFound)
            await agent.stop(teardown: true)
        }
    }

    @Test("Logs are shown: all, the last lines, the container before; what is not there is named")
    func logs() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            let api = KubeletAPI(agent: agent)
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            let running = try await stage.running()
            let path = try #require(running.first?.logPath)
            let lines = (0..<20).map { "2026-01-01T00:00:\($0 < 10 ? "0" : "")\($0).000000000Z stdout F line \($0)\n" }
            try Files.write(Array(lines.joined().utf8), to: path)
            let get: (String) async throws -> String = { query in
                try await Self.text(await api.handle(Self.request("/containerLogs/ns/p/web\(query)")))
            }
            #expect(try await get("") == (0..<20).map { "line \($0)\n" }.joined())
            #expect(try await get("?tailLines=2") == "line 18\nline 19\n")
            #expect(try await get("?sinceTime=2026-01-01T00:00:19Z") == "line 19\n")
            #expect(try await get("?limitBytes=4") == "line")
            #expect(try await get("?tailLines=1&timestamps=true") == "2026-01-01T00:00:19.000000000Z line 19\n")
            #expect(try await get("?tailLines=x").contains("tailLines"))
            let refusals = [
                ("/containerLogs/ns/none/web", 404), ("/containerLogs/ns/p/none", 400),
                ("/containerLogs/ns/p/web?previous=true", 400),
            ]
            for (path, status) in refusals {
                #expect(await api.handle(Self.request(path)).head.status.code == status, "\(path)")
            }
            await stage.runtime.exit(try await stage.webID(), code: 1)
            try await stage.until("it runs again") { await stage.web("p")["restartCount"]?.int == 1 }
            #expect(try await get("?previous=true&tailLines=1") == "line 19\n")
            let second = try #require(try await stage.running().first?.logPath)
            try Files.write(Array("2026-01-01T00:01:00.5Z stdout F again\n".utf8), to: second)
            #expect(try await get("?timestamps=true") == "2026-01-01T00:01:00.500000000Z again\n")
            // It waits for its next start: what ended last is the log, and the one before, too.
            await stage.runtime.exit(try await stage.webID(), code: 1)
            try await stage.until("it waits") {
                await stage.web("p")["state", "waiting", "reason"] == "CrashLoopBackOff"
            }
            #expect(try await get("") == "again\n")
            #expect(try await get("?previous=true") == "again\n")
            #expect(try await Self.text(await api.handle(Self.request("/pods"))).contains("\"restartCount\":1"))
            await agent.stop(teardown: true)
        }
    }

    @Test("A followed log tells what comes, and ends with its container")
    func follows() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            let api = KubeletAPI(agent: agent)
            _ = try await stage.api.create(.pod, Stage.pod("p", spec: ["restartPolicy": "Never"]))
            try await stage.untilRunning("p")
            let running = try await stage.running()
            let container = try #require(running.first)
            let line: (String) -> [UInt8] = { Array("2026-01-01T00:00:00.000000000Z stdout F \($0)\n".utf8) }
            let response = await api.handle(Self.request("/containerLogs/ns/p/web?follow=true"))
            guard case .stream(let write) = response.body else {
                Issue.record("the log is not streamed")
                return
            }
            let collector = Collector()
            let flag = Flag()
            stage.world.spawn {
                try? await write(collector)
                flag.raise()
            }
            try await stage.world.sleep(for: .seconds(1))
            #expect(collector.text.isEmpty)
            try Files.write(line("one"), to: container.logPath)
            try await stage.until("the first line") { collector.text == "one\n" }
            await stage.runtime.exit(container.id, code: 0)
            try await stage.until("the end") { flag.isRaised }
            #expect(collector.text == "one\n")
            await agent.stop(teardown: true)
        }
    }

    @Test("Queries are decoded, and damage in them stays text")
    func query() {
        #expect(Query.decoded("a%2Fb+c%zz%4") == "a/b c%zz%4")
        let options = Query("follow=true&sinceSeconds=10&tailLines=5").logOptions(now: WallTime(seconds: 100))
        #expect((try? options.get())?.since == 90_000_000_000)
        #expect((try? options.get())?.tailLines == 5)
        for bad in ["tailLines=-1", "sinceSeconds=x", "limitBytes=0", "sinceTime=yesterday"] {
            #expect(throws: ConfigurationError.self) {
                try Query(bad[...]).logOptions(now: WallTime(seconds: 0)).get()
            }
        }
    }
}

/// Raised once.
final class Flag: Sendable {
    private let value = Mutex(false)
    func raise() { value.withLock { $0 = true } }
    var isRaised: Bool { value.withLock { $0 } }
}

@Suite("Files of pods")
struct PodFilesTests {
    @Test("A folder's files change all at once, and those that are no more go")
    func atomicFolder() throws {
        let directory = try Files.makeTemporaryDirectory(prefix: "martlet-node")
        defer { try? Files.remove(directory) }
        let folder = AtomicFolder(path: "\(directory)/v")
        let file: (String, String) -> VolumeFile = { VolumeFile(path: $0, bytes: Array($1.utf8), mode: 0o644) }
        try folder.write([file("a", "1"), file("d/b", "2")])
        #expect(try Files.read("\(directory)/v/a") == Array("1".utf8))
        #expect(try Files.read("\(directory)/v/d/b") == Array("2".utf8))
        let before = try Files.list("\(directory)/v")
        try folder.write([file("a", "1"), file("d/b", "2")])
        #expect(try Files.list("\(directory)/v") == before, "nothing is written when nothing changed")
        try folder.write([file("a", "3")])
        #expect(try Files.read("\(directory)/v/a") == Array("3".utf8))
        #expect(!Files.exists("\(directory)/v/d"))
        #expect(try Files.list("\(directory)/v").count == 3)
        try folder.write([])
        #expect(!Files.exists("\(directory)/v/a"))
    }

    @Test("a pod gets the cluster's resolver or the host's by its policy, and its own settings behind")
    func nameResolution() throws {
        let directory = try Files.makeTemporaryDirectory(prefix: "martlet-node")
        defer { try? Files.remove(directory) }
        let text = "# x\nnameserver 192.0.2.53\nsearch a.test b.test.\noptions ndots:1 rotate\n"
        try Files.write(Array(text.utf8), to: "\(directory)/resolv.conf")
        var configuration = NodeAgentConfiguration(nodeName: "n", addresses: [], rootDirectory: directory)
        configuration.resolvConf = "\(directory)/resolv.conf"
        var pod = Stage.pod("p", spec: ["dnsConfig": ["searches": ["c.test"], "options": [["name": "rotate"]]]])
        let host = NameResolution.of(PodSpec(pod), configuration: configuration)
        #expect(host.servers == ["192.0.2.53"] && host.searches == ["a.test", "b.test", "c.test"])
        #expect(host.options == ["ndots:1", "rotate"])
        configuration.clusterDNS = ["10.96.0.10"]
        let cluster = NameResolution.of(PodSpec(pod), configuration: configuration)
        #expect(cluster.servers == ["10.96.0.10"])
        let domains = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "a.test", "b.test", "c.test"]
        #expect(cluster.searches == domains)
        #expect(cluster.options == ["ndots:5", "rotate"])
        pod["spec", "hostNetwork"] = true
        #expect(NameResolution.of(PodSpec(pod), configuration: configuration) == host)
        pod["spec", "dnsPolicy"] = "ClusterFirstWithHostNet"
        #expect(NameResolution.of(PodSpec(pod), configuration: configuration) == cluster)
        pod["spec", "dnsConfig", "searches"] = .array(
            (0..<40).map { .string("\($0)." + String(repeating: "d", count: 90)) })
        let long = NameResolution.of(PodSpec(pod), configuration: configuration).searches
        #expect(long.count > 20 && long.joined(separator: " ").utf8.count <= 2048)
        pod["spec", "dnsPolicy"] = "None"
        #expect(NameResolution.of(PodSpec(pod), configuration: configuration).servers == [])
    }
}
