public import MartletBase
public import MartletObject

/// Decides on which node each waiting pod goes: a value that is told what nodes and pods there are, and answers with
/// wishes. It assumes that its wishes come true until it hears otherwise, so that many pods can be placed in one go.
public struct Scheduler: Sendable {
    /// What the scheduler is told.
    public enum Event: Sendable {
        /// A node is new or has changed.
        case node(JSON)
        /// A node is gone.
        case nodeRemoved(name: String)
        /// A pod is new or has changed.
        case pod(JSON)
        /// A pod is gone.
        case podRemoved(uid: String)
        /// The API refused to bind the pod with this uid; it waits again.
        case bindingFailed(uid: String)
    }

    /// How many pods one ``decide(at:limit:)`` looks at unless told otherwise.
    public static let batchLimit = 256

    private var nodes: [String: NodeState] = [:]
    /// Every pod that holds something of a node, by uid.
    private var placed: [String: PodRequest] = [:]
    /// Pods that wait, by uid, with the object as last seen.
    private var waiting: [String: (request: PodRequest, object: JSON, order: UInt64)] = [:]
    /// Waiting pods that fitted nowhere; looked at again when something changes that could help.
    private var parked: Set<String> = []
    private var arrivals: UInt64 = 0
    private let filters: [Filter]
    private let scores: [(weight: Int, score: Score)]

    /// A scheduler with these filters and scores.
    public init(
        filters: [Filter] = Filters.standard, scores: [(weight: Int, score: Score)] = Scores.standard
    ) {
        self.filters = filters
        self.scores = scores
    }

    /// Whether some pod waits that has not been looked at since the last change.
    public var hasWork: Bool { waiting.count > parked.count }

    /// Takes note of a change.
    public mutating func step(_ event: Event) {
        switch event {
        case .node(let object):
            var node = NodeState(object)
            if let old = nodes[node.name] {
                node.adopt(old)
            } else {
                for pod in placed.values where pod.nodeName == node.name { node.add(pod) }
            }
            nodes[node.name] = node
            parked.removeAll()
        case .nodeRemoved(let name):
            nodes[name] = nil
        case .pod(let object):
            see(object)
        case .podRemoved(let uid):
            waiting[uid] = nil
            parked.remove(uid)
            release(uid)
        case .bindingFailed(let uid):
            release(uid)
        }
    }

    /// Places waiting pods, at most `limit` of them, higher priority first, then in order of arrival.
    public mutating func decide(at now: WallTime, limit: Int = Scheduler.batchLimit) -> [Intent] {
        let queue = waiting.values.filter { !parked.contains($0.request.uid) }
            .sorted { ($1.request.priority, $0.order) < ($0.request.priority, $1.order) }
        var intents: [Intent] = []
        for (request, object, _) in queue.prefix(limit) {
            switch place(request) {
            case .node(let name):
                var bound = request
                bound.nodeName = name
                hold(bound)
                waiting[request.uid] = nil
                let pod = "\(request.key.namespace)/\(request.key.name)"
                intents.append(.bind(pod: request.key, uid: request.uid, node: name))
                intents.append(
                    .event(
                        about: request.key, uid: request.uid, type: "Normal", reason: "Scheduled",
                        message: "Successfully assigned \(pod) to \(name)"))
            case .nowhere(let why):
                parked.insert(request.uid)
                intents += report(object, why, at: now)
            }
        }
        return intents
    }

    /// Where a pod goes, or kube-scheduler's sentence on why it goes nowhere.
    public enum Placement: Sendable, Hashable {
        /// To this node.
        case node(String)
        /// Nowhere: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`
        case nowhere(String)
    }

    /// Finds the best node for a pod: every node is looked at; ties go to the first name.
    public func place(_ pod: PodRequest) -> Placement {
        var best: (score: Int, name: String)?
        var refusals: [String: Int] = [:]
        for node in nodes.values {
            if let refusal = filters.lazy.compactMap({ $0(pod, node) }).first {
                refusals[refusal, default: 0] += 1
                continue
            }
            let score = scores.reduce(0) { $0 + $1.weight * $1.score(pod, node) }
            if best == nil || (score, best!.name) > (best!.score, node.name) { best = (score, node.name) }
        }
        if let best { return .node(best.name) }
        if nodes.isEmpty { return .nowhere("no nodes available to schedule pods") }
        let reasons = refusals.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ")
        return .nowhere("0/\(nodes.count) nodes are available: \(reasons).")
    }

    private mutating func see(_ object: JSON) {
        let pod = PodRequest(object)
        if pod.nodeName.isEmpty {
            // A pod that is assumed to be bound shows up unbound until the binding is seen: that is no news.
            if placed[pod.uid] != nil { return }
            let isOurs = object["spec", "schedulerName"]?.string ?? "default-scheduler" == "default-scheduler"
            let isGated = object["spec", "schedulingGates"]?.array?.isEmpty == false
            guard isOurs && !isGated && !object.isTerminating && !pod.isFinished else {
                waiting[pod.uid] = nil
                parked.remove(pod.uid)
                return
            }
            arrivals += 1
            let known = waiting[pod.uid]
            if known == nil || known?.request != pod { parked.remove(pod.uid) }
            waiting[pod.uid] = (pod, object, known?.order ?? arrivals)
            return
        }
        waiting[pod.uid] = nil
        parked.remove(pod.uid)
        if pod.isFinished { return release(pod.uid) }
        let known = placed[pod.uid]
        if known == pod { return }
        hold(pod)
        // A resize may have made room.
        if let known, known.resources != pod.resources { parked.removeAll() }
    }

    private mutating func hold(_ pod: PodRequest) {
        if let old = placed[pod.uid] { nodes[old.nodeName]?.remove(old) }
        placed[pod.uid] = pod
        nodes[pod.nodeName]?.add(pod)
    }

    private mutating func release(_ uid: String) {
        guard let pod = placed.removeValue(forKey: uid) else { return }
        nodes[pod.nodeName]?.remove(pod)
        parked.removeAll()
    }

    /// The condition and the event that tell a user why a pod waits; nothing when the condition says so already.
    private func report(_ object: JSON, _ why: String, at now: WallTime) -> [Intent] {
        var conditions = object["status", "conditions"]?.array ?? []
        let index = conditions.firstIndex { $0["type"]?.string == "PodScheduled" }
        if let index, conditions[index]["message"]?.string == why { return [] }
        let condition: JSON = [
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": .string(why),
            "lastProbeTime": .null, "lastTransitionTime": .string(now.rfc3339),
        ]
        if let index { conditions[index] = condition } else { conditions.append(condition) }
        var changed = object
        changed["status", "conditions"] = .array(conditions)
        let key = ObjectKey(.pod, namespace: object.namespace, name: object.name)
        return [
            .updateStatus(.pod, changed),
            .event(about: key, uid: object.uid, type: "Warning", reason: "FailedScheduling", message: why),
        ]
    }
}
