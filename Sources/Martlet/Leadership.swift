internal import Logging
internal import MartletBase
internal import MartletReplica

/// Runs the control plane of a master while its store leads, and only then
/// (`docs/decisions/control-plane-beside-the-leader.md`).
actor Leadership {
    /// How often it is looked whether the store leads. A new leader's control plane starts so much later at most.
    static let pause: Duration = .milliseconds(50)

    private let replica: Replica
    private let world: any World
    private let logger: Logger
    private let make: @Sendable () -> ControlPlane
    private var running: ControlPlane?
    private var task: Task<Void, Never>?

    /// - Parameter make: makes the control plane anew, each time that the store begins to lead.
    init(_ replica: Replica, in world: any World, logger: Logger, make: @escaping @Sendable () -> ControlPlane) {
        self.replica = replica
        self.world = world
        self.logger = logger
        self.make = make
    }

    /// Returns when a store that leads already has its control plane running.
    func start() async {
        await look()
        task = world.spawn { [weak self, world] in
            while (try? await world.sleep(for: Self.pause)) != nil { await self?.look() }
        }
    }

    private func look() async {
        let leads = await replica.leads
        if leads, running == nil {
            logger.info("this master leads: its controllers start")
            let made = make()
            running = made
            await made.start()
        } else if !leads, let stopping = running {
            logger.info("this master leads no longer: its controllers stop")
            running = nil
            await stopping.stop()
        }
    }

    func stop() async {
        task?.cancel()
        await task?.value
        await running?.stop()
        running = nil
    }
}
