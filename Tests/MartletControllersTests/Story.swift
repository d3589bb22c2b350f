import MartletBase
import MartletControllers
import MartletObject

/// A cluster of nothing but objects and controllers: wishes are carried out at once, as a faultless API would, and
/// every change is told to every controller until nothing more is wished.
struct Story {
    var snapshot = Snapshot()
    var now = WallTime(seconds: 1_000_000)
    /// What was done, a line each: `create Pod web-x`.
    var done: [String] = []
    /// The messages of the events.
    var events: [String] = []
    private var random = SplitMix64(seed: 7)
    private var counter = 0
    private let controllers: [any Controller]
    private var queue: [(Int, ObjectKey)] = []
    /// What a controller wants to look at later.
    private var alarms: [(due: Int64, controller: Int, key: ObjectKey)] = []

    init(_ controllers: [any Controller] = StandardControllers.all(podCIDRs: PodCIDR.list("10.244.0.0/16") ?? [])) {
        self.controllers = controllers
    }

    /// A user puts an object in place.
    mutating func put(_ kind: ResourceKind, _ object: JSON) {
        var object = object
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        let before = snapshot.get(key)
        counter += 1
        if let before {
            object["metadata", "uid"] = .string(before.uid)
            object["metadata", "creationTimestamp"] = before["metadata", "creationTimestamp"]
            let grows = object["spec"] != before["spec"]
            object["metadata", "generation"] = .int(Int64(before.generation + (grows ? 1 : 0)))
        } else {
            object["metadata", "uid"] = .string("uid-\(counter)")
            object["metadata", "creationTimestamp"] = .string(now.rfc3339)
            object["metadata", "generation"] = 1
        }
        object["metadata", "resourceVersion"] = .string(String(counter))
        if before == object { return }
        snapshot.put(object, kind: kind, at: now)
        tell(object, kind)
        let finalizers = object["metadata", "finalizers"]?.array ?? []
        if object.isTerminating && finalizers.isEmpty && kind != .namespace && kind != .pod { take(key) }
    }

    /// An object leaves.
    mutating func take(_ key: ObjectKey) {
        guard let object = snapshot.get(key) else { return }
        snapshot.remove(key)
        tell(object, key.kind)
    }

    /// A user deletes an object; pods wait for their node, objects with finalizers for these.
    mutating func delete(_ key: ObjectKey) {
        guard var object = snapshot.get(key) else { return }
        if object.isTerminating { return }
        object["metadata", "deletionTimestamp"] = .string(now.rfc3339)
        put(key.kind, object)
    }

    /// The node does its part: all pods run and are ready, those that were deleted are gone.
    mutating func nodesWork() {
        for pod in snapshot.list(.pod) {
            let key = ObjectKey(.pod, namespace: pod.namespace, name: pod.name)
            if pod.isTerminating {
                take(key)
                continue
            }
            guard pod["status", "phase"]?.string != "Running" else { continue }
            counter += 1
            var running = pod
            if pod["spec", "nodeName"] == nil { running["spec", "nodeName"] = "somewhere" }
            running["status"] = [
                "phase": "Running", "podIP": .string("10.244.0.\(counter % 250)"),
                "conditions": [["type": "Ready", "status": "True", "lastTransitionTime": .string(now.rfc3339)]],
            ]
            put(.pod, running)
        }
    }

    private mutating func tell(_ object: JSON, _ kind: ResourceKind) {
        for (index, controller) in controllers.enumerated() where controller.follows(kind) {
            queue += controller.keys(for: object, kind: kind, in: snapshot).map { (index, $0) }
        }
    }

    /// Runs controllers until nobody wishes anything; false when they never come to rest.
    @discardableResult
    mutating func settle(limit: Int = 5000) -> Bool {
        var steps = 0
        while !queue.isEmpty {
            steps += 1
            if steps > limit { return false }
            let (index, key) = queue.removeFirst()
            var context = ControllerContext(now: now, random: SplitMix64(seed: random.next()))
            for intent in controllers[index].reconcile(key, in: snapshot, &context) {
                guard case .requeue(let key, let milliseconds) = intent else {
                    carryOut(intent)
                    continue
                }
                alarms.append((now.nanoseconds / 1_000_000 + Int64(milliseconds), index, key))
            }
        }
        return true
    }

    /// Time goes by, a second at a time; what `everySecond` does comes first in each.
    mutating func wait(seconds: Int, _ everySecond: (inout Story) -> Void = { _ in }) {
        for _ in 0..<seconds {
            now = now + .seconds(1)
            everySecond(&self)
            let due = alarms.filter { $0.due <= now.nanoseconds / 1_000_000 }
            alarms.removeAll { $0.due <= now.nanoseconds / 1_000_000 }
            queue += due.map { ($0.controller, $0.key) }
            settle()
        }
    }

    /// Nodes and controllers in turn, until nothing moves.
    mutating func live(rounds: Int = 50) {
        for _ in 0..<rounds {
            settle()
            nodesWork()
            if queue.isEmpty { return }
        }
    }

    private mutating func carryOut(_ intent: Intent) {
        switch intent {
        case .create(let kind, let object):
            if snapshot.get(kind, namespace: object.namespace, name: object.name) != nil { return }
            done.append("create \(kind.kind) \(object.name)")
            put(kind, object)
        case .update(let kind, let object), .updateStatus(let kind, let object):
            guard let before = snapshot.get(kind, namespace: object.namespace, name: object.name),
                before.uid == object.uid
            else { return }
            var changed = object
            // As the API: a status write changes the status only, any other write all but the status.
            if case .updateStatus = intent {
                changed = before
                changed["status"] = object["status"]
            } else if kind.subresources.contains("status") {
                changed["status"] = before["status"]
            }
            done.append("update \(kind.kind) \(object.name)")
            put(kind, changed)
        case .patchMetadata(let key, let patch):
            guard var object = snapshot.get(key), object.uid == patch["metadata", "uid"]?.string,
                object.resourceVersion == patch["metadata", "resourceVersion"]?.string
            else { return }
            for (name, value) in patch["metadata"]?.members ?? [] { object["metadata", name] = value }
            done.append("update \(key.kind.kind) \(key.name)")
            put(key.kind, object)
        case .release(let claim, let patch):
            let key = ObjectKey(.persistentVolumeClaim, namespace: claim.namespace, name: claim.name)
            if snapshot.list(.pod, namespace: claim.namespace).contains(where: { $0.uses(claim: claim) }) { return }
            carryOut(.patchMetadata(key, patch))
        case .delete(let key, let uid):
            guard snapshot.get(key)?.uid == uid else { return }
            done.append("delete \(key.kind.kind) \(key.name)")
            delete(key)
        case .collect(let key, let uid, let owners):
            guard snapshot.get(key)?.uid == uid, owners.allSatisfy({ snapshot.get($0.key)?.uid != $0.value }) else {
                return
            }
            done.append("collect \(key.kind.kind) \(key.name)")
            delete(key)
        case .discard(let key, let uid):
            guard snapshot.get(key)?.uid == uid else { return }
            done.append("discard \(key.kind.kind) \(key.name)")
            take(key)
        case .finalizeNamespace(let object):
            done.append("finalize \(object.name)")
            take(ObjectKey(.namespace, namespace: "", name: object.name))
        case .event(_, _, _, _, let message):
            events.append(message)
        case .bind, .requeue:
            return
        }
    }
}

/// A Deployment as a user writes it, with the fields that defaulting fills in.
func deployment(_ name: String, replicas: Int, image: String, strategy: String = "RollingUpdate") -> JSON {
    var object: JSON = [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": .string(name), "namespace": "default"],
        "spec": [
            "replicas": .int(Int64(replicas)), "selector": ["matchLabels": ["app": .string(name)]],
            "template": [
                "metadata": ["labels": ["app": .string(name)]],
                "spec": ["containers": [["name": "web", "image": .string(image)]]],
            ],
            "progressDeadlineSeconds": 600,
        ],
    ]
    object["spec", "strategy", "type"] = .string(strategy)
    return object
}
