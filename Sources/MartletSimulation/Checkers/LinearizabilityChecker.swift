/// What an object does when nobody else is there: the specification against which a concurrent history is checked.
public protocol SequentialModel: Sendable {
    /// What the object is in.
    associatedtype State: Hashable & Sendable
    /// What is asked of it.
    associatedtype Input: Sendable
    /// What it answers.
    associatedtype Output: Sendable

    /// How it begins.
    static var initial: State { get }
    /// The state after `input`, when `output` (nil: not known) is a possible answer in `state`; else nil.
    static func step(_ state: State, _ input: Input, _ output: Output?) -> State?
}

/// One call of a concurrent history, with its times in any unit.
public struct ConcurrentCall<Model: SequentialModel>: Sendable {
    /// When it was made.
    public var start: UInt64
    /// When it was answered; nil when its outcome is not known: then it may have happened at any time since, or never.
    public var end: UInt64?
    /// What was asked.
    public var input: Model.Input
    /// What was answered.
    public var output: Model.Output?
    /// A call from its parts.
    public init(start: UInt64, end: UInt64?, input: Model.Input, output: Model.Output?) {
        self.start = start
        self.end = end
        self.input = input
        self.output = output
    }
}

/// Finds out whether the calls of a history can be put into an order that their times allow and the model explains:
/// the search of Wing and Gong with Lowe's cache, as Porcupine does it.
public struct LinearizabilityChecker<Model: SequentialModel>: Sendable {
    /// What came out.
    public enum Verdict: Sendable, Hashable {
        /// There is such an order.
        case linearizable
        /// There is none.
        case violated
        /// The search was given up.
        case unknown
    }

    private struct Configuration: Hashable {
        var done: [UInt64]
        var state: Model.State
    }

    private let calls: [ConcurrentCall<Model>]
    /// Events in the order of time, as a list: what follows and precedes each. Event 0 is the head.
    private var next: [Int] = [1]
    private var previous: [Int] = [0]
    /// Of each event: its call, and whether it is the call's end.
    private var event: [(call: Int, isEnd: Bool)] = [(-1, false)]
    private var endEvent: [Int]
    private var callEvent: [Int]

    /// A checker of these calls.
    public init(_ calls: [ConcurrentCall<Model>]) {
        self.calls = calls
        endEvent = Array(repeating: -1, count: calls.count)
        callEvent = Array(repeating: -1, count: calls.count)
        var order: [(time: UInt64, isEnd: Bool, call: Int)] = []
        for (number, call) in calls.enumerated() {
            order.append((call.start, false, number))
            if let end = call.end { order.append((end, true, number)) }
        }
        // At one moment beginnings come first: that allows more orders, so nothing is accused wrongly.
        order.sort { ($0.time, $0.isEnd ? 1 : 0, $0.call) < ($1.time, $1.isEnd ? 1 : 0, $1.call) }
        for item in order {
            let place = event.count
            event.append((item.call, item.isEnd))
            previous.append(place - 1)
            next.append(place + 1)
            if item.isEnd { endEvent[item.call] = place } else { callEvent[item.call] = place }
        }
        next[event.count - 1] = -1
        if event.count == 1 { next[0] = -1 }
    }

    /// Searches, for at most `limit` steps.
    public consuming func check(limit: Int = 2_000_000) -> Verdict {
        var checker = self
        return checker.search(limit)
    }

    private mutating func search(_ limit: Int) -> Verdict {
        var left = calls.reduce(0) { $0 + ($1.end == nil ? 0 : 1) }
        var state = Model.initial
        var done = [UInt64](repeating: 0, count: (calls.count + 63) / 64)
        var seen: Set<Configuration> = []
        var path: [(call: Int, state: Model.State)] = []
        var place = next[0]
        var steps = 0
        while left > 0 {
            steps += 1
            if steps > limit { return .unknown }
            guard place > 0 else { return .violated }
            let (number, isEnd) = event[place]
            if isEnd {
                // This call should have happened before: one of those before it was put at a wrong place.
                guard let last = path.popLast() else { return .violated }
                state = last.state
                done[last.call / 64] &= ~(1 << UInt64(last.call % 64))
                restore(last.call)
                if calls[last.call].end != nil { left += 1 }
                place = next[callEvent[last.call]]
                continue
            }
            let call = calls[number]
            if let after = Model.step(state, call.input, call.end == nil ? nil : call.output) {
                done[number / 64] |= 1 << UInt64(number % 64)
                if seen.insert(Configuration(done: done, state: after)).inserted {
                    path.append((number, state))
                    state = after
                    lift(number)
                    if call.end != nil { left -= 1 }
                    place = next[0]
                    continue
                }
                done[number / 64] &= ~(1 << UInt64(number % 64))
            }
            place = next[place]
        }
        return .linearizable
    }

    private mutating func lift(_ call: Int) {
        unlink(callEvent[call])
        if endEvent[call] > 0 { unlink(endEvent[call]) }
    }

    private mutating func restore(_ call: Int) {
        if endEvent[call] > 0 { link(endEvent[call]) }
        link(callEvent[call])
    }

    private mutating func unlink(_ place: Int) {
        next[previous[place]] = next[place]
        if next[place] > 0 { previous[next[place]] = previous[place] }
    }

    private mutating func link(_ place: Int) {
        next[previous[place]] = place
        if next[place] > 0 { previous[next[place]] = place }
    }
}

/// One key of a store: absent, or with a value that is named by a number.
public enum RegisterModel: SequentialModel {
    /// What can be asked of a key.
    public enum Input: Sendable, Hashable {
        /// Reads it.
        case get
        /// Writes it.
        case put(UInt64)
        /// Removes it.
        case delete
        /// Writes the second value if it holds the first (nil: if it is absent).
        case swap(UInt64?, UInt64)
        /// Writes the second value if it holds the first (nil: if it is absent), else the third.
        case choose(UInt64?, UInt64, UInt64)
    }
    /// What it answers.
    public enum Output: Sendable, Hashable {
        /// What was read.
        case value(UInt64?)
        /// A change was made.
        case done
        /// Whether a swap was made.
        case swapped(Bool)
    }

    /// Absent.
    public static var initial: UInt64? { nil }

    /// As a register does.
    public static func step(_ state: UInt64?, _ input: Input, _ output: Output?) -> UInt64?? {
        switch (input, output) {
        case (.get, .value(let value)): value == state ? .some(state) : nil
        case (.get, nil): .some(state)
        case (.put(let value), .done), (.put(let value), nil): .some(value)
        case (.delete, .done), (.delete, nil): .some(nil)
        case (.swap(let expected, let value), .swapped(true)): expected == state ? .some(value) : nil
        case (.swap(let expected, _), .swapped(false)): expected == state ? nil : .some(state)
        case (.swap(let expected, let value), nil): .some(expected == state ? value : state)
        case (.choose(let expected, let value, _), .swapped(true)): expected == state ? .some(value) : nil
        case (.choose(let expected, _, let other), .swapped(false)): expected == state ? nil : .some(other)
        case (.choose(let expected, let value, let other), nil): .some(expected == state ? value : other)
        default: nil
        }
    }
}
