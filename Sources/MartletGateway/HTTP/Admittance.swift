internal import Synchronization

/// Bounds the requests in flight, and the bodies that are still being read.
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

    /// Two pools, each with all the bounds, so that nobody can take the places of those who keep the cluster going.
    enum Pool: Sendable {
        /// Nodes and control plane.
        case cluster
        case others
    }

    fileprivate struct Place: Hashable {
        var kind: Class
        var pool: Pool
    }
    private struct State {
        var counts: [Place: Int] = [:]
        var bodyBytes: [Pool: Int] = [:]
    }
    private let state = Mutex(State())

    /// Lets a request in; nil when its class is full. The ticket's end lets the next one in.
    func enter(_ kind: Class, _ pool: Pool) -> Ticket? {
        let place = Place(kind: kind, pool: pool)
        return state.withLock { state in
            let count = state.counts[place, default: 0]
            if count >= kind.limit { return nil }
            state.counts[place] = count + 1
            return Ticket(self, place)
        }
    }

    /// Room for a body that is about to be read; it is empty so far.
    func bodyRoom(_ pool: Pool) -> BodyRoom { BodyRoom(self, pool) }

    /// How many there are now.
    var inFlight: (reads: Int, writes: Int, longRunning: Int) {
        state.withLock { state in
            func count(_ kind: Class) -> Int {
                state.counts[Place(kind: kind, pool: .cluster), default: 0]
                    + state.counts[Place(kind: kind, pool: .others), default: 0]
            }
            return (count(.read), count(.write), count(.longRunning))
        }
    }

    /// A request's place; given back when nobody holds it any more.
    final class Ticket: Sendable {
        private let office: Admittance
        private let place: Place

        fileprivate init(_ office: Admittance, _ place: Place) {
            self.office = office
            self.place = place
        }

        deinit { office.state.withLock { $0.counts[place, default: 1] -= 1 } }
    }

    /// What one body takes of its pool's room while it is read; given back when nobody holds it any more.
    final class BodyRoom: Sendable {
        private let office: Admittance
        private let pool: Pool
        private let held = Mutex(0)

        fileprivate init(_ office: Admittance, _ pool: Pool) {
            self.office = office
            self.pool = pool
        }

        /// Takes room for `count` more bytes; false when the bodies of the pool hold too much already.
        func grow(by count: Int) -> Bool {
            let hasRoom = office.state.withLock { state in
                let all = state.bodyBytes[pool, default: 0]
                if all + count > Limits.bodiesBeingRead { return false }
                state.bodyBytes[pool] = all + count
                return true
            }
            if hasRoom { held.withLock { $0 += count } }
            return hasRoom
        }

        deinit {
            let count = held.withLock { $0 }
            office.state.withLock { $0.bodyBytes[pool, default: count] -= count }
        }
    }
}
