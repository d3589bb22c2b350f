import ArgumentParser
import Foundation
import HTTPTypes
import Martlet
import MartletBase
import MartletIO

/// What `init` and `join` have in common.
struct MachineOptions: ParsableArguments {
    @OptionGroup var data: DataOptions
    @Option(help: "The name of this machine in the cluster. (default: the host name)") var nodeName: String?
    @Option(help: "The address at which other machines reach this one. (default: that of the default route)")
    var nodeAddress: String?
    @Option(help: "Where a master's API listens: its port.") var apiPort: UInt16 = 6443
    @Option(help: "Where a master's store listens for the other masters: its port.") var peerPort: UInt16 = 2380
    @Option(help: "A further name or address in a master's certificate; may be given more than once.")
    var apiSan: [String] = []
    @Option(help: "A further role: worker, edge; may be given more than once.") var also: [String] = []
    @Option(help: "How the daemon is started: auto, systemd, detached, none.") var start: Service.Way = .auto
    @Option(help: "A further flag of martletd, as --with=--images=/images; may be given more than once.")
    var with: [String] = []

    func machine(_ role: JoinToken.Role) throws -> MachineFile {
        var roles: Set<ClusterConfiguration.Role> = role == .master ? [.gateway, .controlPlane] : [.worker]
        for name in also {
            guard let more = ClusterConfiguration.Role(rawValue: name), [.worker, .edge].contains(more) else {
                throw ValidationError("--also \(name) is neither worker nor edge")
            }
            roles.insert(more)
        }
        let name = nodeName ?? Machine.nodeName
        guard !name.isEmpty, name.count <= 63,
            name.allSatisfy({ $0.isASCII && ($0.isLowercase || $0.isNumber || "-.".contains($0)) })
        else {
            throw ValidationError("--node-name \(name): a node's name is of a-z, 0-9, - and ., at most 63 of them")
        }
        var machine = MachineFile(roles: roles, nodeName: name, nodeAddress: nodeAddress ?? Machine.address)
        machine.apiEndpoint = .ip(machine.nodeAddress.contains(":") ? "::" : "0.0.0.0", port: apiPort)
        machine.apiNames = apiSan
        machine.peerPort = role == .master ? peerPort : nil
        return machine
    }

    var service: Service { Service(dataDirectory: data.path, arguments: with) }

    /// Starts the daemon and waits until it works.
    func launch(_ say: String) throws {
        let service = service
        if service.runningProcess != nil { throw Refusal("martletd of \(data.path) runs already") }
        let log = service.logFile
        let before = (try? FileManager.default.attributesOfItem(atPath: log)[.size] as? Int) ?? 0
        try service.start(start)
        if start == .none { return }
        guard service.runningProcess != nil else { return }
        for _ in 0..<1200 {
            let text = (try? Data(contentsOf: URL(fileURLWithPath: log))).map {
                String(decoding: $0.dropFirst(before), as: UTF8.self)
            }
            if text?.contains("\nready: ") ?? false || text?.hasPrefix("ready: ") ?? false { return print(say) }
            guard service.runningProcess != nil else {
                throw Refusal("martletd has ended, and said:\n\(service.lastWords)")
            }
            usleep(50_000)
        }
        throw Refusal("martletd is not ready after a minute; see \(log):\n\(service.lastWords)")
    }
}

/// `martlet init`
struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Begins a cluster of which this machine is the first master.",
        discussion: "It prints the commands by which further masters and workers join.")

    @OptionGroup var options: MachineOptions
    @Option(help: "The range that nodes get their pod ranges from.") var podCIDR = "10.244.0.0/16"
    @Option(help: "The range that Services get their addresses from.") var serviceCIDR = "10.96.0.0/16"
    @Option(help: "How long the printed tokens are good for.") var ttl = "1h"

    func run() async throws {
        let ttl = try Token.duration(ttl)
        var machine = try options.machine(.master)
        machine.podCIDR = podCIDR
        machine.serviceCIDR = serviceCIDR
        let joining = Joining(dataDirectory: options.data.path, machine: machine)
        let reactor = try Reactor(name: "martlet-cli")
        let pin: String
        do {
            defer { reactor.shutdown() }
            pin = try joining.begin(in: reactor)
        }
        try options.launch("\(machine.nodeName) is the first master of a new cluster.")
        if options.start == .none { return }
        var connection = ConnectionOptions()
        connection.kubeconfig = options.data.path + "/admin.kubeconfig"
        try await connection.whenReady()
        let server = Endpoint.ip(machine.nodeAddress, port: options.apiPort)
        try await connection.withClient { client, world in
            let worker = try await Token.create(.worker, ttl: ttl, pin: pin, by: client, of: server, in: world)
            let master = try await Token.create(.master, ttl: ttl, pin: pin, by: client, of: server, in: world)
            print(
                """

                A worker joins with:
                  \(worker)
                One more master joins with:
                  \(master)
                Further tokens: martlet token create --role worker|master

                kubectl --kubeconfig \(options.data.path)/admin.kubeconfig get nodes
                """)
        }
    }
}

/// `martlet join`
struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes this machine part of a cluster.",
        discussion: "martlet init and martlet token create print the command whole. It may be repeated.")

    @OptionGroup var options: MachineOptions
    @Argument(help: "A master: ADDRESS or ADDRESS:PORT (6443).") var address: String
    @Option(help: "The token that the master printed.") var token: String
    @Option(help: "What this machine becomes: worker or master.") var role = "worker"

    func run() async throws {
        guard let role = JoinToken.Role(rawValue: role) else {
            throw ValidationError("--role \(role) is neither master nor worker")
        }
        guard let token = JoinToken(token) else {
            throw ValidationError("--token is not whole: copy all of what martlet token create printed")
        }
        let isPlain = address.filter { $0 == ":" }.count != 1 && !address.contains("]:")
        let endpoint =
            isPlain
            ? Endpoint.ip(address.filter { !"[]".contains($0) }, port: 6443)
            : MachineFile.endpoint(address)
        guard let endpoint else { throw ValidationError("\(address) is not ADDRESS or ADDRESS:PORT") }
        let machine = try options.machine(role)
        let joining = Joining(dataDirectory: options.data.path, machine: machine)
        let reactor = try Reactor(name: "martlet-cli")
        defer { reactor.shutdown() }
        try await withTaskExecutorPreference(reactor.executor) {
            try await joining.join(endpoint, token, as: role, in: reactor)
        }
        try options.launch("\(machine.nodeName) has joined as a \(role.rawValue).")
    }
}

/// `martlet reset`
struct Reset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes this machine out of its cluster, and removes all that Martlet keeps on it.",
        discussion: "Pods of this machine end. With the last master the cluster's data is gone for good.")

    @OptionGroup var data: DataOptions
    @Flag(help: "Do not ask.") var yes = false
    @Flag(help: "Leave the cluster as it is: it is gone, or another machine has taken the place of this one.")
    var keepMembership = false

    func run() async throws {
        guard let machine = try MachineFile(readingFrom: data.path) ?? leftover() else {
            return print("\(data.path) holds no part of a cluster; nothing to do")
        }
        if !yes {
            print("All data of \(machine.nodeName) in \(data.path) will be removed. Type yes: ", terminator: "")
            guard readLine() == "yes" else { throw ExitCode(1) }
        }
        let service = Service(dataDirectory: data.path)
        if !keepMembership { await leave(machine) }
        try service.stop()
        if machine.roles.contains(.worker) { try clean(service) }
        try Files.remove(data.path)
        print("\(machine.nodeName) is no part of a cluster any more")
    }

    /// A join that was cut short has left a folder without machine.json.
    private func leftover() -> MachineFile? {
        guard FileManager.default.fileExists(atPath: data.path + "/FORMAT") else { return nil }
        return MachineFile(roles: [], nodeName: "this machine", nodeAddress: "127.0.0.1")
    }

    /// A master leaves the others, which then need one less to agree.
    private func leave(_ machine: MachineFile) async {
        guard machine.peerPort != nil else { return }
        var connection = ConnectionOptions()
        connection.kubeconfig = data.path + "/admin.kubeconfig"
        do {
            try await connection.withClient { client, _ in
                let members = try await client.ask(.get, "/martlet/v1/members")["members"]?.array ?? []
                if members.count > 1 { _ = try await client.ask(.delete, "/martlet/v1/members/\(machine.nodeName)") }
            }
        } catch {
            print(
                "the other masters were not told (\(error)); on one of them: martlet member remove \(machine.nodeName)")
        }
    }

    /// Pods outlive the daemon: it is started once more to end them.
    private func clean(_ service: Service) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Service.daemon)
        process.arguments = ["--data-dir", data.path, "--clean"] + service.usedArguments
        try process.run()
        process.waitUntilExit()
    }
}
