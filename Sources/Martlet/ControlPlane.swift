internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletControllers
internal import MartletObject
internal import MartletRoutes

/// The scheduler and the controllers of one master. They reach the store through the API like everyone else.
struct ControlPlane {
    private let scheduler: SchedulerHost
    private let controllers: ControllerHost

    /// - Parameters:
    ///   - client: makes the client of a component from its user name.
    ///   - authority: the cluster's authority, PEM.
    init(podCIDR: PodCIDR?, authority: String, client: (String) -> Client, world: any World, logger: Logger) {
        scheduler = SchedulerHost(client: client("system:kube-scheduler"), world: world, logger: logger)
        controllers = ControllerHost(
            StandardControllers.all(podCIDR: podCIDR, authority: authority),
            client: client("system:kube-controller-manager"), world: world,
            logger: logger)
    }

    func start() async {
        await controllers.start()
        await scheduler.start()
    }

    func stop() async {
        await scheduler.stop()
        await controllers.stop()
    }

    /// Makes the IngressClass that our ingress serves, the default one, unless somebody has made it.
    static func makeIngressClass(_ client: Client) async throws {
        let ingressClass: JSON = [
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": [
                "name": "martlet", "annotations": ["ingressclass.kubernetes.io/is-default-class": "true"],
            ], "spec": ["controller": .string(IngressBuilder.controllerName)],
        ]
        do { _ = try await client.create(.ingressClass, ingressClass) } catch let error as APIError
            where error.isAlreadyExists
        {
            // Made at an earlier start.
        }
    }
}
