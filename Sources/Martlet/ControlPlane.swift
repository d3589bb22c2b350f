internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletControllers
internal import MartletObject
internal import MartletRoutes

/// The scheduler and the controllers of one master, or controllers alone. They reach the store through the API like
/// everyone else.
struct ControlPlane: Sendable {
    private let scheduler: SchedulerHost?
    private let controllers: ControllerHost
    private let prepare: @Sendable () async -> Void
    private let companions: Companions

    /// - Parameters:
    ///   - client: makes the client of a component from its user name.
    ///   - loops: the controllers.
    ///   - schedules: whether pods get their nodes here.
    ///   - prepare: what comes first.
    ///   - companions: what else runs for as long as this does.
    init(
        _ loops: [any Controller], schedules: Bool, client: (String) -> Client, world: any World, logger: Logger,
        prepare: @escaping @Sendable () async -> Void = {}, companions: [@Sendable () async -> Void] = []
    ) {
        self.prepare = prepare
        self.companions = Companions(companions, in: world)
        scheduler =
            schedules ? SchedulerHost(client: client("system:kube-scheduler"), world: world, logger: logger) : nil
        controllers = ControllerHost(
            loops, client: client("system:kube-controller-manager"), world: world, logger: logger)
    }

    func start() async {
        await prepare()
        await controllers.start()
        await scheduler?.start()
        await companions.start()
    }

    func stop() async {
        await companions.stop()
        await scheduler?.stop()
        await controllers.stop()
    }

    /// Makes the IngressClass that our ingress serves, the default one, unless somebody has made it.
    static func makeIngressClass(_ client: Client) async throws {
        let ingressClass: JSON = [
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": [
                "name": "martlet", "annotations": ["ingressclass.kubernetes.io/is-default-class": "true"],
            ], "spec": ["controller": .string(IngressClasses.controllerName)],
        ]
        do { _ = try await client.create(.ingressClass, ingressClass) } catch let error as APIError
            where error.isAlreadyExists
        {
            // Made at an earlier start.
        }
    }
}

/// Work that runs beside the controllers until it is cancelled.
private actor Companions {
    private let work: [@Sendable () async -> Void]
    private let world: any World
    private var tasks: [Task<Void, Never>] = []

    init(_ work: [@Sendable () async -> Void], in world: any World) {
        self.work = work
        self.world = world
    }

    func start() { tasks = work.map { work in world.spawn { await work() } } }

    func stop() async {
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        tasks = []
    }
}
