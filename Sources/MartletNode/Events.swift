internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletPods

/// One event that is to be written.
struct PendingEvent: Sendable, Hashable {
    var namespace: String
    var involved: JSON
    var type: String
    var reason: String
    var message: String
    var time: WallTime

    /// Events that differ only in time are one event that is counted.
    var key: String { "\(involved["uid"]?.string ?? "")/\(reason)/\(involved["fieldPath"]?.string ?? "")/\(message)" }
}

/// Events waiting to be written, and the names of those that were, so that repeated ones are counted. Bounded: when
/// it is full the oldest waiting event is dropped, since events are for people and pods do not wait for them.
struct EventQueue: Sendable {
    let node: String
    private(set) var pending: [PendingEvent] = []
    private var written: [String: String] = [:]

    init(node: String) { self.node = node }

    mutating func add(_ event: PendingEvent) {
        if pending.count >= Limits.pendingEvents { pending.removeFirst() }
        pending.append(event)
    }

    mutating func next() -> PendingEvent? { pending.isEmpty ? nil : pending.removeFirst() }

    /// The name under which the same event was written before.
    func name(of event: PendingEvent) -> String? { written[event.key] }

    mutating func remember(_ event: PendingEvent, name: String?) {
        if written.count >= Limits.rememberedEvents { written.removeAll() }
        written[event.key] = name
    }

    /// A new event (core/v1 Event).
    func object(_ event: PendingEvent, unique: UInt64) -> JSON {
        let name = event.involved["name"]?.string ?? "node"
        let time = JSON.string(event.time.rfc3339)
        return [
            "apiVersion": "v1", "kind": "Event",
            "metadata": [
                "name": .string("\(name).\(String(unique, radix: 16))"), "namespace": .string(event.namespace),
            ],
            "involvedObject": event.involved, "type": .string(event.type), "reason": .string(event.reason),
            "message": .string(event.message), "source": ["component": "kubelet", "host": .string(node)],
            "firstTimestamp": time, "lastTimestamp": time, "count": 1, "eventTime": .null,
            "reportingComponent": "kubelet", "reportingInstance": .string(node),
        ]
    }
}

extension NodeAgent {
    /// Notes an event about a pod, or about one of its containers; it is written behind.
    func record(type: String, reason: String, message: String, container: String?, about spec: PodSpec) {
        var involved: JSON = [
            "apiVersion": "v1", "kind": "Pod", "name": .string(spec.name), "namespace": .string(spec.namespace),
            "uid": .string(spec.uid),
        ]
        if let container {
            let lists = [
                ("initContainers", spec.initContainers), ("ephemeralContainers", spec.ephemeralContainers),
            ]
            let list = lists.first { $0.1.contains { $0.name == container } }?.0 ?? "containers"
            involved["fieldPath"] = .string("spec.\(list){\(container)}")
        }
        record(
            PendingEvent(
                namespace: spec.namespace, involved: involved, type: type, reason: reason, message: message,
                time: world.wallTime()))
    }

    /// Notes an event about the node. As kubelet, which knows no uid of its node, it gives the name for one.
    func record(_ change: (reason: String, message: String)) {
        let name = JSON.string(configuration.nodeName)
        record(
            PendingEvent(
                namespace: "default", involved: ["apiVersion": "v1", "kind": "Node", "name": name, "uid": name],
                type: "Normal", reason: change.reason, message: change.message, time: world.wallTime()))
    }

    private func record(_ event: PendingEvent) {
        events.add(event)
        guard !isRecording else { return }
        isRecording = true
        spawn { await $0.writeEvents() }
    }

    private func writeEvents() async {
        while !Task.isCancelled, let event = events.next() {
            do {
                try await write(event)
            } catch {
                logger.debug("event \(event.reason) cannot be written: \(error)")
            }
        }
        isRecording = false
    }

    private func write(_ event: PendingEvent) async throws {
        if let name = events.name(of: event) {
            do {
                try await api.modify(.event, namespace: event.namespace, name: name) { old in
                    var event = old
                    event["count"] = .int(Int64((old["count"]?.int ?? 1) + 1))
                    event["lastTimestamp"] = .string(self.world.wallTime().rfc3339)
                    return event
                }
                return
            } catch let error as APIError where error.isNotFound {
                events.remember(event, name: nil)
            }
        }
        let written = try await api.create(.event, events.object(event, unique: world.random()))
        events.remember(event, name: written.name)
    }
}
