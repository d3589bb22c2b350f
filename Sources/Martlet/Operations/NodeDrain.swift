public import MartletBase
public import MartletClient
internal import MartletObject

/// Empties a node for upkeep, as `kubectl drain` does: no pod is placed there any more, and those that are there move
/// away, as far as disruption budgets allow.
public struct NodeDrain: Sendable {
    /// What may be done to pods that nobody makes anew.
    public struct Options: Sendable, Hashable {
        /// Pods of DaemonSets, which would come back at once, are left where they are.
        public var ignoresDaemonSets = false
        /// Pods with an emptyDir go, and what is in it with them.
        public var deletesEmptyDirData = false
        /// Pods that no controller makes anew go as well.
        public var isForced = false
        /// Budgets are not asked.
        public var deletesWithoutBudget = false
        /// How long a pod gets to end; nil: as long as it says itself.
        public var graceSeconds: Int?
        /// When to give up; nil: never.
        public var timeout: Duration?

        /// Nothing is lost.
        public init() {}
    }

    /// What becomes of a pod.
    public enum Verdict: Sendable, Hashable {
        /// It goes; the text warns of what is lost.
        case evict(warning: String?)
        /// It stays, and why.
        case leave(String)
        /// It may not go, so that the node cannot be emptied: why, and the option that lets it.
        case refuse(String)
    }

    /// Why a node is not empty.
    public enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// Some pods may not go: a line for each.
        case refused([String])
        /// The time was over; these are still there, each with what it waits for.
        case timedOut([String])

        /// For people, a line for each pod.
        public var description: String {
            switch self {
            case .refused(let lines): "these pods may not go, and nothing was evicted:\n" + Self.list(lines)
            case .timedOut(let lines):
                "the time is over, and these pods are still there (the node stays cordoned):\n" + Self.list(lines)
            }
        }

        private static func list(_ lines: [String]) -> String { lines.map { "  " + $0 }.joined(separator: "\n") }
    }

    /// How often it is looked at the pods that are going.
    static let pause: Duration = .milliseconds(500)
    /// How long a budget that refuses is left in peace.
    static let patience: Duration = .seconds(2)

    let options: Options
    let client: Client
    let world: any World

    /// A drain by a client that may list pods and evict them.
    public init(_ options: Options, client: Client, in world: any World) {
        self.options = options
        self.client = client
        self.world = world
    }

    // MARK: Cordon

    /// Lets no further pod be placed on the node, or lets them again.
    /// - Returns: whether that was not so already.
    /// - Throws: `APIError`.
    @discardableResult
    public static func setUnschedulable(_ isUnschedulable: Bool, node: String, by client: Client) async throws -> Bool {
        let there = try await client.get(.node, name: node)
        guard (there["spec", "unschedulable"]?.bool ?? false) != isUnschedulable else { return false }
        let patch: JSON = ["spec": ["unschedulable": isUnschedulable ? true : .null]]
        _ = try await client.patch(.node, name: node, type: .merge, patch)
        return true
    }

    // MARK: Which pods go

    /// Decides about one pod.
    /// - Parameter hasDaemonSet: whether the DaemonSet that the pod names as its owner is there.
    public static func judge(_ pod: JSON, _ options: Options, hasDaemonSet: Bool) -> Verdict {
        let isOver = ["Succeeded", "Failed"].contains(pod["status", "phase"]?.string ?? "")
        if pod.annotations["kubernetes.io/config.mirror"] != nil {
            return .leave("its node runs it from a file of its own")
        }
        let owner = (pod["metadata", "ownerReferences"]?.array ?? []).first { $0["controller"]?.bool == true }
        if owner?["kind"] == "DaemonSet", !isOver {
            if hasDaemonSet {
                return options.ignoresDaemonSets
                    ? .leave("its DaemonSet keeps one on every node")
                    : .refuse("a DaemonSet would make it anew at once: --ignore-daemonsets leaves it there")
            }
            if !options.isForced { return .refuse("its DaemonSet is gone: --force lets it go for good") }
        }
        var warnings: [String] = []
        let hasEmptyDir = (pod["spec", "volumes"]?.array ?? []).contains { $0["emptyDir"] != nil }
        if hasEmptyDir, !isOver {
            guard options.deletesEmptyDirData else {
                return .refuse("it keeps data in an emptyDir, which goes with it: --delete-emptydir-data allows that")
            }
            warnings.append("what is in its emptyDir goes")
        }
        if owner == nil, !isOver {
            guard options.isForced else {
                return .refuse("no controller makes it anew: --force lets it go for good")
            }
            warnings.append("nobody makes it anew")
        }
        return .evict(warning: warnings.isEmpty ? nil : warnings.joined(separator: ", "))
    }

    // MARK: Draining

    /// A pod that has to go.
    private struct Leaver {
        let pod: JSON
        var isAsked = false
        /// What the API said last; nil when it let the pod go.
        var refusal: String?
        var askAgain: MonotonicTime
        var name: String { "\(pod.namespace)/\(pod.name)" }
    }

    /// Cordons the node and empties it.
    /// - Parameters:
    ///   - isDryRun: whether only to say what would go.
    ///   - say: is told of each step, in a line.
    /// - Throws: ``Failure``; `APIError` when there is no such node or the API refuses for good.
    public func run(_ node: String, isDryRun: Bool = false, say: @Sendable (String) -> Void) async throws {
        if isDryRun {
            _ = try await client.get(.node, name: node)
        } else {
            let isNew = try await Self.setUnschedulable(true, node: node, by: client)
            say("node \(node) \(isNew ? "takes no more pods" : "took no more pods already")")
        }
        var leavers = try await choose(node, say)
        if isDryRun {
            for leaver in leavers { say("would evict pod \(leaver.name)") }
            return
        }
        let deadline = options.timeout.map { world.now() + $0 }
        while true {
            for index in leavers.indices where !leavers[index].isAsked && leavers[index].askAgain <= world.now() {
                try await ask(&leavers[index], say)
            }
            let there = Set(try await pods(of: node).map(\.uid))
            for leaver in leavers where !there.contains(leaver.pod.uid) { say("pod \(leaver.name) is gone") }
            leavers.removeAll { !there.contains($0.pod.uid) }
            if leavers.isEmpty { return say("node \(node) is empty") }
            if let deadline, world.now() >= deadline {
                throw Failure.timedOut(leavers.map { "\($0.name): \($0.refusal ?? Self.ending($0.pod, options))" })
            }
            try await world.sleep(for: Self.pause)
        }
    }

    /// Why a pod is still there that was asked to end.
    static func ending(_ pod: JSON, _ options: Options) -> String {
        let grace = options.graceSeconds ?? pod["spec", "terminationGracePeriodSeconds"]?.int ?? 30
        return "it has not ended yet: it has \(grace) s to do so (--grace-period), and the drain had --timeout"
    }

    private func pods(of node: String) async throws -> [JSON] {
        try await client.list(.pod, fieldSelector: "spec.nodeName=\(node)").items
    }

    /// The pods that go.
    private func choose(_ node: String, _ say: (String) -> Void) async throws -> [Leaver] {
        var leavers: [Leaver] = []
        var refused: [String] = []
        for pod in try await pods(of: node) {
            let name = "\(pod.namespace)/\(pod.name)"
            switch Self.judge(pod, options, hasDaemonSet: try await hasDaemonSet(pod)) {
            case .leave(let why): say("pod \(name) stays: \(why)")
            case .refuse(let why): refused.append("\(name): \(why)")
            case .evict(let warning):
                if let warning { say("warning: pod \(name): \(warning)") }
                leavers.append(Leaver(pod: pod, askAgain: world.now()))
            }
        }
        if !refused.isEmpty { throw Failure.refused(refused) }
        return leavers
    }

    private func hasDaemonSet(_ pod: JSON) async throws -> Bool {
        let owners = pod["metadata", "ownerReferences"]?.array ?? []
        guard let owner = owners.first(where: { $0["controller"]?.bool == true && $0["kind"] == "DaemonSet" }) else {
            return false
        }
        do {
            _ = try await client.get(.daemonSet, namespace: pod.namespace, name: owner["name"]?.string ?? "")
            return true
        } catch let error as APIError where error.isNotFound { return false }
    }

    /// Asks the API to let a pod go. A budget that refuses is asked again later.
    private func ask(_ leaver: inout Leaver, _ say: (String) -> Void) async throws {
        let pod = leaver.pod
        do {
            if options.deletesWithoutBudget {
                try await client.delete(
                    .pod, namespace: pod.namespace, name: pod.name, uid: pod.uid, graceSeconds: options.graceSeconds)
            } else {
                var eviction: JSON = [
                    "apiVersion": "policy/v1", "kind": "Eviction",
                    "metadata": ["name": .string(pod.name), "namespace": .string(pod.namespace)],
                    "deleteOptions": ["preconditions": ["uid": .string(pod.uid)]],
                ]
                if let grace = options.graceSeconds {
                    eviction["deleteOptions", "gracePeriodSeconds"] = .int(Int64(grace))
                }
                _ = try await client.createSubresource(
                    .pod, namespace: pod.namespace, name: pod.name, subresource: "eviction", eviction)
            }
            say("pod \(leaver.name) is asked to end")
            leaver.isAsked = true
            leaver.refusal = nil
        } catch let error as APIError where error.isNotFound {
            leaver.isAsked = true
        } catch let error as APIError where error.isConflict {
            // Another one has its name, which the next look tells, or many changed it at once: then it is asked again.
            leaver.askAgain = world.now() + Self.patience
        } catch let error as APIError where error.code == 429 || error.code >= 500 {
            if leaver.refusal != error.message { say("pod \(leaver.name) waits: \(error.message)") }
            leaver.refusal = error.message
            leaver.askAgain = world.now() + Self.patience
        }
    }
}
