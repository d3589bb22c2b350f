import ArgumentParser
import Foundation
import Martlet
import MartletBase
import MartletFrontend
import MartletIO

/// `martlet upgrade`
struct Upgrade: ConfiguredCommand {
    static let configuration = CommandConfiguration(
        abstract: "Starts this machine's daemon anew, with other programs when a folder of them is given.",
        discussion: """
            One machine after the other: masters first, then workers. A master does not stop when the others would \
            lose their quorum by that. Pods run on meanwhile. The former programs stay beside the new ones as \
            NAME.previous; give the folder of an earlier release to go back.
            """)
    static var settings: SettingGroups { .local }

    @OptionGroup var data: DataOptions
    @Argument(help: "The folder of the new release's programs. (default: the daemon starts with those there are)")
    var folder: String?
    @Flag(help: "Stop this master even if the others lose their quorum: nothing can be written until it is back.")
    var force = false

    func run() async throws {
        guard let machine = try MachineFile(readingFrom: data.path) else {
            throw Refusal("\(data.path) is no part of a cluster: name its folder with --data-dir")
        }
        var service = Service(dataDirectory: data.path)
        service.arguments = service.usedArguments
        service.runsPods = machine.roles.contains(.worker)
        guard service.isOurs else {
            throw Refusal(
                "martletd of \(data.path)\(service.runningProcess.map { " (process \($0))" } ?? "") was not started "
                    + "by martlet init, join or upgrade: stop it, put the new programs in place of the old ones, and "
                    + "start it the way it was started")
        }
        try await Programs(folder: folder ?? Programs.own).check(for: data.path)
        // Nobody misses one that stands still.
        let runs = service.runningProcess != nil
        if runs { try await guardQuorum(of: machine) }
        if let folder { try Programs(folder: folder).install() }
        print("\(machine.nodeName) \(runs ? "stops" : "stands still, and is started")")
        try service.restart()
        try service.waitUntilReady()
        if machine.peerPort != nil { try await waitUntilCaughtUp(machine) }
        print("\(machine.nodeName) is back")
    }

    private var connection: ConnectionOptions {
        var connection = ConnectionOptions()
        connection.kubeconfig = data.path + "/admin.kubeconfig"
        return connection
    }

    private func guardQuorum(of machine: MachineFile) async throws {
        guard machine.peerPort != nil else { return }
        let members: [QuorumGuard.Member]
        do { members = (try await connection.masters()["members"]?.array ?? []).map(QuorumGuard.Member.init) } catch {
            if force { return }
            throw Refusal("who of the masters is alive cannot be seen (\(error)); --force goes on without knowing")
        }
        switch QuorumGuard.judge(stopping: machine.nodeName, members) {
        case .safe: return
        case .pause: print("\(machine.nodeName) is the only master: nothing answers until it is back")
        case .refused(let why):
            guard force else { throw Refusal("\(machine.nodeName) is not stopped: \(why) (--force does it anyway)") }
            print("warning: \(why)")
        }
    }

    /// The next machine may follow when this master has all that the leader has.
    private func waitUntilCaughtUp(_ machine: MachineFile) async throws {
        for _ in 0..<600 {
            let members = (try? await connection.masters()["members"]?.array ?? []) ?? []
            let own = members.map(QuorumGuard.Member.init).first { $0.name == machine.nodeName }
            if own?.isAlive == true, (own?.behind ?? .max) < 100 { return }
            usleep(100_000)
        }
        throw Refusal("\(machine.nodeName) runs, and has not caught up after a minute: see martlet status, and wait")
    }
}

/// The programs of a release.
private struct Programs {
    static let names = ["martlet", "martletd", "martlet-cni", "martlet-store", "martlet-gateway"]
    /// The folder of those that this machine has.
    static var own: String { (Service.daemon as NSString).deletingLastPathComponent }
    let folder: String

    /// Those that this machine has, and the folder has too.
    private var replaced: [(from: String, to: String)] {
        Self.names.map { ("\(folder)/\($0)", "\(Self.own)/\($0)") }
            .filter { Files.exists($0.0) && ($0.1 == Service.daemon || Files.exists($0.1)) }
    }

    /// Looks whether the new daemon runs here and takes the configuration there is.
    func check(for dataDirectory: String) async throws {
        let daemon = folder + "/martletd"
        guard FileManager.default.isExecutableFile(atPath: daemon) else {
            throw Refusal("\(folder) holds no program martletd: give the folder of a release's programs")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: daemon)
        process.arguments =
            ["--data-dir", dataDirectory, "--check-config"] + Service(dataDirectory: dataDirectory).usedArguments
        process.standardOutput = FileHandle.nullDevice
        do { try process.run() } catch { throw Refusal("\(daemon) cannot be run here: \(error)") }
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Refusal("\(daemon) does not take this machine's configuration; nothing was changed")
        }
    }

    /// Puts each program in its place at once; a program that runs goes on with what it was.
    func install() throws {
        for (from, to) in replaced where try Files.read(from) != Files.read(to) {
            try? Files.remove(to + ".previous")
            try FileManager.default.copyItem(atPath: to, toPath: to + ".previous")
            try? Files.remove(to + ".next")
            try FileManager.default.copyItem(atPath: from, toPath: to + ".next")
            try Files.move(to + ".next", to: to)
            print("\(to) is replaced")
        }
    }
}
