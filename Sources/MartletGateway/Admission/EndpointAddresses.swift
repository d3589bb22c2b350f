internal import MartletObject

/// Nobody has the ingress or the service proxy of a machine call what listens on that machine alone. Upstream's
/// validation refuses such endpoints to everybody; here pods that run as processes have addresses of the loopback, so
/// that the cluster's own controllers and its administrator may name those, and no others either.
struct EndpointAddresses: AdmissionPlugin {
    let name = "EndpointAddresses"

    func concerns(_ review: AdmissionReview) -> Bool {
        [.endpoints, .endpointSlice].contains(review.kind) && review.operation != .delete
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        // What was there before is let be, so that others can change the rest.
        let isMaster = review.identity.isMaster
        let before = Set(review.old.map { Validation.specialEndpoints($0) } ?? [])
        let faults = Validation.specialEndpoints(review.object, allowsLoopback: isMaster)
            .filter { !before.contains($0) }
        if !faults.isEmpty { throw .invalid(review.kind, name: review.object.name, faults) }
    }
}
