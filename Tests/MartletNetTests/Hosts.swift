import Foundation
import MartletBase
import MartletIO
import Testing

/// Namespaces that stand for hosts and pods, made by `Tests/Hosts/hosts`; gone at ``down()``.
struct Hosts: Sendable {
    let prefix: String
    private let world: Reactor

    /// Why tests in namespaces cannot run here; nil when they can.
    static let obstacle: String? = {
        if !System.isRoot { return "it needs root" }
        for tool in ["ip", "bridge", "nft", "python3"]
        where !["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/root/.pyenv/shims"]
            .contains(where: { Files.exists("\($0)/\(tool)") })
        {
            return "it needs \(tool)"
        }
        return nil
    }()

    /// Makes these hosts.
    static func up(_ names: [String], prefix: String, in world: Reactor) async throws -> Hosts {
        let hosts = Hosts(prefix: prefix, world: world)
        await hosts.down()
        try await hosts.hosts(["up"], environment: ["HOSTS": names.joined(separator: " ")])
        return hosts
    }

    func down() async { try? await hosts(["down"]) }

    func path(_ host: String) -> String { "/run/netns/\(prefix)-\(host)" }

    func pod(_ host: String, _ name: String, _ cidr: String) async throws {
        try await hosts(["pod", host, name, cidr])
    }

    /// Runs a command in a host, or in a pod (`host/pod`), and returns its status and what it wrote.
    func run(_ host: String, _ command: [String]) async throws -> (status: Int32, output: String) {
        let namespace = "\(prefix)-\(host.replacing("/", with: "."))"
        return try await Self.execute("ip", ["netns", "exec", namespace] + command, [:], world)
    }

    /// Runs a command that must succeed.
    @discardableResult
    func check(_ host: String, _ command: String...) async throws -> String {
        let result = try await run(host, command)
        #expect(result.status == 0, "\(host): \(command.joined(separator: " ")): \(result.output)")
        return result.output
    }

    /// Starts a program in the background; it ends with ``down()``, at the latest.
    func start(_ host: String, _ command: [String]) throws -> ChildProcess {
        let namespace = "\(prefix)-\(host.replacing("/", with: "."))"
        return try ChildProcess("ip", ["netns", "exec", namespace] + command, in: world)
    }

    private func hosts(_ arguments: [String], environment: [String: String] = [:]) async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        let all = environment.merging(["PREFIX": prefix, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]) { $1 }
        let result = try await Self.execute("\(script)/Hosts/hosts", arguments, all, world)
        if result.status != 0 { throw HostsError(text: "hosts \(arguments): \(result.output)") }
    }

    private static func execute(
        _ program: String, _ arguments: [String], _ environment: [String: String], _ world: Reactor
    ) async throws -> (status: Int32, output: String) {
        let child = try ChildProcess(
            program, arguments, environment: environment.isEmpty ? nil : environment, output: .collect(limit: 1 << 20),
            errors: .collect(limit: 1 << 16), in: world)
        let result = await child.wait()
        return (result.status, String(decoding: result.output + result.errors, as: UTF8.self))
    }
}

struct HostsError: Error { var text: String }
