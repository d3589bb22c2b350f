internal import Synchronization

/// Bounds the requests in flight.
final class Admittance: Sendable {
    /// The classes that are bounded apart from each other.
    enum Class: Sendable {
        case read
        case write
        /// Watches and followed logs.
        case longRunning

        fileprivate var limit: Int {
            switch self {
            case .read: Limits.readsInFlight
            case .write: Limits.writesInFlight
            case .longRunning: Limits.longRunning
            }
        }
    }

    private let counts = Mutex<[Class: Int]>([:])

    /// Lets a request in; nil when its class is full. The ticket's end lets the next one in.
    func enter(_ kind: Class) -> Ticket? {
        counts.withLock { counts in
            let count = counts[kind, default: 0]
            if count >= kind.limit { return nil }
            counts[kind] = count + 1
            return Ticket(self, kind)
        }
    }

    /// How many there are now.
    var inFlight: (reads: Int, writes: Int, longRunning: Int) {
        counts.withLock { ($0[.read, default: 0], $0[.write, default: 0], $0[.longRunning, default: 0]) }
    }

    /// One request's place; given back when nobody holds it any more.
    final class Ticket: Sendable {
        private let office: Admittance
        private let kind: Class

        fileprivate init(_ office: Admittance, _ kind: Class) {
            self.office = office
            self.kind = kind
        }

        deinit { office.counts.withLock { $0[kind, default: 1] -= 1 } }
    }
}
