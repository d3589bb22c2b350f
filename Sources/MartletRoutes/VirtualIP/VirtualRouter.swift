public import MartletBase

/// One router's part of a virtual router (RFC 9568, 6.4): who of several routers holds virtual addresses.
///
/// It is told what happens and at what time, and answers with what is to be done. It begins unfit: nothing is held
/// before somebody has said that what stands behind the addresses works.
public struct VirtualRouter: Sendable {
    /// The RFC's states.
    public enum State: String, Sendable {
        /// Not begun, ended, or unfit.
        case initialize = "Initialize"
        /// Another one holds the addresses.
        case backup = "Backup"
        /// It holds the addresses.
        case active = "Active"
    }

    /// What happens.
    public enum Event: Sendable {
        /// The router begins.
        case start
        /// A packet of VRRP has come.
        case packet(VRRPPacket)
        /// Time has passed; all packets that had come before have been told.
        case clock
        /// What stands behind the addresses works. Without another word it is taken for dead from then on.
        case fit(until: MonotonicTime)
        /// What stands behind the addresses does not work.
        case unfit(String)
        /// Its priority is another.
        case priority(UInt8)
        /// Another router is to take over, where there is one.
        case yield
        /// The router ends.
        case stop
    }

    /// What is to be done, in this order.
    public enum Effect: Sendable, Hashable {
        /// Advertise.
        case send(VRRPAdvertisement)
        /// Take the addresses.
        case addAddresses
        /// Give the addresses up, as many as are there.
        case removeAddresses
        /// Give the addresses up, but for connections that are open: these go on.
        case keepForOpenConnections
        /// The one there gave the addresses up and said so: what is of no connection of ours is its.
        case handOn(to: IPAddress)
        /// Tell the link where the addresses are.
        case announce
        /// Tell the operator.
        case notice(VirtualRouterNotice)
    }

    /// What it is set to.
    public let settings: VirtualRouterSettings
    /// Where it stands.
    public private(set) var state = State.initialize
    /// Its priority now.
    public private(set) var priority: UInt8
    /// Who holds the addresses, as far as it is known.
    public private(set) var holder: IPAddress?
    private var isRunning = false
    private var fitUntil: MonotonicTime?
    /// When to advertise (Adver_Timer), or to take over (Active_Down_Timer).
    private var timer: MonotonicTime?
    private var announcements: AddressAnnouncement.Schedule?
    /// How often the active router advertises (Active_Adver_Interval).
    private var activeCentiseconds: Int
    private var preemptsFrom = MonotonicTime(nanoseconds: 0)
    private var hasYielded = false
    /// Who has said that it gives the addresses up, and from when on it counts no longer.
    private var leaver: (address: IPAddress, until: MonotonicTime)?
    private var activeSince = MonotonicTime(nanoseconds: 0)
    private var complaints = VirtualRouterComplaints()

    /// A router that has not begun.
    public init(_ settings: VirtualRouterSettings) {
        self.settings = settings
        priority = settings.priority
        activeCentiseconds = settings.centiseconds
    }

    /// When ``Event/clock`` is to be told next; nil for never.
    public var deadline: MonotonicTime? {
        [timer, announcements?.next, state == .initialize ? nil : fitUntil].compactMap { $0 }.min()
    }

    /// What follows from an event.
    public mutating func step(_ event: Event, at now: MonotonicTime) -> [Effect] {
        switch event {
        case .start:
            isRunning = true
            // What an earlier run has left behind is not ours: another one may hold it by now.
            return [.removeAddresses] + begin(at: now)
        case .packet(let packet): return take(packet, at: now)
        case .clock: return pass(now)
        case .fit(let until):
            fitUntil = until
            return state == .initialize ? begin(at: now) : []
        case .unfit(let reason): return becomeUnfit(reason)
        case .priority(let new):
            priority = max(1, new)
            return []
        case .yield:
            guard state == .active else { return [] }
            hasYielded = true
            return giveUp("it is moved by plan") + [.notice(.backup(of: nil))] + waitForOthers(at: now)
        case .stop:
            isRunning = false
            // What is kept for open connections since it gave the addresses up before has time until the machine's part
            // in them ends.
            return (state == .active ? giveUp("this router ends") : []) + sleep()
        }
    }

    // MARK: Into and out of the states

    private mutating func begin(at now: MonotonicTime) -> [Effect] {
        guard isRunning, state == .initialize, let fitUntil, fitUntil > now else { return [] }
        if priority == 255 { return becomeActive(at: now) }
        activeCentiseconds = settings.centiseconds
        preemptsFrom = now + settings.preemptDelay
        return waitForOthers(at: now)
    }

    private mutating func waitForOthers(at now: MonotonicTime) -> [Effect] {
        state = .backup
        timer = now + downInterval
        return []
    }

    private mutating func becomeActive(at now: MonotonicTime) -> [Effect] {
        state = .active
        holder = settings.ownAddress
        hasYielded = false
        activeSince = now
        activeCentiseconds = settings.centiseconds
        timer = now + ownInterval
        announcements = .init(at: now)
        // The word goes out first, so that one who held them until now lets go before we take them.
        let from = leaver.flatMap { now < $0.until ? [Effect.handOn(to: $0.address)] : nil } ?? []
        leaver = nil
        return [.send(advertisement(priority))] + from + [.addAddresses, .announce, .notice(.active)]
    }

    private mutating func becomeBackup(
        of other: IPAddress, _ word: VRRPAdvertisement, at now: MonotonicTime, _ how: Effect
    ) -> [Effect] {
        announcements = nil
        holder = other
        adopt(word)
        _ = waitForOthers(at: now)
        return [how, .notice(.backup(of: other))]
    }

    private mutating func becomeUnfit(_ reason: String) -> [Effect] {
        fitUntil = nil
        guard isRunning, state != .initialize else { return [] }
        return (state == .active ? giveUp(reason) : [.notice(.unfit(reason))]) + sleep()
    }

    private mutating func giveUp(_ reason: String) -> [Effect] {
        announcements = nil
        holder = nil
        // First the addresses, then the word: who takes over after it finds them free.
        return [.keepForOpenConnections, .send(advertisement(0)), .notice(.gaveUp(reason))]
    }

    private mutating func sleep() -> [Effect] {
        state = .initialize
        timer = nil
        return []
    }

    // MARK: Time

    private mutating func pass(_ now: MonotonicTime) -> [Effect] {
        if state != .initialize, let fitUntil, fitUntil <= now {
            return becomeUnfit("nothing was heard of what stands behind the addresses")
        }
        var effects: [Effect] = []
        if let timer, timer <= now {
            if state == .backup { return becomeActive(at: now) }
            if isLate(at: now) {
                // Nobody has taken over. Who was about to is told at once.
                effects += [.notice(.late(now - timer)), .announce]
                announcements = .init(at: now)
            }
            effects.insert(.send(advertisement(priority)), at: 0)
            self.timer = now + ownInterval
        }
        if announcements?.take(at: now) == true { effects.append(.announce) }
        return effects
    }

    /// Whether others must have given this active router up: it did not run for so long.
    private func isLate(at now: MonotonicTime) -> Bool {
        guard state == .active, let timer, now > timer else { return false }
        return now - timer >= ownInterval * 2
    }

    private var ownInterval: Duration { .milliseconds(settings.centiseconds * 10) }

    /// Skew_Time: routers of lower priority wait for longer (RFC 9568, 6.1; RFC 3768, 6.1).
    var skew: Duration {
        let share = settings.version == .two ? 100 : activeCentiseconds
        return .nanoseconds((256 - Int64(priority)) * Int64(share) * 10_000_000 / 256)
    }

    /// Active_Down_Interval
    var downInterval: Duration { .milliseconds(activeCentiseconds * 30) + skew }

    // MARK: Words of others

    private mutating func take(_ packet: VRRPPacket, at now: MonotonicTime) -> [Effect] {
        guard isRunning else { return [] }
        let word: VRRPAdvertisement
        do {
            word = try VRRPAdvertisement(packet)
            // Virtual routers of other numbers are others' affair.
            if word.routerID != settings.routerID { return [] }
            try check(word, from: packet.source)
        } catch {
            return complaints.take(error, from: packet.source, at: now).map { [.notice($0)] } ?? []
        }
        var effects: [Effect] = []
        if Set(word.addresses) != Set(settings.addresses),
            let notice = complaints.takeDifference(word.addresses, from: packet.source, at: now)
        {
            effects.append(.notice(notice))
        }
        switch state {
        case .initialize: return effects
        case .backup: hear(word, from: packet.source, at: now)
        case .active: effects += contend(word, from: packet.source, at: now)
        }
        return effects
    }

    private func check(_ word: VRRPAdvertisement, from source: IPAddress) throws(VRRPRefusal) {
        if source == settings.ownAddress { throw .ourAddress }
        if !settings.peers.isEmpty, !settings.peers.contains(source) { throw .stranger }
        if word.version != settings.version { throw .version(word.version.rawValue) }
        if word.version == .two, word.centiseconds != settings.centiseconds { throw .interval(word.centiseconds) }
        // One address in common makes it a matter of who holds that one: routers whose lists are being changed do
        // not split.
        if Set(word.addresses).isDisjoint(with: settings.addresses) { throw .foreignAddresses(word.addresses) }
    }

    private mutating func adopt(_ word: VRRPAdvertisement) {
        if settings.version == .three { activeCentiseconds = word.centiseconds }
    }

    private mutating func hear(_ word: VRRPAdvertisement, from source: IPAddress, at now: MonotonicTime) {
        if word.priority == 0 {
            if holder == source { holder = nil }
            leaver = (source, now + downInterval)
            timer = now + skew
            return
        }
        let preempts = settings.preempts && !hasYielded && now >= preemptsFrom
        guard word.priority >= priority || !preempts else { return }
        holder = source
        leaver = nil
        adopt(word)
        timer = now + downInterval
    }

    private mutating func contend(_ word: VRRPAdvertisement, from source: IPAddress, at now: MonotonicTime) -> [Effect]
    {
        if word.priority == 0 {
            timer = now + ownInterval
            return [.send(advertisement(priority))]
        }
        if isLate(at: now), let timer {
            // It has rightly taken over from one that was silent. Whether it is preempted is another question.
            return [.notice(.late(now - timer))] + becomeBackup(of: source, word, at: now, .removeAddresses)
        }
        let isStronger =
            word.priority > priority || word.priority == priority && source > settings.ownAddress
        if isStronger {
            // A last word behind the addresses: the other one learns that it was not alone, announces them anew, and
            // hands on what is open through this one.
            return becomeBackup(of: source, word, at: now, .keepForOpenConnections) + [.send(advertisement(priority))]
        }
        timer = now + ownInterval
        announcements = .init(at: now)
        // Whom it has just taken over from is no rival.
        let isNew = now - activeSince < ownInterval * 3
        let told =
            isNew ? [] : complaints.takeRival(source, word.priority, at: now).map { [Effect.notice($0)] } ?? []
        return [.send(advertisement(priority)), .handOn(to: source), .announce] + told
    }

    private func advertisement(_ priority: UInt8) -> VRRPAdvertisement {
        VRRPAdvertisement(
            version: settings.version, routerID: settings.routerID, priority: priority,
            centiseconds: settings.centiseconds, addresses: settings.addresses)
    }
}
