import ArgumentParser
import Foundation
import Logging
import Martlet
import MartletBase
import MartletClient
import MartletIO
import MartletNet
import MartletObject
import MartletRoutes

/// `martlet-bench network`: the pod network beside the same devices set up by hand, and the Services' tables at work.
struct NetworkBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract:
            "VXLAN between pods beside the same device set up by hand, and changes of one Service among many.",
        discussion: """
            Hosts and pods are network namespaces on this machine, made and removed by Tests/Hosts/hosts. The VXLAN is \
            measured by iperf3 and ping; the device by hand has neither rules nor tracked connections. A change of a \
            Service is timed from before the call to the REST gateway until the kernel has another generation of its \
            tables. Needs root.
            """)

    @Option(help: "Seconds of one transfer.") var seconds = 5
    @Option(help: "Transfers of each kind.") var runs = 3
    @Option(help: "Services in the tables.") var services = 10_000
    @Option(help: "Changes of one Service.") var changes = 100
    @Option(help: "The program that makes hosts.") var hosts = "Tests/Hosts/hosts"
    @Option(help: "vxlan, services; may be given more than once.") var part: [String] = []

    func run() async throws {
        guard System.isRoot else { throw ValidationError("network namespaces need root") }
        guard 1...600 ~= seconds, 1...99 ~= runs, 1...50_000 ~= services, 1...10_000 ~= changes else {
            throw ValidationError(
                "seconds is 1 to 600, runs 1 to 99, services 1 to 50000, changes 1 to 10000")
        }
        let parts = part.isEmpty ? ["vxlan", "services"] : part
        if parts.contains("vxlan"), ChildProcess.find("iperf3") == nil {
            throw ValidationError("iperf3 is missing: apt-get install iperf3")
        }
        let folder =
            "\(FileManager.default.temporaryDirectory.path)/martlet-bench-network-\(System.processID)"
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let world = try Reactor(name: "martlet-bench")
        defer { world.shutdown() }
        var configuration = ClusterConfiguration.local(dataDirectory: "\(folder)/cluster")
        configuration.roles = [.gateway]
        let cluster = try await Cluster.start(configuration)
        let network = BenchNetwork(script: hosts, prefix: "mb\(System.processID)", world: world)
        print("network namespaces on one machine, medians; \(System.kernelVersion())")
        do {
            if parts.contains("vxlan") {
                try await VXLANCase(network, cluster.client, seconds: seconds, runs: runs).run()
            }
            if parts.contains("services") {
                try await ServiceCase(network, cluster.client, count: services, changes: changes).run()
            }
        } catch {
            await network.down()
            await cluster.stop(removesPods: true)
            throw error
        }
        await network.down()
        await cluster.stop(removesPods: true)
    }
}

/// Namespaces that stand for hosts and pods.
struct BenchNetwork: Sendable {
    let script: String
    let prefix: String
    let world: Reactor

    static let logger: Logger = {
        var logger = Logger(label: "martlet-bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        return logger
    }()

    /// Runs the script.
    @discardableResult
    func hosts(_ arguments: String..., names: String = "worker1 worker2") async throws -> String {
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        let words = ["PREFIX=\(prefix)", "HOSTS=\(names)", path, script] + arguments
        let result = try await ChildProcess.run("env", words, in: world)
        let output = String(decoding: result.output, as: UTF8.self)
        guard result.status == 0 else {
            let errors = String(decoding: result.errors, as: UTF8.self)
            throw BenchFailure(
                description: "hosts \(arguments.joined(separator: " ")): \(output)\(errors)")
        }
        return output
    }

    func down() async { _ = try? await hosts("down") }

    func kernel(_ host: String) async throws -> KernelNetwork {
        try await KernelNetwork(namespace: "/run/netns/\(prefix)-\(host)")
    }

    static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}
