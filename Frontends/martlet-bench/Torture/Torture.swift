import ArgumentParser
import Foundation
import MartletBase
import MartletEtcdClient
import MartletHTTP
import MartletIO
import MartletPKI
import MartletSimulation

/// `martlet-bench torture`: real members under load, killed and stopped at random; what they answered must be what one
/// store could have answered.
struct TortureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "torture",
        abstract: "Kills and stops real members at random under load, and checks every answer.",
        discussion: """
            Members run as processes on loopback over TLS. Clients put, get (linearizable) and compare-and-swap a few \
            keys through random members. Meanwhile members are killed (SIGKILL) and stopped (SIGSTOP): one, the \
            leader, two, or all. At the end no acknowledged write may be lost, no read may have been stale, all \
            members must hold the same, and none may be stuck.
            """)

    @Option(help: "How long.") var seconds = 600
    @Option(help: "How many members.") var members = 3
    @Option(help: "How many clients.") var clients = 8
    @Option(help: "The seed of what is done to whom; by default drawn and printed.") var seed: UInt64?
    @Option(help: "The program; by default martlet-store beside this one.") var program: String?
    @Option(help: "Where the members' folders go; removed at the end unless something failed.") var directory = "."

    func run() async throws {
        guard 1...86_400 ~= seconds, 1...9 ~= members, 1...256 ~= clients else {
            throw ValidationError("seconds is 1 to 86400, members 1 to 9, clients 1 to 256")
        }
        let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
        let program = program ?? "\(beside)/martlet-store"
        let folder = "\(directory)/martlet-torture-\(ProcessInfo.processInfo.processIdentifier)"
        try Files.makeDirectory(folder)
        let reactor = try Reactor(name: "torture")
        defer { reactor.shutdown() }
        let seed = seed ?? reactor.random()
        print("== Torture: \(members) members, \(clients) clients, \(seconds) s, seed \(seed), in \(folder)")
        let outcome = Outcome()
        // All of it on the reactor's thread: nothing here is shared between threads.
        let task = reactor.spawn { [members, clients, seconds] in
            do {
                let torture = try await Torture(
                    program: program, members: members, folder: folder, seed: seed, in: reactor)
                outcome.passed = try await torture.run(clients: clients, seconds: seconds)
            } catch {
                print("error: \(error)")
            }
        }
        await task.value
        guard outcome.passed else {
            print("== FAILED; the folders are left in \(folder); again: martlet-bench torture --seed \(seed)")
            throw ExitCode(1)
        }
        try Files.remove(folder)
        print("== Nothing lost, nothing stale, nobody stuck")
    }
}

/// What came out; written by the task that is waited for.
private final class Outcome: @unchecked Sendable {
    var passed = false
}
