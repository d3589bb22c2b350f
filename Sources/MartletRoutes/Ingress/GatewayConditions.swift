public import MartletObject

/// A condition that an object of Gateway API ought to have (`metav1.Condition` without its time).
struct GatewayCondition: Sendable, Hashable {
    var type: String
    var isTrue: Bool
    var reason: String
    var message: String

    init(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String = "") {
        self.type = type
        self.isTrue = isTrue
        self.reason = reason
        self.message = message
    }
}

/// What the status of an object of Gateway API ought to say. It is put together with what the object says already:
/// others' conditions and parents stay, and a condition that still holds keeps its time.
public struct GatewayStatusWish: Sendable {
    /// The object.
    public let key: ObjectKey
    private let object: JSON
    private let body: Body

    private enum Body: Sendable {
        case conditions([GatewayCondition])
        case gateway([GatewayCondition], [ListenerStatus])
        case parents([(reference: JSON, conditions: [GatewayCondition])])
    }

    struct ListenerStatus: Sendable {
        var name: String
        var attached: Int
        var supportsRoutes: Bool
        var conditions: [GatewayCondition]
    }

    private init(_ kind: ResourceKind, _ object: JSON, _ body: Body) {
        key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        self.object = object
        self.body = body
    }

    static func gatewayClass(_ object: JSON, _ conditions: [GatewayCondition]) -> GatewayStatusWish {
        GatewayStatusWish(.gatewayClass, object, .conditions(conditions))
    }

    static func gateway(
        _ object: JSON, _ conditions: [GatewayCondition], _ listeners: [ListenerStatus]
    ) -> GatewayStatusWish {
        GatewayStatusWish(.gateway, object, .gateway(conditions, listeners))
    }

    static func route(
        _ object: JSON, _ parents: [(reference: JSON, conditions: [GatewayCondition])]
    ) -> GatewayStatusWish {
        GatewayStatusWish(.httpRoute, object, .parents(parents))
    }

    /// The status to be written; nil when the object says so already.
    /// - Parameters:
    ///   - now: RFC 3339.
    ///   - addresses: where Gateways are reached; none while that is not known.
    public func status(now: String, addresses: [String]) -> JSON? {
        let before = object["status"] ?? .null
        var after = before
        switch body {
        case .conditions(let wished): after["conditions"] = merged(before["conditions"], wished, now)
        case .gateway(let wished, let listeners):
            var all = wished
            if addresses.isEmpty, let place = all.firstIndex(where: { $0.type == "Programmed" && $0.isTrue }) {
                all[place] = GatewayCondition("Programmed", false, "AddressNotAssigned", "no address is assigned yet")
            }
            after["conditions"] = merged(before["conditions"], all, now)
            let list = addresses.map { address -> JSON in ["type": "IPAddress", "value": .string(address)] }
            after["addresses"] = nil
            if !list.isEmpty { after["addresses"] = .array(list) }
            after["listeners"] = .array(listeners.map { self.listener($0, before, now) })
        case .parents(let parents):
            // Each entry stays where it is, and new ones go to the end: two controllers that each put their own last
            // would write by turns for ever.
            var wished = parents
            var all: [JSON] = []
            for old in before["parents"]?.array ?? [] {
                guard old["controllerName"]?.string == GatewayState.controllerName else {
                    all.append(old)
                    continue
                }
                guard let place = wished.firstIndex(where: { $0.reference == old["parentRef"] }) else { continue }
                all.append(parent(wished.remove(at: place), old, now))
            }
            all += wished.map { parent($0, nil, now) }
            if all.isEmpty && before["parents"] == nil { return nil }
            after["parents"] = .array(all)
        }
        // Not by `?:`, whose nil would be the JSON of that name.
        if after == before { return nil }
        return after
    }

    private func parent(
        _ parent: (reference: JSON, conditions: [GatewayCondition]), _ old: JSON?, _ now: String
    ) -> JSON {
        [
            "parentRef": parent.reference, "controllerName": .string(GatewayState.controllerName),
            "conditions": merged(old?["conditions"], parent.conditions, now, keepsOthers: false),
        ]
    }

    private func listener(_ listener: ListenerStatus, _ before: JSON, _ now: String) -> JSON {
        let old = before["listeners"]?.array?.first { $0["name"]?.string == listener.name }
        let kind: JSON = ["group": .string(GatewayState.group), "kind": "HTTPRoute"]
        return [
            "name": .string(listener.name), "supportedKinds": .array(listener.supportsRoutes ? [kind] : []),
            "attachedRoutes": .int(Int64(listener.attached)),
            "conditions": merged(old?["conditions"], listener.conditions, now),
        ]
    }

    private func merged(
        _ before: JSON?, _ wished: [GatewayCondition], _ now: String, keepsOthers: Bool = true
    ) -> JSON {
        let known = before?.array ?? []
        // Of ours one is only there while it holds.
        let ours = wished.map(\.type) + [GatewayListener.overlappingTLS]
        var result = known.filter { old in keepsOthers && !ours.contains { $0 == old["type"]?.string } }
        for condition in wished {
            let old = known.first { $0["type"]?.string == condition.type }
            let status: JSON = condition.isTrue ? "True" : "False"
            let time = old?["status"] == status ? old?["lastTransitionTime"] ?? .string(now) : .string(now)
            result.append([
                "type": .string(condition.type), "status": status, "reason": .string(condition.reason),
                "message": .string(condition.message), "lastTransitionTime": time,
                "observedGeneration": .int(Int64(object.generation)),
            ])
        }
        return .array(result)
    }
}
