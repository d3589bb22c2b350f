import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletClient

private func list(_ items: [JSON], version: Int, next: String? = nil) -> Response {
    json([
        "kind": "PodList", "apiVersion": "v1",
        "metadata": ["resourceVersion": .string("\(version)"), "continue": .string(next ?? "")],
        "items": .array(items),
    ])
}

private let gone: JSON = [
    "kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old",
]

private func told(_ change: Change?) -> String {
    switch change {
    case .put(let object): "put \(object.name) \(object.resourceVersion)"
    case .removed(let object): "removed \(object.name) \(object.resourceVersion)"
    case .synced: "synced"
    case nil: "end"
    }
}

@Suite struct Following {
    @Test func everyChangeIsToldOnceAndInOrderWhateverHappensOnTheWay() async throws {
        let world = HastyWorld()
        let left = Signal()
        let script = Script([
            { _ in list([pod("a", 1), pod("b", 2)], version: 10, next: "t=/") },
            { _ in list([pod("c", 3)], version: 10) },
            { _ in
                let text = line("ADDED", pod("d", 11)) + line("MODIFIED", pod("a", 12)) + line("DELETED", pod("b", 13))
                let bookmark = line(
                    "BOOKMARK", ["kind": "Pod", "apiVersion": "v1", "metadata": ["resourceVersion": "20"]])
                // Cut in the middle of a line, and of a name.
                return pieces([String(text.prefix(40)), String(text.dropFirst(40)), bookmark])
            },
            { _ in json(gone, status: .gone) },
            { _ in list([pod("a", 12), pod("c", 30), pod("e", 29)], version: 31) },
            { _ in pieces([String(line("ADDED", pod("f", 32)).dropLast(5))], breaks: true) },
            { _ in pieces([line("ADDED", pod("e", 29)) + line("MODIFIED", pod("e", 33)) + line("ERROR", gone)]) },
            { _ in list([pod("a", 12), pod("c", 30), pod("e", 33)], version: 40) },
            { _ in
                Response(
                    head: HTTPResponse(status: .ok),
                    body: .stream { out in
                        try await out.write(Array(line("DELETED", pod("a", 41)).utf8))
                        await withTaskCancellationHandler {
                            await left.wait()
                        } onCancel: {
                            left.set()
                        }
                    })
            },
        ])
        let client = Client(transport: InProcessTransport(in: world) { await script.handle($0) }, in: world)
        let stream = client.follow(.pod, labelSelector: "app in (a,b)", logger: Logger(label: "test"))
        var changes = stream.makeAsyncIterator()
        for expected in [
            "put a 1", "put b 2", "put c 3", "synced", "put d 11", "put a 12", "removed b 13", "put c 30", "put e 29",
            "removed d 11", "put e 33", "removed a 41",
        ] {
            #expect(told(await changes.next()) == expected)
        }
        // A reader that is cancelled ends the watch and the stream.
        let reading = world.spawn { [changes] in
            var changes = changes
            #expect(told(await changes.next()) == "end")
        }
        reading.cancel()
        await reading.value
        await left.wait()
        let asked = await script.asked.map { $0.split(separator: "&timeoutSeconds")[0] }
        let scope = "GET /api/v1/pods?labelSelector=app%20in%20%28a%2Cb%29"
        let watch = scope + "&watch=true&allowWatchBookmarks=true&resourceVersion="
        #expect(
            asked
                == [
                    scope + "&limit=500", scope + "&limit=500&continue=t%3D%2F", "\(watch)10", "\(watch)20",
                    scope + "&limit=500", "\(watch)31", "\(watch)31", scope + "&limit=500", "\(watch)40",
                ].map { Substring($0) })
    }

    @Test func pausesGrowToHalfAMinuteAndStartAnewAfterSuccess() async throws {
        let world = HastyWorld()
        let refusal: @Sendable (Request) -> Response = { _ in
            json(["kind": "Status", "code": 503, "message": "starting"], status: .serviceUnavailable)
        }
        let script = Script(Array(repeating: refusal, count: 12) + [{ _ in list([], version: 5) }])
        let client = Client(transport: InProcessTransport(in: world) { await script.handle($0) }, in: world)
        let stream = client.follow(.pod, logger: Logger(label: "test"))
        var changes = stream.makeAsyncIterator()
        #expect(told(await changes.next()) == "synced")
        let pauses = world.pauses
        #expect(pauses.count == 12)
        #expect(pauses[0] >= .milliseconds(100) && pauses[0] <= .milliseconds(150))
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(pauses[11] == .seconds(30))
    }

    @Test func aWatchThatIsAlwaysTooOldDoesNotSpin() async throws {
        let world = HastyWorld()
        let rounds: [@Sendable (Request) -> Response] = [
            { _ in list([], version: 5) }, { _ in pieces([line("ERROR", gone)]) },
        ]
        let script = Script(rounds + rounds + rounds + [{ _ in list([pod("a", 6)], version: 6) }])
        let client = Client(transport: InProcessTransport(in: world) { await script.handle($0) }, in: world)
        var changes = client.follow(.pod, logger: Logger(label: "test")).makeAsyncIterator()
        #expect(told(await changes.next()) == "synced")
        #expect(told(await changes.next()) == "put a 6")
        #expect(world.pauses.count == 2)
    }

    @Test func aLineWithoutEndIsRefused() throws {
        var lines = WatchLines()
        #expect(try lines.push(Array("a\n\nb".utf8)) == [[97]])
        #expect(try lines.push(Array("c\n".utf8)) == [[98, 99]])
        let piece = [UInt8](repeating: 65, count: 1 << 20)
        #expect(throws: HTTPError.self) { for _ in 0...8 { _ = try lines.push(piece) } }
    }

    @Test func mutatedLinesNeverTrap() {
        var state: UInt64 = 9
        func next() -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 40)
        }
        let good = Array((line("ADDED", pod("a", 1)) + line("DELETED", pod("a", 2)) + line("ERROR", gone)).utf8)
        var refused = 0
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0...next() % 3 { bytes[next() % bytes.count] = UInt8(next() % 256) }
            var lines = WatchLines()
            var reflection = Reflection()
            for line in (try? lines.push(bytes)) ?? [] {
                do { _ = try reflection.take(line: line, kind: .pod) } catch { refused += 1 }
            }
        }
        #expect(refused > 100)
    }

    @Test func aFastProducerWaitsForItsReader() async throws {
        let world = HastyWorld()
        let piece = [UInt8](repeating: 1, count: 100_000)
        let reader = BodyPipe.run(
            { out in for _ in 0..<50 { try await out.write(piece) } }, in: world)
        var count = 0
        while let bytes = try await reader.next() {
            #expect(bytes.count <= BodyPipe.capacity + piece.count)
            count += bytes.count
        }
        #expect(count == 50 * piece.count)
    }
}
