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

    let place: VirtualAddressPlace
    private let addresses: [VirtualAddress]
    private let worker: BlockingWorker
    private let route: NetlinkSocket
    private let logger: Logger
    private let sequence = Atomic<UInt32>(1)
    private let isRenewing = Atomic<Bool>(false)

    private struct State {
        var socket: VRRPSocket?
        var problem: String?
        var nextRenewal: MonotonicTime?
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
                return VirtualAddressKeeper(place, configuration.addresses, worker, route, logger)
            }
        } catch {
            worker.stop()
            throw error
        }
    }

    private init(
        _ place: VirtualAddressPlace, _ addresses: [VirtualAddress], _ worker: BlockingWorker, _ route: NetlinkSocket,
        _ logger: Logger
    ) {
        self.place = place
        self.addresses = addresses
        self.worker = worker
        self.route = route
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
        then { [self] in lendOrTell() }
    }

    func remove() {
        state.withLock { $0.nextRenewal = nil }
        then { [self] in
            do { try takeAway() } catch {
                logger.warning("virtual IP: addresses are not removed", metadata: ["error": "\(error)"])
            }
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

    /// When ``renew(at:)`` wants to be called.
    var nextRenewal: MonotonicTime? { state.withLock { $0.nextRenewal } }

    /// Asks the kernel to lend the addresses on, when it is time and the last such wish is done.
    func renew(at now: MonotonicTime) {
        guard nextRenewal.map({ $0 <= now }) ?? true else { return }
        state.withLock { $0.nextRenewal = now + Self.renewal }
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
        do { try lend() } catch {
            state.withLock { $0.problem = "\(error)" }
            state.withLock { $0.socket }?.wake()
        }
    }

    private func lend() throws {
        for virtual in addresses {
            let entry = LinkAddress(link: place.link, address: virtual.address, length: virtual.length)
            _ = try route.ask(.lendAddress(entry, seconds: Self.lent), next())
        }
    }

    /// Takes the addresses from whatever device has them: an earlier run may have had another one.
    private func takeAway() throws {
        let wanted = Set(addresses.map(\.address))
        let present = try route.ask(.listAddresses, next()).compactMap { try LinkAddress($0) }
        for entry in present where wanted.contains(entry.address) {
            do { _ = try route.ask(.removeAddress(entry), next()) } catch let error as NetlinkError
                where error.isAbsent
            {}
        }
    }

    private func next() -> UInt32 { sequence.wrappingAdd(1, ordering: .relaxed).newValue }
}
