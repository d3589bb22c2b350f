internal import MartletObject

extension Strategy {
    /// A namespace is removed when `spec.finalizers` is empty, which is the namespace controller's word that nothing
    /// is left in it.
    static let namespace = Strategy(
        prepareForCreate: { namespace in
            namespace["spec", "finalizers"] = ["kubernetes"]
            namespace["status"] = ["phase": "Active"]
            namespace["metadata", "labels", "kubernetes.io/metadata.name"] = .string(namespace.name)
        },
        prepareForUpdate: { namespace, old in
            // Only the `finalize` subresource changes these.
            namespace["spec", "finalizers"] = old["spec", "finalizers"]
            namespace["metadata", "labels", "kubernetes.io/metadata.name"] = .string(namespace.name)
        },
        prepareForDelete: { $0["status", "phase"] = "Terminating" },
        holdsRemoval: { !($0["spec", "finalizers"]?.array ?? []).isEmpty },
        refusesDeletion: {
            ["default", "kube-system", "kube-public"].contains($0.name) ? "this namespace may not be deleted" : nil
        })
}
