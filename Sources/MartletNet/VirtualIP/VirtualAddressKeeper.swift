internal import Logging
internal import MartletBase
internal import MartletIO
internal import MartletRoutes
internal import Synchronization

/// Adds, removes and announces virtual addresses, on a thread of its own and in the order in which it is asked.
///
/// Addresses are lent by the kernel for ``lent`` and asked for again every ``renewal``: when this process is killed or
/// stands still, the kernel takes them back by itself, and the machine does not go on answering for them beside the
/// one that has taken over.
final class VirtualAddressKeeper: Sendable {
    /// How long the kernel keeps an address without another word. It counts in seconds.
    static let lent: UInt32 = 4
    static let renewal = Duration.seconds(1)

    /// The number of the loopback device, in every network namespace.
    private static let loopback: Int32 = 1

    let place: VirtualAddressPlace
    private let farewell: AddressFarewell
    private let addresses: [VirtualAddress]
    private let worker: BlockingWorker
    private let route: NetlinkSocket
    /// Nil where the kernel has no nftables: then a move ends what is open.
    private let netfilter: NetlinkSocket?
    private let logger: Logger
    private let sequence = Atomic<UInt32>(1)
    private let isRenewing = Atomic<Bool>(false)

    private struct State {
        var socket: VRRPSocket?
        var problem: String?
        var nextRenewal: MonotonicTime?
        /// Until when the addresses are kept for what is open through them, having been given up.
        var keptUntil: MonotonicTime?
        /// To whom what is of no connection of ours is handed on, and until when.
        var handedOn: (to: IPAddress, until: MonotonicTime)?
    }
    private let state = Mutex(State())

    static func start(_ configuration: VirtualIPConfiguration, logger: Logger) async throws -> VirtualAddressKeeper {
        let worker = try BlockingWorker(name: "vip-addresses")
        do {
            return try await worker.run {
                if let namespace = configuration.namespace { try NetworkNamespace.enter(namespace) }
                let route = try NetlinkSocket(.route)
                let links = try route.ask(.listLinks, 1).compactMap { try NetworkLink($0) }
                let present = try route.ask(.listAddresses, 2).compactMap { try LinkAddress($0) }
                let place = try VirtualAddressPlace(
                    for: configuration.addresses, interface: configuration.interface, node: configuration.nodeAddress,
                    links: links, present: present)
                return VirtualAddressKeeper(place, configuration, worker, route, logger)
            }
        } catch {
            worker.stop()
            throw error
        }
    }

    private init(
        _ place: VirtualAddressPlace, _ configuration: VirtualIPConfiguration, _ worker: BlockingWorker,
        _ route: NetlinkSocket, _ logger: Logger
    ) {
        self.place = place
        addresses = configuration.addresses
        farewell = AddressFarewell(
            addresses: configuration.addresses.map(\.address), routerID: configuration.routerID)
        self.worker = worker
        self.route = route
        netfilter = try? NetlinkSocket(.netfilter)
        self.logger = logger
        sequence.store(3, ordering: .relaxed)
    }

    /// What sends the announcements.
    func use(_ socket: VRRPSocket) { state.withLock { $0.socket = socket } }

    /// Why the addresses could not be taken, once.
    func takeProblem() -> String? {
        state.withLock { state in
            defer { state.problem = nil }
            return state.problem
        }
    }

    // MARK: From the router's thread, which does not wait

    func add() {
        then { [self] in
            lendOrTell()
            let wasKept = state.withLock { state in
                defer { state.keptUntil = nil }
                return state.keptUntil != nil
            }
            if wasKept { tryTo("be known on the link again") { try takeAway(but: place.link) } }
        }
    }

    func remove() {
        state.withLock {
            $0.nextRenewal = nil
            $0.keptUntil = nil
            $0.handedOn = nil
        }
        then { [self] in
            tryTo("give the addresses up") { try takeAway() }
            removeTable(farewell.keepToItself)
        }
    }

    /// Gives the addresses up, but for connections that are open through them.
    func keepForOpenConnections(at now: MonotonicTime) {
        state.withLock { $0.keptUntil = now + AddressFarewell.lasts }
        then { [self] in
            do {
                if let silence = farewell.silence(own: place.ownAddress) { try commit(silence) }
                try lend(on: Self.loopback)
                try takeAway(but: Self.loopback)
            } catch {
                logger.warning("virtual IP: open connections end", metadata: ["error": "\(error)"])
                remove()
            }
        }
    }

    /// Hands on what is of no connection of ours, to who gave the addresses up.
    func handOn(to other: IPAddress, at now: MonotonicTime) {
        let isKnown = state.withLock { state in
            defer { state.handedOn = (other, now + AddressFarewell.lasts) }
            return state.handedOn?.to == other
        }
        if isKnown { return }
        then { [self] in
            tryTo("hand open connections on") { try commit(farewell.handOn(to: other, device: place.link)) }
        }
    }

    /// Another router is known to hold the addresses: what it once handed over to us is nothing to hand back.
    func isHeld(by other: IPAddress?) {
        guard let other, state.withLock({ $0.handedOn?.to }) == other else { return }
        endHandingOn()
    }

    private func endHandingOn() {
        state.withLock { $0.handedOn = nil }
        then { [self] in removeTable(farewell.keepToItself) }
    }

    func announce() {
        guard let hardware = place.hardware else { return }
        then { [self] in
            let socket = state.withLock { $0.socket }
            for virtual in addresses {
                for frame in AddressAnnouncement.frames(virtual.address, at: hardware) {
                    do { try socket?.sendFrame(frame) } catch {
                        logger.warning(
                            "virtual IP: \(virtual.address) is not announced", metadata: ["error": "\(error)"])
                    }
                }
            }
        }
    }

    /// Does something when all before it is done.
    func then(_ work: @escaping @Sendable () -> Void) {
        do { try worker.post(work) } catch {
            logger.error("virtual IP: the kernel's tables are not kept up", metadata: ["error": "\(error)"])
        }
    }

    /// Whether the addresses are kept for what is open through them.
    var isKept: Bool { state.withLock { $0.keptUntil != nil } }

    /// When ``renew(at:)`` wants to be called.
    var nextRenewal: MonotonicTime? { state.withLock { $0.nextRenewal } }

    /// Asks the kernel to lend the addresses on, when it is time and the last such wish is done.
    func renew(at now: MonotonicTime) {
        guard nextRenewal.map({ $0 <= now }) ?? true else { return }
        let (isOver, handsOnNoLonger) = state.withLock { state in
            state.nextRenewal = now + Self.renewal
            return (state.keptUntil.map { $0 <= now } ?? false, state.handedOn.map { $0.until <= now } ?? false)
        }
        if isOver { return remove() }
        if handsOnNoLonger { endHandingOn() }
        guard isRenewing.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else { return }
        then { [self] in
            lendOrTell()
            isRenewing.store(false, ordering: .relaxed)
        }
    }

    /// Removes what is there, and ends the thread.
    func stop() async {
        remove()
        try? await worker.run {}
        worker.stop()
    }

    // MARK: On the thread

    /// A refusal makes the router give the addresses up: another machine may have more luck.
    private func lendOrTell() {
        do { try lend(on: isKept ? Self.loopback : place.link) } catch {
            state.withLock { $0.problem = "\(error)" }
            state.withLock { $0.socket }?.wake()
        }
    }

    private func lend(on link: Int32) throws {
        for virtual in addresses {
            let length = link == place.link ? virtual.length : virtual.address.family.bits
            let entry = LinkAddress(link: link, address: virtual.address, length: length)
            _ = try route.ask(.lendAddress(entry, seconds: Self.lent), next())
        }
    }

    /// Takes the addresses from whatever device has them: an earlier run may have had another one.
    private func takeAway(but kept: Int32? = nil) throws {
        let wanted = Set(addresses.map(\.address))
        let present = try route.ask(.listAddresses, next()).compactMap { try LinkAddress($0) }
        for entry in present where wanted.contains(entry.address) && entry.link != kept {
            do { _ = try route.ask(.removeAddress(entry), next()) } catch let error as NetlinkError
                where error.isAbsent
            {}
        }
        if kept != Self.loopback, let speech = farewell.speech { removeTable(speech) }
    }

    private func tryTo(_ what: String, _ work: () throws -> Void) {
        do { try work() } catch {
            logger.warning("virtual IP: cannot \(what)", metadata: ["error": "\(error)"])
        }
    }

    private func commit(_ transaction: NftTransaction) throws {
        guard let netfilter else { throw VirtualAddressProblem("the kernel has no nftables") }
        let batch = NftBatch(transaction, sequence: next())
        sequence.store(batch.endSequence, ordering: .relaxed)
        try netfilter.commit(batch)
    }

    /// A kernel without such tables has none to remove.
    private func removeTable(_ removal: NftTransaction) {
        if netfilter == nil { return }
        do { try commit(removal) } catch let error as NetlinkError where error.isUnsupported {} catch {
            logger.warning("virtual IP: the table \(removal.table) is not removed", metadata: ["error": "\(error)"])
        }
    }

    private func next() -> UInt32 { sequence.wrappingAdd(1, ordering: .relaxed).newValue }
}
