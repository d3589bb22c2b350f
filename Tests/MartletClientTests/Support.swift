import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Synchronization

/// A world in which short pauses pass at once and are noted, and time limits are never reached.
final class HastyWorld: World {
    private struct State: Sendable {
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var random: UInt64 = 42
        var pauses: [Duration] = []
        var nextID = 0
        var parked: [Int: CheckedContinuation<Void, any Error>] = [:]
    }
    private let state = Mutex(State())

    var executor: any TaskExecutor { globalConcurrentExecutor }
    /// The pauses that passed.
    var pauses: [Duration] { state.withLock { $0.pauses } }
    func now() -> MonotonicTime { state.withLock { $0.now } }
    func wallTime() -> WallTime { WallTime(seconds: 1_700_000_000) }

    func sleep(until deadline: MonotonicTime) async throws {
        let id: Int? = state.withLock { state in
            let pause = deadline - state.now
            if pause <= .seconds(30) {
                state.now = max(state.now, deadline)
                state.pauses.append(pause)
                return nil
            }
            state.nextID += 1
            return state.nextID
        }
        guard let id else { return await Task.yield() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let parks = state.withLock { state in
                    if !Task.isCancelled { state.parked[id] = continuation }
                    return !Task.isCancelled
                }
                if !parks { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            state.withLock { $0.parked.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }

    func random() -> UInt64 {
        state.withLock { state in
            state.random = state.random &* 6_364_136_223_846_793_005 &+ 1
            return state.random >> 33
        }
    }

    func connect(to endpoint: Endpoint) async throws -> any ByteStream { throw NetworkError.closed }
    func listen(on endpoint: Endpoint) async throws -> any StreamListener { throw NetworkError.closed }
}

/// Answers requests in the order of a script, and notes them.
actor Script {
    private var answers: [@Sendable (Request) -> Response]
    /// Each request, as `METHOD path body`.
    private(set) var asked: [String] = []
    private(set) var contentTypes: [String?] = []

    init(_ answers: [@Sendable (Request) -> Response]) { self.answers = answers }

    func handle(_ request: Request) async -> Response {
        let body = (try? await request.body.collect(limit: 1 << 20)) ?? []
        let text = String(decoding: body, as: UTF8.self)
        asked.append("\(request.head.method) \(request.head.path ?? "")\(text.isEmpty ? "" : " " + text)")
        contentTypes.append(request.head.headerFields[.contentType])
        guard !answers.isEmpty else {
            return json(["kind": "Status", "code": 500, "message": "the script is over"], status: .internalServerError)
        }
        return answers.removeFirst()(request)
    }
}

/// An answer of JSON.
func json(_ value: JSON, status: HTTPResponse.Status = .ok) -> Response {
    Response(status: status, contentType: "application/json", bytes: value.encoded())
}

/// An answer whose body is written in these pieces; it ends by throwing when `breaks`.
func pieces(_ pieces: [String], breaks: Bool = false) -> Response {
    Response(
        head: HTTPResponse(status: .ok),
        body: .stream { out in
            for piece in pieces { try await out.write(Array(piece.utf8)) }
            if breaks { throw NetworkError.closed }
        })
}

/// A pod of a version.
func pod(_ name: String, _ version: Int) -> JSON {
    [
        "apiVersion": "v1", "kind": "Pod",
        "metadata": ["name": .string(name), "namespace": "n", "resourceVersion": .string("\(version)")],
    ]
}

/// A line of a watch.
func line(_ type: String, _ object: JSON) -> String {
    String(decoding: (["type": .string(type), "object": object] as JSON).encoded(), as: UTF8.self) + "\n"
}

/// Something that a test waits for.
final class Signal: Sendable {
    private let state = Mutex((isSet: false, waiting: [CheckedContinuation<Void, Never>]()))
    func set() {
        let waiting = state.withLock { state in
            state.isSet = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
    func wait() async {
        await withCheckedContinuation { continuation in
            let isSet = state.withLock { state in
                if !state.isSet { state.waiting.append(continuation) }
                return state.isSet
            }
            if isSet { continuation.resume() }
        }
    }
}
