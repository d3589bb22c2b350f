public import MartletBase

/// Who waits until a password is checked. Hashes are slow on purpose and one is made at a time, so that passwords that
/// somebody guesses cost no more than a thread: routes have their turns one after the other, and in a route its
/// clients. When too many wait, those give way that have the most in line: a flood at one host, or from one address,
/// keeps no other from its turn.
public struct PasswordLine: Sendable {
    /// So many wait at most.
    public static let most = 64
    /// So many of one client may wait or be checked: of an address, or of a network of 64 bits of IPv6.
    public static let mostOfOne = 8

    /// What becomes of who comes.
    public enum Joined: Sendable, Hashable {
        /// It has its turn at once.
        case turn
        /// It waits for its turn, and another one, if any, waits no longer.
        case waits(inPlaceOf: Int?)
        /// It may not wait.
        case refused(Refusal)
    }
    /// Why somebody may not wait.
    public enum Refusal: Sendable, Hashable {
        /// The client has too many in line.
        case tooManyOfOne
        /// There is no room.
        case full
    }

    private struct Check {
        var ticket: Int
        var client: IPAddress?
        /// How many of the client stood in the same lane before it.
        var rank: Int
    }
    private var lanes: [RouteOrigin: [Check]] = [:]
    /// Routes with a lane, the next one first.
    private var order: [RouteOrigin] = []
    private var inTurn: Check?
    private var count = 0

    /// A line that nobody stands in.
    public init() {}

    /// Somebody comes.
    /// - Parameters:
    ///   - ticket: names the check.
    ///   - client: those without an address are one.
    public mutating func join(_ ticket: Int, of address: IPAddress?, to route: RouteOrigin) -> Joined {
        let client = address?.clientNetwork
        var check = Check(ticket: ticket, client: client, rank: 0)
        guard let inTurn else {
            inTurn = check
            return .turn
        }
        let waiting = lanes.values.reduce(0) { $0 + $1.count { $0.client == client } }
        if waiting + (inTurn.client == client ? 1 : 0) >= Self.mostOfOne { return .refused(.tooManyOfOne) }
        var lane = lanes[route] ?? []
        if lane.isEmpty { order.append(route) }
        check.rank = lane.count { $0.client == client }
        lane.insert(check, at: lane.firstIndex { $0.rank > check.rank } ?? lane.count)
        lanes[route] = lane
        count += 1
        guard count > Self.most else { return .waits(inPlaceOf: nil) }
        // Of lanes that are equally long, the newcomer's.
        let longest = lanes.values.reduce(0) { max($0, $1.count) }
        let full = lane.count == longest ? route : order.first { lanes[$0]?.count == longest } ?? route
        guard let dropped = lanes[full]?.last else { return .waits(inPlaceOf: nil) }
        remove(at: (lanes[full]?.count ?? 1) - 1, of: full)
        return dropped.ticket == ticket ? .refused(.full) : .waits(inPlaceOf: dropped.ticket)
    }

    /// The check in turn is over: whose turn is next; nil when nobody waits.
    public mutating func next() -> Int? {
        inTurn = nil
        guard let route = order.first, let check = lanes[route]?.first else { return nil }
        order.append(order.removeFirst())
        remove(at: 0, of: route)
        inTurn = check
        return check.ticket
    }

    private mutating func remove(at place: Int, of route: RouteOrigin) {
        lanes[route]?.remove(at: place)
        count -= 1
        guard lanes[route]?.isEmpty == true else { return }
        lanes[route] = nil
        order.removeAll { $0 == route }
    }
}
