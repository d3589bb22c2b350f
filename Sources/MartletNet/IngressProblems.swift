internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRoutes

/// Tells users what of their Ingresses cannot be carried out: a Warning on the Ingress (core/v1 Event, reason `Sync`),
/// and a line in the log. Each sentence about an Ingress is told once.
actor IngressProblems {
    /// How many told problems are remembered. When there are more, those that are over are forgotten, and told anew
    /// should they come again; as many that are not over are all that is told.
    static let memory = 1024
    /// Who says so.
    private static let component = "martlet-edge"

    private var told: Set<RouteProblem> = []
    private var queue: [RouteProblem] = []
    private var isWriting = false
    private let client: Client
    private let world: any World
    private let logger: Logger

    init(client: Client, in world: any World, logger: Logger) {
        self.client = client
        self.world = world
        self.logger = logger
    }

    /// Takes note of all problems there are, and returns; a task of its own tells the new ones.
    func tell(_ problems: [RouteProblem]) {
        for problem in problems where !told.contains(problem) {
            if told.count >= Self.memory { told.formIntersection(problems) }
            guard told.count < Self.memory else { break }
            told.insert(problem)
            queue.append(problem)
        }
        guard !queue.isEmpty, !isWriting else { return }
        isWriting = true
        world.spawn { await self.write() }
    }

    private func write() async {
        while !queue.isEmpty {
            let problem = queue.removeFirst()
            logger.info(
                "an ingress cannot be carried out as written",
                metadata: [
                    "ingress": "\(problem.object.namespace)/\(problem.object.name)", "problem": "\(problem.message)",
                ])
            let event = Intent.event(
                about: problem.object, uid: problem.uid, type: "Warning", reason: "Sync", message: problem.message)
            do {
                try await client.perform(event, as: Self.component)
            } catch {
                // The log has it, and it is told again after the next change if it is still true.
                told.remove(problem)
                logger.debug("an event was not written", metadata: ["error": "\(error)"])
            }
        }
        isWriting = false
    }
}
