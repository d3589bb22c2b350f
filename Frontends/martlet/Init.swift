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

    /// - Throws: `Refusal` when the folder's daemon runs.
    func refuseRunning(in dataDirectory: String, _ purpose: String) throws {
        guard let process = Service(dataDirectory: dataDirectory).runningProcess else { return }
        let name = (try? MachineFile(readingFrom: dataDirectory))?.nodeName
        throw Refusal(
            "martletd of \(dataDirectory) runs already (process \(process)\(name.map { ", as \($0)" } ?? "")); "
                + "martlet reset first, \(purpose)")
    }

    /// Starts the daemon and waits until it works.
    func launch(_ machine: MachineFile, in dataDirectory: String, _ say: String) throws {
        var service = Service(dataDirectory: dataDirectory, arguments: with)
        // The daemon is started elsewhere: what it reads later is named whole.
        if let file = file.asked {
            service.arguments.append("--config=" + (file == "none" ? file : URL(fileURLWithPath: file).path))
        }
        service.runsPods = machine.roles.contains(.worker)
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
        try start.refuseRunning(in: data.path, "to begin anew")
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
        var connection = ConnectionOptions()
        connection.kubeconfig = data.path + "/admin.kubeconfig"
        if start.start == .none {
            return print(
                """
                Once it runs, these print the commands that others join with:
                  martlet token create --role worker --kubeconfig \(data.path)/admin.kubeconfig
                  martlet token create --role master --kubeconfig \(data.path)/admin.kubeconfig
                """)
        }
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
        try start.refuseRunning(in: data.path, "to join anew")
        let joining = Joining(dataDirectory: data.path, machine: machine)
        let reactor = try Reactor(name: "martlet-cli")
        defer { reactor.shutdown() }
        try await withTaskExecutorPreference(reactor.executor) {
            try await joining.join(endpoint, token, as: role, in: reactor)
        }
        try start.launch(machine, in: data.path, "\(machine.nodeName) has joined as a \(role.rawValue).")
        if role == .master, start.start != .none { await untilNamed(machine.nodeName) }
    }

    /// Returns when the masters know the new one by its name, or after a while: it tells them once it takes part.
    private func untilNamed(_ name: String) async {
        var connection = ConnectionOptions()
        connection.kubeconfig = data.path + "/admin.kubeconfig"
        for _ in 0..<50 {
            let members = (try? await connection.masters())?["members"]?.array ?? []
            if members.contains(where: { $0["name"]?.string == name }) { return }
            usleep(100_000)
        }
    }
}
