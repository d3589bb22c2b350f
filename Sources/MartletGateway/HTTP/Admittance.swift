internal import Synchronization

/// Bounds the requests in flight, and the memory of their bodies and answers.
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

    /// What memory is taken for.
    enum Purpose: Sendable {
        /// Bodies of requests that are being read.
        case bodies
        /// Answers that are not yet sent.
        case answers

        fileprivate var limit: Int { self == .bodies ? Limits.bodiesBeingRead : Limits.answersBeingSent }
    }

    fileprivate struct Share: Hashable {
        var purpose: Purpose
        var pool: Pool
    }
    fileprivate struct Place: Hashable {
        var kind: Class
        var pool: Pool
    }
    private struct State {
        var counts: [Place: Int] = [:]
        var bytes: [Share: Int] = [:]
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

    /// Room for a body that is about to be read, or an answer that is about to be made; it is empty so far.
    func room(_ purpose: Purpose, _ pool: Pool) -> Room { Room(self, Share(purpose: purpose, pool: pool)) }

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

    /// What one body or answer takes of its pool's room; given back when nobody holds it any more.
    final class Room: Sendable {
        private let office: Admittance
        private let share: Share
        private let held = Mutex(0)

        fileprivate init(_ office: Admittance, _ share: Share) {
            self.office = office
            self.share = share
        }

        /// Takes room for `count` more bytes; false when the pool holds too much already.
        func grow(by count: Int) -> Bool {
            let hasRoom = office.state.withLock { state in
                let all = state.bytes[share, default: 0]
                if all + count > share.purpose.limit { return false }
                state.bytes[share] = all + count
                return true
            }
            if hasRoom { held.withLock { $0 += count } }
            return hasRoom
        }

        deinit {
            let count = held.withLock { $0 }
            office.state.withLock { $0.bytes[share, default: count] -= count }
        }
    }
}
