internal import Logging
internal import MartletBase
internal import MartletIO
internal import MartletRoutes
internal import Synchronization

/// Asks the kernel for what a ``VirtualAddressHold`` wants of it, on a thread of its own and in the order in which it
/// is told. It decides nothing.
final class VirtualAddressKeeper: Sendable {
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

    private struct State {
        var socket: VRRPSocket?
        /// How orders went: no more than the thread may have waiting.
        var reports: [VirtualAddressHold.Event] = []
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

    /// What sends the announcements, and is woken by reports.
    func use(_ socket: VRRPSocket) { state.withLock { $0.socket = socket } }

    // MARK: From the router's thread, which does not wait

    /// Carries an order out. How it went is told by ``takeReports()``.
    func ask(_ steps: [VirtualAddressHold.Step], for aim: VirtualAddressHold.Aim) {
        do {
            try worker.post { [self] in
                do {
                    for step in steps { try carryOut(step) }
                    report(.done(aim))
                } catch { report(.failed(aim, "\(error)")) }
            }
        } catch { report(.failed(aim, "the kernel's tables are not kept up: \(error)")) }
    }

    /// How orders went since the last call.
    func takeReports() -> [VirtualAddressHold.Event] {
        state.withLock { state in
            defer { state.reports = [] }
            return state.reports
        }
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

    /// Removes what is there, whoever left it, and ends the thread.
    func stop() async {
        var hold = VirtualAddressHold()
        for case .ask(let steps, let aim) in hold.step(.release, at: MonotonicTime(nanoseconds: 0)) {
            ask(steps, for: aim)
        }
        try? await worker.run {}
        worker.stop()
        for case .failed(let aim, let problem) in takeReports() { warn(aim, problem) }
    }

    /// Tells the operator what the kernel refused.
    func warn(_ aim: VirtualAddressHold.Aim, _ problem: String) {
        logger.warning("virtual IP: cannot \(aim.rawValue)", metadata: ["error": "\(problem)"])
    }

    // MARK: On the thread

    private func report(_ event: VirtualAddressHold.Event) {
        let socket = state.withLock { state in
            state.reports.append(event)
            return state.socket
        }
        socket?.wake()
    }

    private func carryOut(_ step: VirtualAddressHold.Step) throws {
        switch step {
        case .lend(let spot): try lend(on: spot)
        case .takeAway(let kept): try takeAway(but: kept.map(link))
        case .silence: if let silence = farewell.silence(own: place.ownAddress) { try commit(silence) }
        case .speak: if let speech = farewell.speech { try remove(speech) }
        case .handOn(let other): try commit(farewell.handOn(to: other, device: place.link))
        case .keepToItself: try remove(farewell.keepToItself)
        }
    }

    private func link(_ spot: VirtualAddressHold.Spot) -> Int32 { spot == .link ? place.link : Self.loopback }

    private func lend(on spot: VirtualAddressHold.Spot) throws {
        for virtual in addresses {
            let length = spot == .link ? virtual.length : virtual.address.family.bits
            let entry = LinkAddress(link: link(spot), address: virtual.address, length: length)
            _ = try route.ask(.lendAddress(entry, seconds: VirtualAddressHold.lent), next())
        }
    }

    /// Takes the addresses from whatever device has them: an earlier run may have had another one.
    private func takeAway(but kept: Int32?) throws {
        let wanted = Set(addresses.map(\.address))
        let present = try route.ask(.listAddresses, next()).compactMap { try LinkAddress($0) }
        for entry in present where wanted.contains(entry.address) && entry.link != kept {
            do { _ = try route.ask(.removeAddress(entry), next()) } catch let error as NetlinkError
                where error.isAbsent
            {}
        }
    }

    private func commit(_ transaction: NftTransaction) throws {
        guard let netfilter else { throw VirtualAddressProblem("the kernel has no nftables") }
        let batch = NftBatch(transaction, sequence: next())
        sequence.store(batch.endSequence, ordering: .relaxed)
        try netfilter.commit(batch)
    }

    /// A kernel without such tables has none to remove.
    private func remove(_ removal: NftTransaction) throws {
        if netfilter == nil { return }
        do { try commit(removal) } catch let error as NetlinkError where error.isUnsupported {}
    }

    private func next() -> UInt32 { sequence.wrappingAdd(1, ordering: .relaxed).newValue }
}
