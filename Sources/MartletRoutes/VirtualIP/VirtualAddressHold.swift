public import MartletBase

/// Where a machine's kernel has the virtual addresses: on the link, on loopback for what is open through them, or
/// nowhere; and to whom it hands packets on.
///
/// A pure value. It is told what the router wants, what the kernel has answered and what time it is, and says what the
/// kernel is asked next. Addresses are lent by the kernel for ``lent`` seconds and asked for again every ``renewal``:
/// when this process is killed or stands still, the kernel takes them back by itself, and the machine does not go on
/// answering for them beside the one that has taken over.
public struct VirtualAddressHold: Sendable {
    /// How many seconds the kernel keeps an address without another word.
    public static let lent: UInt32 = 4
    /// How often it is asked to lend them on.
    public static let renewal = Duration.seconds(1)

    /// A device that can have the addresses.
    public enum Spot: String, Sendable, Hashable {
        /// That on the link: neighbours are answered.
        case link
        /// The loopback device: what is open through the addresses goes on.
        case loopback
    }

    /// What happens.
    public enum Event: Sendable, Hashable {
        /// The router takes the addresses.
        case take
        /// It gives them up, with what is open through them.
        case release
        /// It gives them up, but for what is open through them.
        case keep
        /// What is of no connection of this machine is that one's.
        case handOn(to: IPAddress)
        /// Another router is known to hold the addresses.
        case holder(IPAddress)
        /// Time has passed.
        case clock
        /// All steps of an order are done.
        case done(Aim)
        /// A step of an order was refused, and those behind it were left out.
        case failed(Aim, String)
    }

    /// What an order is for, in the words of an operator.
    public enum Aim: String, Sendable, Hashable {
        /// ``Event/take``
        case take = "take the addresses"
        /// To have them for longer.
        case renew = "hold on to the addresses"
        /// ``Event/keep``
        case keep = "keep open connections"
        /// ``Event/release``
        case release = "give the addresses up"
        /// ``Event/handOn(to:)``
        case handOn = "hand open connections on"
        /// To hand on no more.
        case keepToItself = "end what was handed on"
    }

    /// One question to the kernel.
    public enum Step: Sendable, Hashable {
        /// Lend the addresses for ``VirtualAddressHold/lent`` seconds, from now.
        case lend(on: Spot)
        /// Take them from whatever device has them, but this one.
        case takeAway(but: Spot?)
        /// ``AddressFarewell/silence(own:)``
        case silence
        /// ``AddressFarewell/speech``
        case speak
        /// ``AddressFarewell/handOn(to:device:)``
        case handOn(to: IPAddress)
        /// ``AddressFarewell/keepToItself``
        case keepToItself
    }

    /// What is to be done, in this order.
    public enum Effect: Sendable, Hashable {
        /// Ask the kernel for each step behind the other, up to the first that it refuses; then tell which it was:
        /// ``Event/done(_:)`` or ``Event/failed(_:_:)``. Orders are carried out one after the other.
        case ask([Step], for: Aim)
        /// The kernel does not let this machine hold the addresses: another one may have more luck.
        case refused(String)
        /// Tell the operator what the kernel refused.
        case warn(Aim, String)
    }

    private enum Standing {
        case nowhere
        case onLink
        case kept(until: MonotonicTime)
    }
    private var standing = Standing.nowhere
    private var handedOn: (to: IPAddress, until: MonotonicTime)?
    private var nextRenewal = MonotonicTime(nanoseconds: 0)
    /// Whether the kernel has not yet answered the last wish to lend on: a slow one is not asked ever more.
    private var isRenewing = false

    /// Nothing is held.
    public init() {}

    /// When ``Event/clock`` is to be told next; nil for never.
    public var deadline: MonotonicTime? { spot == nil ? nil : nextRenewal }

    private var spot: Spot? {
        switch standing {
        case .nowhere: nil
        case .onLink: .link
        case .kept: .loopback
        }
    }

    /// What follows from an event.
    public mutating func step(_ event: Event, at now: MonotonicTime) -> [Effect] {
        switch event {
        case .take:
            let wasKept = spot == .loopback
            stand(.onLink, at: now)
            return [.ask([.lend(on: .link)] + (wasKept ? [.takeAway(but: .link), .speak] : []), for: .take)]
        case .keep:
            stand(.kept(until: now + AddressFarewell.lasts), at: now)
            return [.ask([.silence, .lend(on: .loopback), .takeAway(but: .loopback)], for: .keep)]
        case .release: return release()
        case .handOn(let other):
            let isKnown = handedOn?.to == other
            handedOn = (other, now + AddressFarewell.lasts)
            return isKnown ? [] : [.ask([.handOn(to: other)], for: .handOn)]
        case .holder(let other):
            // What it once handed over to us is nothing to hand back.
            return handedOn?.to == other ? keepToItself() : []
        case .clock: return pass(now)
        case .done(let aim):
            if aim == .renew { isRenewing = false }
            return []
        case .failed(let aim, let problem):
            if aim == .renew { isRenewing = false }
            return suffer(aim, problem)
        }
    }

    private mutating func stand(_ new: Standing, at now: MonotonicTime) {
        standing = new
        nextRenewal = now + Self.renewal
    }

    /// Each by itself: what one of them leaves behind is no reason to leave the others.
    private mutating func release() -> [Effect] {
        standing = .nowhere
        handedOn = nil
        let steps: [Step] = [.takeAway(but: nil), .speak, .keepToItself]
        return steps.map { .ask([$0], for: .release) }
    }

    private mutating func keepToItself() -> [Effect] {
        handedOn = nil
        return [.ask([.keepToItself], for: .keepToItself)]
    }

    private mutating func pass(_ now: MonotonicTime) -> [Effect] {
        guard let spot, nextRenewal <= now else { return [] }
        nextRenewal = now + Self.renewal
        if case .kept(let until) = standing, until <= now { return release() }
        var effects: [Effect] = []
        if let handedOn, handedOn.until <= now { effects += keepToItself() }
        if !isRenewing {
            isRenewing = true
            effects.append(.ask([.lend(on: spot)], for: .renew))
        }
        return effects
    }

    private mutating func suffer(_ aim: Aim, _ problem: String) -> [Effect] {
        switch (aim, standing) {
        case (.take, .onLink), (.renew, .onLink): [.refused(problem)]
        case (.keep, .kept), (.renew, .kept): [.warn(aim, problem)] + release()
        // What was wanted then is wanted no longer.
        case (.take, _), (.renew, _): []
        default: [.warn(aim, problem)]
        }
    }
}
