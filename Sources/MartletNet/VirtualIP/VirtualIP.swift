public import Logging
public import MartletBase
internal import MartletIO
public import MartletRoutes
internal import Synchronization

/// What one virtual router of this machine is to be.
public struct VirtualIPConfiguration: Sendable {
    /// The virtual addresses, all of one kind.
    public var addresses: [VirtualAddress]
    /// The device; nil for that of the node's address.
    public var interface: String?
    /// The machine's own address.
    public var nodeAddress: IPAddress?
    /// The network namespace, as a path such as `/run/netns/NAME`; nil for our own.
    public var namespace: String?
    /// The number of the virtual router on its link.
    public var routerID: UInt8 = 51
    /// This machine's priority.
    public var priority: UInt8 = 100
    /// How often the holder advertises.
    public var centiseconds = 10
    /// The version of VRRP.
    public var version = VRRPVersion.three
    /// The form of the checksum that is sent.
    public var checksum = VRRPChecksum.message
    /// The other routers, where no multicast is used.
    public var peers: [IPAddress] = []
    /// Whether it takes the addresses from a holder of lower priority.
    public var preempts = false

    /// A virtual router of these addresses; the rest has defaults.
    public init(addresses: [VirtualAddress]) { self.addresses = addresses }

    func settings(at place: VirtualAddressPlace) -> VirtualRouterSettings {
        var settings = VirtualRouterSettings(
            routerID: routerID, priority: priority, centiseconds: centiseconds, addresses: addresses.map(\.address),
            ownAddress: place.ownAddress)
        settings.version = version
        settings.checksum = checksum
        // One list for all machines names this one, too.
        settings.peers = peers.filter { $0 != place.ownAddress }
        settings.preempts = preempts
        return settings
    }
}

/// This machine's part in holding virtual addresses of one kind: a ``VirtualRouter`` on a thread of its own.
///
/// Nothing on the way waits for a quorum, a disk or the cluster's API. The kernel's tables are changed by a second
/// thread, since other parts of a machine may hold the kernel's lock of them for longer than a few advertisements.
public final class VirtualIP: Sendable {
    private let loop: VirtualIPLoop
    private let keeper: VirtualAddressKeeper
    private let worker: BlockingWorker

    /// Removes what an earlier run left, and begins as a backup, or as nothing until ``isFit(for:)`` is said.
    /// - Throws: ``VirtualAddressProblem``, ``NetlinkError``, or `Errno` when the sockets are refused.
    public static func start(
        _ configuration: VirtualIPConfiguration, in world: any World, logger: Logger
    ) async throws -> VirtualIP {
        let keeper = try await VirtualAddressKeeper.start(configuration, logger: logger)
        let place = keeper.place
        let settings = configuration.settings(at: place)
        do {
            if let problem = settings.problem { throw VirtualAddressProblem("--vip: \(problem)") }
            let worker = try BlockingWorker(name: "vrrp")
            let group = settings.peers.isEmpty ? VRRPAdvertisement.group(settings.family) : nil
            let socket = try await worker.run {
                if let namespace = configuration.namespace { try NetworkNamespace.enter(namespace) }
                return try VRRPSocket(settings.family, device: place.device, link: place.link, group: group)
            }
            keeper.use(socket)
            let loop = VirtualIPLoop(settings, socket, keeper, world, logger)
            try worker.post { loop.run() }
            return VirtualIP(loop, keeper, worker)
        } catch {
            await keeper.stop()
            throw error
        }
    }

    private init(_ loop: VirtualIPLoop, _ keeper: VirtualAddressKeeper, _ worker: BlockingWorker) {
        self.loop = loop
        self.keeper = keeper
        self.worker = worker
    }

    /// Where it stands, and who holds the addresses.
    public var status: VirtualIPStatus { loop.status }

    /// What stands behind the addresses works; after `duration` without another word it does not.
    public func isFit(for duration: Duration) { loop.tell(.fit(for: duration)) }

    /// What stands behind the addresses does not work.
    public func isUnfit(_ reason: String) { loop.tell(.event(.unfit(reason))) }

    /// Another priority from now on.
    public func setPriority(_ priority: UInt8) { loop.tell(.event(.priority(priority))) }

    /// Another router is to take over, where there is one.
    public func yield() { loop.tell(.event(.yield)) }

    /// Gives the addresses up for good and tells the others. Connections that are open go on until ``stop()``.
    public func giveUp() { loop.tell(.event(.stop)) }

    /// Gives the addresses up, tells the others, and ends, with all that is open through the addresses.
    public func stop() async {
        loop.tell(.event(.stop))
        loop.tell(.end)
        // Its turn comes when the loop has ended.
        try? await worker.run {}
        worker.stop()
        await keeper.stop()
    }
}

/// Where a virtual router stands.
public struct VirtualIPStatus: Sendable, Hashable {
    /// The addresses.
    public var addresses: [IPAddress]
    /// The state.
    public var state = VirtualRouter.State.initialize
    /// This machine's priority.
    public var priority: UInt8
    /// Who holds the addresses, as far as it is known.
    public var holder: IPAddress?
}

/// The thread of a virtual router.
final class VirtualIPLoop: Sendable {
    /// What others may tell it before it has listened.
    static let inboxLimit = 64
    /// Packets that are read before time is looked at: all that have come, but in a flood.
    static let turnLimit = 1_024
    /// How long the addresses are left to others after the kernel has refused them.
    static let refusedFor = Duration.seconds(10)

    enum Word: Sendable {
        case event(VirtualRouter.Event)
        case fit(for: Duration)
        case end
    }

    private let settings: VirtualRouterSettings
    private let socket: VRRPSocket
    private let keeper: VirtualAddressKeeper
    private let world: any World
    private let logger: Logger
    private let inbox = Mutex<[Word]>([])
    private let shown: Mutex<VirtualIPStatus>

    init(
        _ settings: VirtualRouterSettings, _ socket: VRRPSocket, _ keeper: VirtualAddressKeeper, _ world: any World,
        _ logger: Logger
    ) {
        self.settings = settings
        self.socket = socket
        self.keeper = keeper
        self.world = world
        self.logger = logger
        shown = Mutex(VirtualIPStatus(addresses: settings.addresses, priority: settings.priority))
    }

    var status: VirtualIPStatus { shown.withLock { $0 } }

    /// From any thread. When the inbox is full the oldest word is lost, which the next one like it makes good.
    func tell(_ word: Word) {
        inbox.withLock { words in
            if words.count >= Self.inboxLimit { words.removeFirst() }
            words.append(word)
        }
        socket.wake()
    }

    func run() {
        VRRPSocket.hurryThread()
        var router = VirtualRouter(settings)
        var carrier = Carrier(socket: socket, keeper: keeper, world: world, logger: logger)
        var barredUntil = world.now()
        carrier.carryOut(router.step(.start, at: world.now()), settings)
        while true {
            var ends = false
            // Packets before words and words before time: what has come while this thread did not run counts.
            receive { packet in carrier.carryOut(router.step(.packet(packet), at: world.now()), settings) }
            for word in takeWords() {
                let now = world.now()
                switch word {
                case .fit where now < barredUntil: continue
                case .fit(let duration): carrier.carryOut(router.step(.fit(until: now + duration), at: now), settings)
                case .event(let event): carrier.carryOut(router.step(event, at: now), settings)
                case .end: ends = true
                }
            }
            for report in keeper.takeReports() { carrier.tell(report) }
            if let problem = carrier.refusal {
                carrier.refusal = nil
                barredUntil = world.now() + Self.refusedFor
                carrier.carryOut(router.step(.unfit(problem), at: world.now()), settings)
            }
            carrier.carryOut(router.step(.clock, at: world.now()), settings)
            if router.state != .active, let holder = router.holder { carrier.tell(.holder(holder)) }
            carrier.tell(.clock)
            show(router)
            if ends { return }
            rest(until: [router.deadline, carrier.hold.deadline].compactMap { $0 }.min())
        }
    }

    private func receive(_ take: (VRRPPacket) -> Void) {
        for _ in 0..<Self.turnLimit {
            // A device that is down says so once; advertisements that cannot be sent are told of.
            guard let message = try? socket.receive() else { return }
            take(
                VRRPPacket(
                    source: message.source, destination: message.destination, hopLimit: message.hopLimit,
                    bytes: message.bytes))
        }
    }

    private func takeWords() -> [Word] {
        inbox.withLock { words in
            defer { words = [] }
            return words
        }
    }

    private func show(_ router: VirtualRouter) {
        shown.withLock {
            $0.state = router.state
            $0.priority = router.priority
            $0.holder = router.holder
        }
    }

    private func rest(until deadline: MonotonicTime?) {
        let now = world.now()
        try? socket.wait(for: deadline.map { $0 > now ? $0 - now : .zero })
    }
}

/// Carries a router's wishes out.
private struct Carrier {
    let socket: VRRPSocket
    let keeper: VirtualAddressKeeper
    let world: any World
    let logger: Logger
    var hold = VirtualAddressHold()
    /// Why the kernel does not let this machine hold the addresses, until the router is told.
    var refusal: String?
    /// The last failure to send, which is told of once.
    var sendFailure: Errno?

    mutating func carryOut(_ effects: [VirtualRouter.Effect], _ settings: VirtualRouterSettings) {
        var gaveUp = false
        for effect in effects {
            switch effect {
            case .send(let word) where gaveUp:
                // It waits for the addresses: who takes over on it finds them free.
                let socket = self.socket
                keeper.then { _ = Self.send(word, settings, socket) }
            case .send(let word): note(Self.send(word, settings, socket))
            case .addAddresses: tell(.take)
            case .removeAddresses:
                tell(.release)
                gaveUp = true
            case .keepForOpenConnections:
                tell(.keep)
                gaveUp = true
            case .handOn(let other): tell(.handOn(to: other))
            case .announce: keeper.announce()
            case .notice(let notice):
                logger.log(level: notice.isWarning ? .warning : .notice, "virtual IP: \(notice)")
            }
        }
    }

    mutating func tell(_ event: VirtualAddressHold.Event) {
        for effect in hold.step(event, at: world.now()) {
            switch effect {
            case .ask(let steps, let aim): keeper.ask(steps, for: aim)
            case .refused(let problem): refusal = problem
            case .warn(let aim, let problem): keeper.warn(aim, problem)
            }
        }
    }

    private static func send(
        _ word: VRRPAdvertisement, _ settings: VirtualRouterSettings, _ socket: VRRPSocket
    ) -> Errno? {
        var failure: Errno?
        for destination in settings.destinations {
            let bytes = word.encoded(from: settings.ownAddress, to: destination, checksum: settings.checksum)
            do { try socket.send(bytes, from: settings.ownAddress, to: destination) } catch { failure = error }
        }
        return failure
    }

    private mutating func note(_ failure: Errno?) {
        if failure != sendFailure, let failure {
            logger.warning("virtual IP: advertisements are not sent", metadata: ["error": "\(failure)"])
        }
        sendFailure = failure
    }
}
