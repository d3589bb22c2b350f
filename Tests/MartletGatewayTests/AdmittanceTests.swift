import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Synchronization
import Testing

@testable import MartletGateway

/// A body whose end is held back until somebody says so.
private final class HeldBody: Sendable {
    private struct State {
        var piece: [UInt8]?
        var isOpen = false
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state: Mutex<State>
    private let begun: @Sendable () -> Void

    init(_ bytes: [UInt8], begun: @escaping @Sendable () -> Void) {
        state = Mutex(State(piece: bytes))
        self.begun = begun
    }

    var body: RequestBody { .stream { await self.next() } }

    func finish() {
        let waiter = state.withLock { state in
            state.isOpen = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func next() async -> [UInt8]? {
        let piece = state.withLock { state in
            defer { state.piece = nil }
            return state.piece
        }
        if let piece { return piece }
        begun()
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiter = continuation }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
        return nil
    }
}

/// What tasks have noted.
private final class Notes: Sendable {
    private let all = Mutex<[Int]>([])
    var numbers: [Int] { all.withLock { $0 } }
    func add(_ number: Int) { all.withLock { $0.append(number) } }
}

@Suite struct AdmittanceTests {
    private static func request(
        _ api: TestAPI, _ body: RequestBody, name: String = "admin", groups: [String] = ["system:masters"]
    ) -> Request {
        var request = api.request(.post, Paths.configMaps)
        request.head.headerFields[.contentType] = "application/json"
        request.body = body
        request.peer = Peer(certificate: .init(commonName: name, organizations: groups), isSecure: true)
        return request
    }

    @Test(.timeLimit(.minutes(1))) func bodiesThatComeSlowlyKeepNobodyFromWriting() async throws {
        try await TestAPI.run { api in
            let (begun, beginnings) = AsyncStream<Void>.makeStream()
            let count = Limits.writesInFlight + 20
            let slow = (0..<count).map { number in
                HeldBody(Samples.configMap("slow-\(number)").encoded()) { beginnings.yield() }
            }
            let codes = Notes()
            let tasks = slow.map { body in
                api.world.spawn {
                    let code = await api.gateway.handle(Self.request(api, body.body)).head.status.code
                    codes.add(code)
                }
            }
            var started = 0
            for await _ in begun {
                started += 1
                if started == count { break }
            }
            #expect(api.gateway.admittance.inFlight.writes == 0)
            let quick = Self.request(api, .bytes(Samples.configMap("quick").encoded()))
            #expect(await api.gateway.handle(quick).head.status.code == 201)
            // Nothing is lost of those that were slow.
            for body in slow.prefix(3) { body.finish() }
            for task in tasks.prefix(3) { await task.value }
            #expect(codes.numbers == [201, 201, 201])
            for body in slow { body.finish() }
            for task in tasks { await task.value }
        }
    }

    @Test func othersCannotTakeThePlacesOfTheCluster() async throws {
        try await TestAPI.run { api in
            var tickets = api.gateway.admittance.full(.write, .others)
            #expect(tickets.count == Limits.writesInFlight)
            // What is not allowed is refused after it was let in.
            func write(_ object: String, _ name: String, _ groups: [String]) async -> Int {
                let body = RequestBody.bytes(Samples.configMap(object).encoded())
                return await api.gateway.handle(Self.request(api, body, name: name, groups: groups)).head.status.code
            }
            await api.allow("create", "configmaps", to: [("User", "system:kube-scheduler"), ("Group", "system:nodes")])
            #expect(await write("a", "admin", ["system:masters"]) == 429)
            #expect(await write("b", "system:node:n1", ["system:nodes"]) == 201)
            #expect(await write("c", "system:kube-scheduler", []) == 201)
            // Inside the process.
            #expect(await api.post(Paths.configMaps, Samples.configMap("d")).code == 201)
            tickets.removeAll()
            #expect(await write("e", "admin", ["system:masters"]) == 201)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aBodyThatDoesNotComeIsGivenUp() async throws {
        try await TestAPI.run { api in
            var configuration = GatewayConfiguration()
            configuration.bodyPatience = .milliseconds(20)
            let gateway = Gateway(
                replica: api.replica, configuration: configuration, in: api.world, logger: api.gateway.logger)
            let never = RequestBody.stream {
                try await api.world.sleep(for: .seconds(3600))
                return nil
            }
            let reply = await TestAPI.collect(await gateway.handle(Self.request(api, never)))
            #expect(reply.code == 408)
            #expect(reply.reason == "Timeout")
        }
    }

    @Test func whoMayNotWriteIsRefusedBeforeTheBodyIsRead() async throws {
        try await TestAPI.run { api in
            let reads = Notes()
            let body = RequestBody.stream {
                reads.add(1)
                return nil
            }
            let reply = await api.gateway.handle(Self.request(api, body, name: "jane", groups: []))
            #expect(reply.head.status.code == 403)
            #expect(reads.numbers.isEmpty)
        }
    }

    @Test func theBodiesBeingReadHaveOneBoundAndGiveTheirRoomBack() async throws {
        let admittance = Admittance()
        var rooms = admittance.full(.bodies, .others)
        #expect(!admittance.room(.bodies, .others, for: "late").grow(by: 1))
        #expect(admittance.room(.bodies, .cluster, for: "late").grow(by: 1))
        rooms.removeAll()
        #expect(!admittance.full(.bodies, .others).isEmpty)
        try await TestAPI.run { api in
            let full = api.gateway.admittance.full(.bodies, .others)
            let body = HeldBody(Samples.configMap("a").encoded()) {}
            body.finish()
            #expect(await api.gateway.handle(Self.request(api, body.body)).head.status.code == 429)
            withExtendedLifetime(full) {}
        }
    }

    @Test func oneUserAloneFillsNoPool() async throws {
        try await TestAPI.run { api in
            let admittance = api.gateway.admittance
            var tickets: [Admittance.Ticket] = []
            while let ticket = admittance.enter(.read, .others, for: "greedy") { tickets.append(ticket) }
            #expect(tickets.count == Limits.readsInFlight * 3 / 4)
            func read(as name: String) async -> Int {
                var request = api.request(.get, Paths.configMaps)
                request.peer = Peer(
                    certificate: .init(commonName: name, organizations: ["system:masters"]), isSecure: true)
                return await api.gateway.handle(request).head.status.code
            }
            #expect(await read(as: "greedy") == 429)
            #expect(await read(as: "modest") == 200)
            // With others that hold much it is the same.
            for name in ["second", "third"] {
                while let ticket = admittance.enter(.read, .others, for: name) { tickets.append(ticket) }
            }
            #expect(tickets.count == Limits.readsInFlight * 3 / 4 + 2 * Limits.readsInFlight / Limits.smallPart)
            #expect(await read(as: "third") == 429)
            #expect(await read(as: "modest") == 200)
            tickets.removeAll()
            #expect(await read(as: "greedy") == 200)
            let room = admittance.room(.bodies, .others, for: "greedy")
            #expect(!room.grow(by: Limits.bodiesBeingRead) && room.grow(by: Limits.bodiesBeingRead / 4 * 3))
            #expect(!room.grow(by: 1) && admittance.room(.bodies, .others, for: "modest").grow(by: 1))
        }
    }

    @Test(.timeLimit(.minutes(1))) func aStreamedBodyOverTheLimitIsRefused() async throws {
        try await TestAPI.run { api in
            let endless = RequestBody.stream { [UInt8](repeating: 0x20, count: 64 * 1024) }
            #expect(await api.gateway.handle(Self.request(api, endless)).head.status.code == 413)
        }
    }
}

extension Admittance {
    /// Takes every place: by as many users as that takes.
    func full(_ kind: Class, _ pool: Pool) -> [Ticket] {
        var tickets: [Ticket] = []
        while let ticket = enter(kind, pool, for: "user-\(tickets.count)") { tickets.append(ticket) }
        return tickets
    }

    /// Takes all the room but some bytes.
    func full(_ purpose: Purpose, _ pool: Pool, but rest: Int = 0) -> [Room] {
        let limit = purpose == .bodies ? Limits.bodiesBeingRead : Limits.answersBeingSent
        let large = limit - limit / Limits.reservedPart
        let small = limit / Limits.smallPart
        let sizes = [large, small, small, small, small - rest]
        return sizes.enumerated().map { number, size in
            let room = self.room(purpose, pool, for: "user-\(number)")
            #expect(room.grow(by: size))
            return room
        }
    }
}
