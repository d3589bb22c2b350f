import ArgumentParser
import Foundation
import HTTPTypes
import Martlet
import MartletBase
import MartletFrontend
import MartletIO

/// `martlet reset`
struct Reset: ConfiguredCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes this machine out of its cluster, and removes all that Martlet keeps on it.",
        discussion: """
            Pods of this machine end. With the last master the cluster's data is gone for good. A master whom the \
            others cannot miss, or cannot be told of, stays as it is, unless --keep-membership is given.
            """)

    static var settings: SettingGroups { .local }

    @OptionGroup var data: DataOptions
    @Flag(help: "Do not ask.") var yes = false
    @Flag(help: "Leave the cluster as it is: it is gone, or another machine has taken the place of this one.")
    var keepMembership = false

    func run() async throws {
        guard let machine = try MachineFile(readingFrom: data.path) ?? leftover() else {
            return print("\(data.path) holds no part of a cluster; nothing to do")
        }
        let service = Service(dataDirectory: data.path)
        var others = try await keepMembership ? nil : Others(of: machine, in: data.path, service)
        if !yes {
            let name = machine.nodeName
            let what =
                others?.isLast == true
                ? "\(name) is the only master: its cluster ends, and all data in \(data.path) will be removed."
                : "All data of \(name) in \(data.path) will be removed."
            print(what + " Type yes: ", terminator: "")
            guard readLine() == "yes" else { throw Refusal("nothing was done; --yes does not ask") }
        }
        try await others?.leave()
        try service.stop()
        if !machine.roles.isDisjoint(with: [.worker, .edge]) { try clean(service) }
        try Files.remove(data.path)
        print("\(machine.nodeName) is no part of a cluster any more")
    }

    /// A join that was cut short has left a folder without machine.json.
    private func leftover() -> MachineFile? {
        guard FileManager.default.fileExists(atPath: data.path + "/FORMAT") else { return nil }
        return MachineFile(roles: [], nodeName: "this machine", nodeAddress: "127.0.0.1")
    }

    /// Pods outlive the daemon, and so do routes to them where it was killed: it is started once more to end them.
    private func clean(_ service: Service) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Service.daemon)
        process.arguments = ["--data-dir", data.path, "--clean"] + service.usedArguments
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Refusal(
                "what was made for pods is not all gone from this machine, so that \(data.path) stays: mend what "
                    + "martletd says above, and give martlet reset again")
        }
    }
}

/// The other masters of one that is to be reset.
private struct Others {
    let name: String
    let connection: ConnectionOptions
    /// Where masters may answer; nil for the one of this machine.
    private var doors: [Endpoint?] = [nil]
    /// How many masters there are, this one included; 0 for a machine that is none, or whose store has never begun.
    private var count = 0
    /// This one's number among them, in hexadecimal; nil when it is none of them.
    private var id: String?
    private let isRunning: Bool

    /// Whether the cluster ends with this one.
    var isLast: Bool { count == 1 && id != nil }

    /// - Throws: `Refusal` when nobody can tell who they are.
    init(of machine: MachineFile, in dataDirectory: String, _ service: Service) async throws {
        name = machine.nodeName
        var connection = ConnectionOptions()
        connection.kubeconfig = dataDirectory + "/admin.kubeconfig"
        self.connection = connection
        isRunning = service.runningProcess != nil
        guard machine.peerPort != nil, Files.exists(dataDirectory + "/store") else { return }
        if isRunning {
            doors += machine.masters as [Endpoint?]
            do { try await look() } catch {
                if let why = Departure.refusal(of: name, error) { throw Refusal(why) }
            }
        } else {
            let master: Departure.StoppedMaster
            do { master = try await Departure.stoppedMaster(in: dataDirectory) } catch {
                throw Refusal(
                    "\(name) is not reset: who the other masters are cannot be read (\(error)); on one of them: "
                        + "martlet member remove \(name), then here martlet reset --keep-membership")
            }
            // Another may have its name by now, and none its number.
            (count, id) = (master.otherCount + 1, master.id)
            let known = master.otherURLs.compactMap { MachineFile.endpoint(String($0.dropFirst("https://".count))) }
            doors = known
        }
    }

    private mutating func look() async throws {
        let members = try await ask(.get, "/martlet/v1/members")["members"]?.array ?? []
        count = members.count
        id = members.first { $0["name"]?.string == name }?["id"]?.string
    }

    /// Has the others do without this one, which then need one less to agree. A leader that has just come does not know
    /// yet who is alive.
    /// - Throws: `Refusal` when they cannot, or cannot be told.
    mutating func leave() async throws {
        for attempt in 1... {
            guard let id, count > 1 else { return }
            do {
                _ = try await ask(.delete, "/martlet/v1/members/\(id)")
                return
            } catch {
                guard let why = Departure.refusal(of: name, error) else { return }
                guard attempt < Self.attempts else { throw Refusal(why) }
            }
            usleep(500_000)
            if isRunning { try? await look() }
        }
    }

    /// How often leaving is tried, twice a second.
    private static let attempts = 6

    /// What the first master says that answers.
    private func ask(_ method: HTTPRequest.Method, _ path: String) async throws -> JSON {
        var failure: any Error = NetworkError.closed
        for door in doors {
            do {
                return try await connection.withTransport(at: door) { transport, world in
                    let client = Client(transport: transport, in: world)
                    return try await world.limited(to: .seconds(20), "\(path)") { try await client.ask(method, path) }
                }
            } catch let error as APIError where error.code < 500 { throw error } catch { failure = error }
        }
        throw failure
    }
}
