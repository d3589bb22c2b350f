internal import MartletObject

/// Who may do what: `system:masters` everything, nodes what is theirs, the parts of workers what routes need, all
/// others what roles give them.
final class AccessControl: Sendable {
    private let roles: Follower<RoleTable>
    private let nodes: Follower<NodeGraph>
    private let routes: Follower<RouteSecrets>

    init(_ storage: Storage) {
        roles = Follower(storage)
        nodes = Follower(storage)
        routes = Follower(storage)
    }

    /// Decides a request.
    /// - Throws: when the store can no longer be read.
    func decide(_ request: AccessRequest) async throws(APIError) -> Verdict {
        if request.identity.isMaster { return .allowed(.master) }
        if request.identity.isWorker, WorkerRules.concern(request) {
            return try await routes.read { routes throws(APIError) in WorkerRules.decide(request, routes) }
        }
        var reasons: [String] = []
        if let node = request.identity.node {
            let verdict = try await nodes.read { graph throws(APIError) in
                NodeRules.decide(request, node: node, graph)
            }
            if verdict.isAllowed { return verdict }
            reasons.append(verdict.reason)
        }
        let verdict = try await roles.read { table throws(APIError) in table.decide(request) }
        if verdict.isAllowed { return verdict }
        reasons.append(verdict.reason)
        return .refused(reasons.filter { !$0.isEmpty }.joined(separator: "\n"))
    }

    /// - Throws: 403 unless it is allowed.
    func demand(_ request: AccessRequest) async throws(APIError) {
        if case .refused(let reason) = try await decide(request) { throw .forbidden(request, reason) }
    }

    /// All rules that somebody has by roles in a namespace, and what could not be found.
    func rules(
        of identity: Identity, in namespace: String
    ) async throws(APIError) -> (rules: [PolicyRule], faults: [String]) {
        try await roles.read { table throws(APIError) in table.rules(of: identity, in: namespace) }
    }

    /// The rules of a role; nil when there is none of that name.
    func rules(of role: RoleName) async throws(APIError) -> [PolicyRule]? {
        try await roles.read { table throws(APIError) in table.rules(of: role) }
    }
}
