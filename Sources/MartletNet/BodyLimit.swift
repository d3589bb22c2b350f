internal import MartletHTTP
internal import Synchronization

/// Breaks off a request's body that is longer than its route allows.
final class BodyLimit: Sendable {
    private let limit: Int?
    private let exceeded = Atomic<Bool>(false)

    /// - Parameter limit: in bytes; nil for none.
    init(_ limit: Int?) { self.limit = limit }

    var isExceeded: Bool { exceeded.load(ordering: .relaxed) }

    /// The body, which fails once it is too long.
    func watch(_ body: RequestBody) -> RequestBody {
        guard let limit else { return body }
        switch body {
        case .bytes(let bytes):
            if bytes.count > limit { exceeded.store(true, ordering: .relaxed) }
            return body
        case .stream(let next):
            let counter = Counter()
            return .stream {
                guard let piece = try await next() else { return nil }
                guard counter.add(piece.count) <= limit else {
                    self.exceeded.store(true, ordering: .relaxed)
                    throw HTTPError.bodyTooLarge(limit: limit)
                }
                return piece
            }
        }
    }

    private final class Counter: Sendable {
        private let count = Atomic<Int>(0)
        func add(_ more: Int) -> Int { count.add(more, ordering: .relaxed).newValue }
    }
}
