internal import MartletBase
internal import Synchronization

/// Draws of a simulation, all from one seed.
final class Chance: Sendable {
    private let generator: Mutex<SplitMix64>

    init(seed: UInt64) { generator = Mutex(SplitMix64(seed: seed)) }

    func bits() -> UInt64 { generator.withLock { $0.next() } }

    /// True once in `times`; never for 0.
    func one(in times: UInt64) -> Bool { times > 0 && bits() % times == 0 }

    /// A number of the range.
    func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(bits() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    /// A duration between two.
    func duration(_ range: ClosedRange<Duration>) -> Duration {
        let (least, most) = (range.lowerBound.nanoseconds, range.upperBound.nanoseconds)
        return .nanoseconds(least + Int64(bits() % UInt64(most - least + 1)))
    }

    /// One of them; nil when there is none.
    func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[Int(bits() % UInt64(elements.count))]
    }

    /// One of them, of which there is at least one.
    func pick<Element>(_ first: Element, _ others: Element...) -> Element {
        let place = number(0...others.count)
        return place == 0 ? first : others[place - 1]
    }
}
