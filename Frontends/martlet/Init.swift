import ArgumentParser
import Foundation
import HTTPTypes
import Martlet
import MartletBase
import MartletFrontend
import MartletIO

/// How `init` and `join` start the daemon.
struct StartOptions: ParsableArguments {
    @Option(help: "How the daemon is started: auto, systemd, detached, none.") var start: Service.Way = .auto
    @Option(help: "A further flag of martletd, as --with=--images=/images; may be given more than once.")
    var with: [String] = []
    @OptionGroup var file: ConfigurationOptions

    /// Starts the daemon and waits until it works.
    func launch(_ machine: MachineFile, in dataDirectory: String, _ say: String) throws {
        var service = Service(dataDirectory: dataDirectory, arguments: with)
        // The daemon is started elsewhere: what it reads later is named whole.
        if let file = file.asked {
            service.arguments.append("--config=" + (file == "none" ? file : URL(fileURLWithPath: file).path))
        }
        service.runsPods = machine.roles.contains(.worker)
        if service.runningProcess != nil { throw Refusal("martletd of \(dataDirectory) runs already") }
        try service.start(start)
        if start == .none { return }
        try service.waitUntilReady()
        print(say)
    }
}

/// `martlet init`
struct Init: ConfiguredCommand {
    static let configuration = CommandConfiguration(
        abstract: "Begins a cluster of which this machine is the first master.",
        discussion: "It prints the commands by which further masters and workers join.")

    static var settings: SettingGroups { .beginning }

    @OptionGroup var data: DataOptions
    @OptionGroup var options: MachineOptions
    @OptionGroup(title: "What the cluster is") var cluster: ClusterOptions
    @OptionGroup(title: "How it is started") var start: StartOptions
    @Option(
        name: .customLong("pki"),
        help: "Take over the authorities in this folder (kubeadm's /etc/kubernetes/pki) or YAML file (kubetool's).")
    var foreignPKI: String?
    @Option(help: "How long the printed tokens are good for.") var ttl = "1h"

    func run() async throws {
        let ttl = try Token.duration(ttl)
        var machine = try options.machine(.master)
        cluster.apply(to: &machine)
        let joining = Joining(dataDirectory: data.path, machine: machine)
        let reactor = try Reactor(name: "martlet-cli")
        let pin: String
        do {
            defer { reactor.shutdown() }
            if let foreignPKI {
                let foreign = try Import.read(foreignPKI, in: reactor)
                for line in Import.describe(foreign) { print(line) }
                try joining.takeOver(foreign)
            }
            pin = try joining.begin(in: reactor)
        }
        try start.launch(machine, in: data.path, "\(machine.nodeName) is the first master of a new cluster.")
        if start.start == .none { return }
        var connection = ConnectionOptions()
        connection.kubeconfig = data.path + "/admin.kubeconfig"
        try await connection.whenReady()
        let server = Endpoint.ip(machine.nodeAddress, port: options.apiPort)
        let kubeconfig = connection.kubeconfig ?? ""
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

                kubectl --kubeconfig \(kubeconfig) get nodes
                """)
        }
    }
}

/// `martlet join`
struct Join: ConfiguredCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes this machine part of a cluster.",
        discussion: "martlet init and martlet token create print the command whole. It may be repeated.")

    static var settings: SettingGroups { .joining }

    @OptionGroup var data: DataOptions
    @OptionGroup var options: MachineOptions
    @OptionGroup(title: "How it is started") var start: StartOptions
    @Argument(help: "A master: ADDRESS or ADDRESS:PORT (6443).") var address: String
    @Option(help: "The token that the master printed. (default: $MARTLET_TOKEN)") var token: String?
    @Option(help: "What this machine becomes: worker or master.") var role = "worker"

    func run() async throws {
        guard let role = JoinToken.Role(rawValue: role) else {
            throw ValidationError("--role \(role) is neither master nor worker")
        }
        guard let text = token ?? ProcessInfo.processInfo.environment["MARTLET_TOKEN"] else {
            throw ValidationError("--token is missing: martlet token create prints one on a master")
        }
        guard let token = JoinToken(text) else {
            throw ValidationError("--token is not whole: copy all of what martlet token create printed")
        }
        let isPlain = address.filter { $0 == ":" }.count != 1 && !address.contains("]:")
        let endpoint =
            isPlain
            ? Endpoint.ip(address.filter { !"[]".contains($0) }, port: 6443)
            : MachineFile.endpoint(address)
        guard let endpoint else { throw ValidationError("\(address) is not ADDRESS or ADDRESS:PORT") }
        let machine = try options.machine(role)
        if Service(dataDirectory: data.path).runningProcess != nil {
            throw Refusal("martletd of \(data.path) runs already; martlet reset first, to join anew")
        }
        let joining = Joining(dataDirectory: data.path, machine: machine)
        let reactor = try Reactor(name: "martlet-cli")
        defer { reactor.shutdown() }
        try await withTaskExecutorPreference(reactor.executor) {
            try await joining.join(endpoint, token, as: role, in: reactor)
        }
        try start.launch(machine, in: data.path, "\(machine.nodeName) has joined as a \(role.rawValue).")
    }
}

/// `martlet reset`
struct Reset: ConfiguredCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes this machine out of its cluster, and removes all that Martlet keeps on it.",
        discussion: "Pods of this machine end. With the last master the cluster's data is gone for good.")

    static var settings: SettingGroups { .local }

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
        guard process.terminationStatus == 0 else {
            throw Refusal(
                "this machine's pods are not all ended, so that \(data.path) stays: mend what martletd says above, and "
                    + "give martlet reset again")
        }
    }
}
