/// ClusterRoles that gather the rules of others, chosen by label (rbac/v1 AggregationRule).
public enum RoleAggregation {
    /// The rules that `role` should have: those of all roles that one of its selectors chooses, in the order of the
    /// roles' names, each once. Nil when it gathers none; a selector that cannot be read chooses nothing.
    public static func rules(for role: JSON, among roles: [JSON]) -> [JSON]? {
        guard let selectors = role["aggregationRule", "clusterRoleSelectors"]?.array else { return nil }
        let chosen = selectors.compactMap { try? LabelSelector(object: $0) }
        var seen: Set<JSON> = []
        var rules: [JSON] = []
        for other in roles.sorted(by: { $0.name < $1.name })
        where other.name != role.name && chosen.contains(where: { $0.matches(other.labels) }) {
            for rule in other["rules"]?.array ?? [] where seen.insert(rule).inserted { rules.append(rule) }
        }
        return rules
    }
}
