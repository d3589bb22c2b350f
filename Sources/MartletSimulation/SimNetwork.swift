internal import MartletBase
internal import Synchronization

/// What a link does to what goes over it.
public struct NetworkWeather: Sendable, Hashable {
    /// The shortest and the longest way; drawn for each message, so later ones overtake earlier ones.
    public var delay: ClosedRange<Duration>
    /// One in so many messages takes up to ``slowness`` times as long; 0: none.
    public var slowOneIn: UInt64
    /// How much longer a slow message takes, at most.
    public var slowness: Int
    /// One in so many messages is lost; 0: none. Streams lose nothing, they are late.
    public var loseOneIn: UInt64
    /// One in so many messages comes twice; 0: none.
    public var repeatOneIn: UInt64
    /// One in so many writes to a stream resets it; 0: none.
    public var resetOneIn: UInt64

    /// A weather from its parts.
    public init(
        delay: ClosedRange<Duration> = .microseconds(50) ... .microseconds(500), slowOneIn: UInt64 = 0,
        slowness: Int = 20, loseOneIn: UInt64 = 0, repeatOneIn: UInt64 = 0, resetOneIn: UInt64 = 0
    ) {
        self.delay = delay
        self.slowOneIn = slowOneIn
        self.slowness = slowness
        self.loseOneIn = loseOneIn
        self.repeatOneIn = repeatOneIn
        self.resetOneIn = resetOneIn
    }

    /// A good network.
    public static let fair = NetworkWeather()
    /// Slow, and forgetful.
    public static let foul = NetworkWeather(
        delay: .microseconds(50) ... .milliseconds(5), slowOneIn: 20, loseOneIn: 20, repeatOneIn: 20, resetOneIn: 500)
}

/// The network of a simulated world: messages with delay, loss, duplication and reordering, byte streams with delay,
/// stalls and resets, and partitions in one direction or both.
public final class SimNetwork: Sendable {
    /// One direction between two hosts.
    struct Link: Hashable {
        var from: Int
        var to: Int
    }

    struct State {
        var random: SplitMix64
        var weather = NetworkWeather.fair
        var blocked: Set<Link> = []
        var listeners: [Endpoint: SimListener] = [:]
        var streams: [ObjectIdentifier: WeakStream] = [:]
        var nextPort: UInt16 = 20_000
        var isOver = false
    }

    struct WeakStream {
        weak var stream: SimStream?
        var host: Int
    }

    let scheduler: SimScheduler
    let state: Mutex<State>

    init(_ scheduler: SimScheduler, _ random: SplitMix64) {
        self.scheduler = scheduler
        state = Mutex(State(random: random))
    }

    // MARK: Faults

    /// What the links are like from now on.
    public var weather: NetworkWeather {
        get { state.withLock { $0.weather } }
        set { state.withLock { $0.weather = newValue } }
    }

    /// Lets nothing pass from one host to another. The other direction stays as it is.
    public func block(from: Int, to: Int) {
        state.withLock { _ = $0.blocked.insert(Link(from: from, to: to)) }
    }

    /// Cuts all links between the hosts of different groups.
    public func partition(_ groups: [[Int]]) {
        for (place, group) in groups.enumerated() {
            for (otherPlace, others) in groups.enumerated() where place != otherPlace {
                for from in group { for to in others { block(from: from, to: to) } }
            }
        }
    }

    /// Opens all links.
    public func heal() { state.withLock { $0.blocked = [] } }

    /// Whether something may pass.
    public func isOpen(from: Int, to: Int) -> Bool {
        state.withLock { !$0.blocked.contains(Link(from: from, to: to)) }
    }

    /// A host loses power: its streams and listeners are gone, and peers read a reset.
    public func crash(_ host: Int) {
        let (listeners, streams) = state.withLock { state in
            let listeners = state.listeners.values.filter { $0.host == host }
            let streams = state.streams.values.filter { $0.host == host }.compactMap(\.stream)
            return (listeners.sorted { "\($0.endpoint)" < "\($1.endpoint)" }, streams.sorted { $0.id < $1.id })
        }
        for listener in listeners { listener.close() }
        for stream in streams { stream.crash() }
    }

    // MARK: Messages

    /// Carries one message: `deliver` is called once, twice or never, on the world's thread and outside any task.
    public func carry(from: Int, to: Int, deliver: @escaping @Sendable () -> Void) {
        let delays: [UInt64] = state.withLock { state in
            guard !state.isOver, !state.blocked.contains(Link(from: from, to: to)) else { return [] }
            guard !state.draw(state.weather.loseOneIn) else { return [] }
            let first = state.delay()
            return state.draw(state.weather.repeatOneIn) ? [first, state.delay()] : [first]
        }
        for delay in delays {
            scheduler.after(delay) { [self] in if isOpen(from: from, to: to) { deliver() } }
        }
    }

    // MARK: The end

    func end() {
        let (listeners, streams) = state.withLock { state in
            state.isOver = true
            defer {
                state.listeners = [:]
                state.streams = [:]
            }
            return (Array(state.listeners.values), state.streams.values.compactMap(\.stream))
        }
        for listener in listeners { listener.close() }
        for stream in streams { stream.close() }
    }
}

extension SimNetwork.State {
    /// True once in `oneIn` times; never for 0.
    mutating func draw(_ oneIn: UInt64) -> Bool { oneIn > 0 && random.next() % oneIn == 0 }

    /// How long one message is under way.
    mutating func delay() -> UInt64 {
        let least = UInt64(max(weather.delay.lowerBound.nanoseconds, 0))
        let most = UInt64(max(weather.delay.upperBound.nanoseconds, 0))
        var delay = least + random.next() % max(most - least + 1, 1)
        if draw(weather.slowOneIn) { delay *= 1 + random.next() % UInt64(max(weather.slowness, 1)) }
        return delay
    }
}
