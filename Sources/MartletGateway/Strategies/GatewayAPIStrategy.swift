internal import MartletObject

extension Strategy {
    /// The Gateway API's kinds, in all their versions: as custom resources are, with the first conditions that their
    /// schemas give them.
    static let gatewayAPI: [ResourceKind: Strategy] = {
        let first: [String: JSON] = [
            "GatewayClass": ["conditions": .array(unknown(["Accepted"]))],
            "Gateway": ["conditions": .array(unknown(["Accepted", "Programmed"]))],
        ]
        var table: [ResourceKind: Strategy] = [:]
        for kind in ResourceKind.all where kind.group == ResourceKind.gateway.group {
            table[kind] = Strategy(generations: .content, initialStatus: first[kind.kind])
        }
        return table
    }()

    private static func unknown(_ types: [String]) -> [JSON] {
        types.map { type in
            [
                "type": .string(type), "status": "Unknown", "lastTransitionTime": "1970-01-01T00:00:00Z",
                "reason": "Pending", "message": "Waiting for controller",
            ]
        }
    }
}
