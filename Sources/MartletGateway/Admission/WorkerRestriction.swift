internal import MartletObject

/// What the requests of a worker's parts may say inside: of a route its status alone. Upstream's `status` takes
/// annotations and labels too, and an annotation names a Secret that they might read then (``WorkerRules``).
struct WorkerRestriction: AdmissionPlugin {
    let name = "MartletWorkerRestriction"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.identity.isWorker && review.target.subresource == "status" && review.old != nil
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        func rest(_ object: JSON?) -> JSON {
            var metadata = object?["metadata"] ?? [:]
            for field in ["resourceVersion", "managedFields"] { metadata[field] = nil }
            return metadata
        }
        if rest(review.old) != rest(review.object) {
            throw review.forbidden("the parts of a worker may change nothing but the status")
        }
    }
}
