import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Synchronization
import Testing

@testable import MartletGateway

/// A client that takes nothing of what it asked for, until it goes away.
private final class Deaf: BodyWriter {
    private let world: any World
    private let taken = Mutex<[UInt8]>([])
    private let isFull: Bool

    init(in world: any World, isFull: Bool = true) {
        self.world = world
        self.isFull = isFull
    }

    var text: String { taken.withLock { String(decoding: $0, as: UTF8.self) } }

    func write(_ bytes: [UInt8]) async throws {
        // What is short is in the buffers of the connection before anybody looks.
        if isFull, bytes.count > Limits.watchPiece { try await world.sleep(for: .seconds(3600)) }
        taken.withLock { $0 += bytes }
    }
}

/// What keeps watches that nobody reads within bounds of memory.
@Suite struct WatchMemoryTests {
    private static let jane = Identity(user: "jane", groups: ["system:authenticated"])

    private static func large(_ name: String) -> JSON {
        ["metadata": ["name": .string(name)], "data": ["text": .string(String(repeating: "a", count: 1_000_000))]]
    }

    private static func run(
        patience: Duration = .milliseconds(20), _ body: @escaping @Sendable (TestAPI) async throws -> Void
    ) async throws {
        try await TestAPI.run(configure: { $0.watchPatience = patience }) { api in
            await api.allow("get,list,watch", "configmaps", to: [("User", "jane")])
            for name in ["a", "b", "c"] { _ = await api.post(Paths.configMaps, large(name)) }
            try await body(api)
        }
    }

    /// A watch of Jane's whose answer goes to `writer`.
    private static func watch(
        _ api: TestAPI, _ writer: any BodyWriter, _ query: String = "watch=1&resourceVersion=0", accept: String? = nil
    ) async throws -> Task<Void, Never> {
        let path = "\(Paths.configMaps)?\(query)"
        let response = await api.gateway.serve(api.request(.get, path, [], accept), as: jane)
        guard case .stream(let write) = response.body else { throw APIError.badRequest("no stream") }
        return api.world.spawn { try? await write(writer) }
    }

    /// How much of the room for answers is free for Jane.
    private static func free(_ api: TestAPI) -> Int {
        var (low, high) = (0, Limits.answersBeingSent)
        while low < high {
            let middle = (low + high + 1) / 2
            if api.gateway.admittance.room(.answers, .others, for: "jane").grow(by: middle) {
                low = middle
            } else {
                high = middle - 1
            }
        }
        return low
    }

    @Test(.timeLimit(.minutes(2))) func manyWatchesThatNobodyReadHoldNoMoreThanTheirRoom() async throws {
        try await Self.run { api in
            let before = Self.free(api)
            let places = before / Limits.eventBuffers
            var watches: [(client: Deaf, task: Task<Void, Never>)] = []
            for _ in 0..<(places + 20) {
                let client = Deaf(in: api.world)
                watches.append((client, try await Self.watch(api, client)))
            }
            // Those that find no room are told so, and end; the others go on.
            while watches.count(where: { $0.client.text.contains("TooManyRequests") }) < 20 {
                try await api.world.sleep(for: .milliseconds(10))
            }
            #expect(Self.free(api) < 2 * Limits.eventBuffers)
            let refused = watches.filter { !$0.client.text.isEmpty }
            #expect(refused.count < 30)
            for (client, task) in refused {
                await task.value
                let event = try JSON(parsing: Array(client.text.utf8.dropLast()))
                #expect(event["type"] == "ERROR" && event["object", "code"] == 429)
            }
            // Small events need no room.
            _ = await api.post(Paths.configMaps, Samples.configMap("small"))
            let small = Deaf(in: api.world)
            let task = try await Self.watch(
                api, small, "watch=1&resourceVersion=0&fieldSelector=metadata.name%3Dsmall")
            while !small.text.contains("ADDED") { try await api.world.sleep(for: .milliseconds(10)) }
            task.cancel()
            // All is given back.
            for (_, task) in watches { task.cancel() }
            for (_, task) in watches { await task.value }
            await task.value
            #expect(Self.free(api) == before)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aWatchThatWaitsForRoomGoesOnWhenThereIsSome() async throws {
        try await Self.run(patience: .seconds(60)) { api in
            var full = api.gateway.admittance.full(.answers, .others, but: 100_000)
            let reader = Deaf(in: api.world, isFull: false)
            let task = try await Self.watch(api, reader)
            try await api.world.sleep(for: .milliseconds(30))
            #expect(reader.text.isEmpty)
            full.removeAll()
            while reader.text.count(where: { $0 == "\n" }) < 3 { try await api.world.sleep(for: .milliseconds(10)) }
            _ = await api.post(Paths.configMaps, Self.large("d"))
            while reader.text.count(where: { $0 == "\n" }) < 4 { try await api.world.sleep(for: .milliseconds(10)) }
            task.cancel()
            await task.value
        }
    }

    /// Else those who wait for an event could hold all that it needs.
    @Test(.timeLimit(.minutes(1))) func aWatchHoldsAllThatItNeedsForAnEventOrNothing() async throws {
        try await Self.run(patience: .seconds(60)) { api in
            // Its line is made once for all.
            let whole = Limits.eventBuffers + 1_000_000
            var full = api.gateway.admittance.full(.answers, .others, but: whole - 1)
            let task = try await Self.watch(api, Deaf(in: api.world))
            try await api.world.sleep(for: .milliseconds(30))
            while Self.free(api) < whole - 1 { try await api.world.sleep(for: .milliseconds(10)) }
            full.removeAll()
            let free = Self.free(api)
            while Self.free(api) == free { try await api.world.sleep(for: .milliseconds(10)) }
            #expect(free - Self.free(api) >= whole)
            task.cancel()
            await task.value
            #expect(Self.free(api) == free)
        }
    }

    /// With and without selectors, as tables and metadata: large events are as small ones.
    @Test(.timeLimit(.minutes(1))) func largeEventsAreWhatTheySeemInEveryForm() async throws {
        try await Self.run { api in
            let table = "application/json;as=Table;v=v1;g=meta.k8s.io"
            let metadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
            let forms: [(query: String, accept: String?)] = [
                ("watch=1", nil), ("watch=1", table), ("watch=1", metadata), ("watch=1&labelSelector=!gone", nil),
            ]
            for (number, form) in forms.enumerated() {
                let reader = Deaf(in: api.world, isFull: false)
                let task = try await Self.watch(api, reader, form.query, accept: form.accept)
                while reader.text.count(where: { $0 == "\n" }) < 3 {
                    try await api.world.sleep(for: .milliseconds(10))
                }
                _ = await api.post(Paths.configMaps, Self.large("new\(number)"))
                let labels: JSON = ["metadata": ["labels": ["gone": "yes"]]]
                _ = await api.patch("\(Paths.configMaps)/new\(number)", labels)
                _ = await api.delete("\(Paths.configMaps)/new\(number)")
                let wanted = form.query.contains("!gone") ? 5 : 6
                while reader.text.count(where: { $0 == "\n" }) < wanted {
                    try await api.world.sleep(for: .milliseconds(10))
                }
                task.cancel()
                await task.value
                let events = try reader.text.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
                let types = events.map { $0["type"]?.string }
                let changes = wanted == 5 ? ["ADDED", "DELETED"] : ["ADDED", "MODIFIED", "DELETED"]
                #expect(types == ["ADDED", "ADDED", "ADDED"] + changes)
            }
        }
    }
}
