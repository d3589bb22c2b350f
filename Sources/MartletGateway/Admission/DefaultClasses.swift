internal import MartletObject

/// Claims that name no storage class get the default one: upstream's plugin DefaultStorageClass.
struct DefaultStorageClass: AdmissionPlugin {
    let name = "DefaultStorageClass"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .persistentVolumeClaim && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let claim = review.object
        // An empty name is a choice: none.
        if claim["spec", "storageClassName"] != nil
            || claim.annotations["volume.beta.kubernetes.io/storage-class"] != nil
        {
            return
        }
        let defaults = try await cluster.list(.storageClass, namespace: "").filter {
            $0.annotations["storageclass.kubernetes.io/is-default-class"] == "true"
                || $0.annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true"
        }
        // Of several the newest counts, then the first by name.
        let chosen = defaults.max { one, other in
            let times = [one, other].map { $0["metadata", "creationTimestamp"]?.string ?? "" }
            return times[0] == times[1] ? one.name > other.name : times[0] < times[1]
        }
        if let chosen { review.object["spec", "storageClassName"] = .string(chosen.name) }
    }
}

/// Claims and volumes are held for as long as they are used: upstream's plugin StorageObjectInUseProtection. Who lets
/// go of them are controllers.
struct StorageObjectInUseProtection: AdmissionPlugin {
    let name = "StorageObjectInUseProtection"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind.useFinalizer != nil && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        guard let finalizer = review.kind.useFinalizer else { return }
        let finalizers = review.object["metadata", "finalizers"]?.array ?? []
        if finalizers.contains(.string(finalizer)) { return }
        review.object["metadata", "finalizers"] = .array(finalizers + [.string(finalizer)])
    }
}

/// Ingresses that name no class get the default one: upstream's plugin DefaultIngressClass.
struct DefaultIngressClass: AdmissionPlugin {
    let name = "DefaultIngressClass"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .ingress && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let ingress = review.object
        if ingress["spec", "ingressClassName"] != nil || ingress.annotations["kubernetes.io/ingress.class"] != nil {
            return
        }
        let defaults = try await cluster.list(.ingressClass, namespace: "").filter {
            $0.annotations["ingressclass.kubernetes.io/is-default-class"] == "true"
        }
        guard let chosen = defaults.first else { return }
        if defaults.count > 1 {
            throw review.forbidden("\(defaults.count) default IngressClasses were found, only 1 allowed")
        }
        review.object["spec", "ingressClassName"] = .string(chosen.name)
    }
}
