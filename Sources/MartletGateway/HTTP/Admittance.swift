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

    /// What is bounded: places of a class, or bytes for a purpose.
    fileprivate enum Account: Hashable {
        case places(Class, Pool)
        case bytes(Purpose, Pool)

        var limit: Int {
            switch self {
            case .places(let kind, _): kind.limit
            case .bytes(let purpose, _): purpose.limit
            }
        }
    }

    /// What is taken of one account, by whom.
    private struct Usage {
        var total = 0
        var users: [String: Int] = [:]

        /// False when there is too little left: for those who hold much already this is sooner.
        mutating func take(_ count: Int, of limit: Int, for user: String) -> Bool {
            let (all, own) = (total + count, users[user, default: 0] + count)
            if all > limit { return false }
            if all > limit - limit / Limits.reservedPart && own > limit / Limits.smallPart { return false }
            total = all
            users[user] = own
            return true
        }

        mutating func giveBack(_ count: Int, from user: String) {
            total -= count
            let own = users[user, default: count] - count
            users[user] = own > 0 ? own : nil
        }
    }
    private let accounts = Mutex<[Account: Usage]>([:])

    fileprivate func take(_ count: Int, of account: Account, for user: String) -> Bool {
        accounts.withLock { $0[account, default: Usage()].take(count, of: account.limit, for: user) }
    }

    fileprivate func giveBack(_ count: Int, to account: Account, from user: String) {
        if count == 0 { return }
        accounts.withLock { $0[account, default: Usage()].giveBack(count, from: user) }
    }

    /// Lets a request of `user` in; nil when its class is full, or nearly full and the user holds much of it already
    /// (``Limits/reservedPart``). The ticket's end lets the next one in.
    func enter(_ kind: Class, _ pool: Pool, for user: String) -> Ticket? {
        let place = Account.places(kind, pool)
        return take(1, of: place, for: user) ? Ticket(self, place, user) : nil
    }

    /// Room for a body of `user` that is about to be read, or an answer that is about to be made; it is empty so far.
    func room(_ purpose: Purpose, _ pool: Pool, for user: String) -> Room { Room(self, .bytes(purpose, pool), user) }

    /// How many there are now.
    var inFlight: (reads: Int, writes: Int, longRunning: Int) {
        accounts.withLock { accounts in
            func count(_ kind: Class) -> Int {
                [Pool.cluster, .others].reduce(0) { $0 + (accounts[.places(kind, $1)]?.total ?? 0) }
            }
            return (count(.read), count(.write), count(.longRunning))
        }
    }

    /// A request's place; given back when nobody holds it any more.
    final class Ticket: Sendable {
        private let office: Admittance
        private let place: Account
        private let user: String

        fileprivate init(_ office: Admittance, _ place: Account, _ user: String) {
            self.office = office
            self.place = place
            self.user = user
        }

        deinit { office.giveBack(1, to: place, from: user) }
    }

    /// What one body or answer takes of its pool's room; given back when nobody holds it any more.
    final class Room: Sendable {
        private let office: Admittance
        private let share: Account
        private let user: String
        private let held = Mutex(0)

        fileprivate init(_ office: Admittance, _ share: Account, _ user: String) {
            self.office = office
            self.share = share
            self.user = user
        }

        /// Takes room for `count` more bytes; false when the pool, or its user, holds too much already.
        func grow(by count: Int) -> Bool {
            guard office.take(count, of: share, for: user) else { return false }
            held.withLock { $0 += count }
            return true
        }

        /// Gives `count` bytes of what was taken back.
        func shrink(by count: Int) {
            let given = held.withLock { held in
                let given = min(count, held)
                held -= given
                return given
            }
            office.giveBack(given, to: share, from: user)
        }

        /// An empty room of the same user, given back apart from this one.
        func another() -> Room { Room(office, share, user) }

        deinit { office.giveBack(held.withLock { $0 }, to: share, from: user) }
    }
}
