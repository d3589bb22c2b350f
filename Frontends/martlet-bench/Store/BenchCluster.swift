import Glibc
import MartletBase
import MartletHTTP
import MartletIO
import Synchronization

/// Three members on loopback, child processes of the bench, with folders of their own on one disk.
final class BenchCluster: Sendable {
    let rival: Rival
    let places: [Rival.Place]
    private let certificates: Certificates?
    private let world: Reactor
    private let processes: Mutex<[ChildProcess?]>

    /// Starts the members, and returns when one leads and a write works.
    init(_ rival: Rival, in folder: String, certificates: Certificates?, world: Reactor) async throws {
        self.rival = rival
        self.certificates = certificates
        self.world = world
        var ports: [UInt16] = []
        var listeners: [any StreamListener] = []
        for _ in 0..<6 {
            let listener = try await world.listen(on: .ip("127.0.0.1", port: 0))
            if case .ip(_, let port) = listener.endpoint { ports.append(port) }
            listeners.append(listener)
        }
        for listener in listeners { listener.close() }
        // The reactor closes them a moment later.
        try await world.sleep(for: .milliseconds(50))
        places = (0..<3).map {
            Rival.Place(
                name: "m\($0)", client: ports[$0], peer: ports[$0 + 3], folder: "\(folder)/\(rival.kind.rawValue)-\($0)"
            )
        }
        processes = Mutex(Array(repeating: nil, count: 3))
        for place in places { try Files.makeDirectory(place.folder) }
        for number in 0..<3 { try start(number) }
        try await ready()
    }

    /// Starts a member, for the first time or again on what it has.
    func start(_ number: Int) throws {
        let place = places[number]
        let process = try ChildProcess(
            rival.program, rival.arguments(place, of: places, tls: certificates),
            output: .file("\(place.folder)/output"), errors: .file("\(place.folder)/output"), in: world)
        processes.withLock { $0[number] = process }
    }

    /// Waits until every member knows a leader and takes a write.
    func ready(within limit: Duration = .seconds(60)) async throws {
        let channels = try places.indices.map { try channel(to: $0) }
        let deadline = world.now() + limit
        for (number, channel) in channels.enumerated() {
            while true {
                let request = Wire.putRequest(key: Array("ready".utf8), value: [])
                if (try? await channel.unary(Wire.put, request, timeout: .seconds(1))) != nil { break }
                guard world.now() < deadline else { throw await failure("member \(number) takes no writes") }
                try await world.sleep(for: .milliseconds(100))
            }
        }
    }

    /// The number of the member that leads.
    func leader() async throws -> Int {
        let deadline = world.now() + .seconds(20)
        while world.now() < deadline {
            for number in places.indices where process(number) != nil {
                let channel = try channel(to: number)
                guard let answer = try? await channel.unary(Wire.status, [], timeout: .seconds(1)) else { continue }
                let status = Wire.status(answer)
                if status.leader != 0 && status.member == status.leader { return number }
            }
            try await world.sleep(for: .milliseconds(50))
        }
        throw await failure("no member leads")
    }

    /// A new connection to a member.
    func channel(to number: Int) throws -> GRPCChannel {
        var tls: TLSClient?
        if let certificates {
            let identity = try TLSIdentity(
                certificateChainPEM: try Files.read(certificates.certificate),
                privateKeyPEM: try Files.read(certificates.key))
            tls = try TLSClient(
                authoritiesPEM: try Files.read(certificates.authority), identity: identity, alpn: ["h2"])
        }
        let port = places[number].client
        return GRPCChannel(
            endpoint: .ip("127.0.0.1", port: port), authority: "127.0.0.1:\(port)", in: world, tls: tls)
    }

    private func process(_ number: Int) -> ChildProcess? { processes.withLock { $0[number] } }

    /// Kills a member as a power cut would, and returns at once.
    func kill(_ number: Int) {
        let process = processes.withLock { processes in
            defer { processes[number] = nil }
            return processes[number]
        }
        process?.signal(SIGKILL)
    }

    /// Ends all members and removes their folders.
    func stop() async {
        let running = processes.withLock { processes in
            defer { processes = [nil, nil, nil] }
            return processes.compactMap { $0 }
        }
        for process in running { process.signal(SIGKILL) }
        for process in running { _ = await process.wait() }
        for place in places { try? Files.remove(place.folder) }
    }

    /// CPU seconds of the members so far, each.
    func cpuSeconds() -> [Double] { places.indices.map { ProcessFigures.cpuSeconds(process($0)?.pid) } }

    /// Resident bytes of the members: all, and those that are no pages of files.
    func resident() -> [(all: Double, anonymous: Double)] {
        places.indices.map { ProcessFigures.resident(process($0)?.pid) }
    }

    /// An error with the last lines of what the members said.
    func failure(_ text: String) async -> BenchFailure {
        var lines = "\(rival.kind.rawValue): \(text)"
        for place in places {
            let output = (try? Files.read("\(place.folder)/output")) ?? []
            let last = String(decoding: output.suffix(2000), as: UTF8.self).split(separator: "\n").suffix(4)
            lines += "\n--- \(place.name): " + last.joined(separator: "\n    ")
        }
        return BenchFailure(description: lines)
    }
}
