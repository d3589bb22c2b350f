/// The PersistentVolumeClaims of pods.
extension JSON {
    private struct Claim {
        var name: String
        /// Whether it is made for the pod, and owned by it.
        var isEphemeral: Bool
    }

    private var claims: [Claim] {
        (self["spec", "volumes"]?.array ?? []).compactMap { volume in
            if let name = volume["persistentVolumeClaim", "claimName"]?.string {
                return Claim(name: name, isEphemeral: false)
            }
            guard volume["ephemeral"] != nil, let name = volume["name"]?.string else { return nil }
            return Claim(name: "\(self.name)-\(name)", isEphemeral: true)
        }
    }

    /// The names of the claims that a pod's volumes name, or that are made for them.
    public var claimNames: [String] { claims.map(\.name) }

    /// Whether a pod keeps a claim from going. It counts from when it has a node until it is no more: nobody starts one
    /// whose claim is being deleted. What was made for a pod alone is free when its node has done with it.
    public func uses(claim: JSON) -> Bool {
        guard self["spec", "nodeName"]?.string?.isEmpty == false else { return false }
        return claims.contains { used in
            guard used.name == claim.name else { return false }
            if !used.isEphemeral { return true }
            let isShutDown = isTerminating && self["metadata", "deletionGracePeriodSeconds"]?.int == 0
            return !isShutDown && claim.controllerReference?["uid"]?.string == uid
        }
    }
}
