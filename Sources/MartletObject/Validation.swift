/// Kubernetes' validation, with its words.
public enum Validation {
    /// What is wrong with a new object (after defaulting).
    public static func create(_ object: JSON, kind: ResourceKind) -> [FieldError] {
        var faults = Faults()
        byKind[kind.qualifiedPlural]?.checkNew?(object, &faults)
        return check(object, kind: kind) + faults.list
    }

    /// What is wrong with an object, new or not.
    /// - Parameter old: what it was before; only asked for with custom kinds.
    private static func check(_ object: JSON, from old: JSON? = nil, kind: ResourceKind) -> [FieldError] {
        var faults = Faults()
        MetadataRules.check(object, kind: kind, &faults)
        if let custom = kind.custom {
            return faults.list + StructuralValidator.faults(of: object, from: old, custom.schema)
        }
        byKind[kind.qualifiedPlural]?.check(object, &faults)
        faults.choices(object, kind: kind)
        // As custom resources are checked, which these kinds are elsewhere.
        if kind.group == ResourceKind.gateway.group { faults.requiredFields(object, kind: kind) }
        return faults.list
    }

    /// What is wrong with a change from `old` to `object`: what holds for every object, and fields that must
    /// not change.
    public static func update(_ object: JSON, from old: JSON, kind: ResourceKind) -> [FieldError] {
        var faults = Faults()
        MetadataRules.checkChange(object, from: old, &faults)
        byKind[kind.qualifiedPlural]?.checkChange?(object, old, &faults)
        return check(object, from: old, kind: kind) + faults.list
    }

    /// What is wrong with a change through the subresource `status`, whose rest is as it was.
    public static func status(_ object: JSON, from old: JSON, kind: ResourceKind) -> [FieldError] {
        if kind.custom != nil { return update(object, from: old, kind: kind) }
        var faults = Faults()
        MetadataRules.check(object, kind: kind, &faults)
        MetadataRules.checkChange(object, from: old, &faults)
        byKind[kind.qualifiedPlural]?.checkStatus?(object, old, &faults)
        return faults.list
    }

    /// The addresses of Endpoints or an EndpointSlice that only the cluster itself may name: loopback, link-local,
    /// unspecified. Whoever forwards to them would reach what listens on its own machine alone.
    /// - Parameter allowsLoopback: whether those of the loopback may be named.
    public static func specialEndpoints(_ object: JSON, allowsLoopback: Bool = false) -> [FieldError] {
        var faults = Faults()
        NetworkRules.checkSpecialEndpoints(object, allowsLoopback: allowsLoopback, &faults)
        return faults.list
    }

    /// What is wrong with a change of a pod through its subresource `ephemeralcontainers`.
    public static func ephemeralContainers(_ pod: JSON, from old: JSON) -> [FieldError] {
        var faults = Faults()
        MetadataRules.checkChange(pod, from: old, &faults)
        EphemeralContainerRules.checkChange(pod, old, &faults)
        return check(pod, kind: .pod) + faults.list
    }

    /// What is wrong with a change of a pod through its subresource `resize`.
    public static func resize(_ pod: JSON, from old: JSON) -> [FieldError] {
        var faults = Faults()
        MetadataRules.checkChange(pod, from: old, &faults)
        PodResizeRules.checkChange(pod, old, &faults)
        return check(pod, kind: .pod) + faults.list
    }

    /// The rules of one kind.
    struct Rules: Sendable {
        var check: @Sendable (JSON, inout Faults) -> Void
        var checkChange: (@Sendable (JSON, JSON, inout Faults) -> Void)?
        var checkNew: (@Sendable (JSON, inout Faults) -> Void)?
        /// What holds for a status, given the object with it and the object as it was.
        var checkStatus: (@Sendable (JSON, JSON, inout Faults) -> Void)?
    }

    private static let byKind: [String: Rules] = [
        "pods": Rules(
            check: PodRules.check, checkChange: PodRules.checkChange, checkNew: PodRules.checkNew,
            checkStatus: PodRules.checkStatus),
        "statefulsets.apps": Rules(check: WorkloadRules.statefulSet, checkChange: WorkloadRules.statefulSetChange),
        "daemonsets.apps": Rules(check: WorkloadRules.daemonSet, checkChange: WorkloadRules.checkChange),
        "replicationcontrollers": Rules(check: WorkloadRules.replicationController),
        "podtemplates": Rules(check: WorkloadRules.podTemplate),
        "controllerrevisions.apps": Rules(
            check: WorkloadRules.controllerRevision, checkChange: WorkloadRules.controllerRevisionChange),
        "jobs.batch": Rules(check: JobRules.job, checkChange: JobRules.jobChange),
        "cronjobs.batch": Rules(check: JobRules.cronJob),
        "persistentvolumes": Rules(check: VolumeObjectRules.volume, checkChange: VolumeObjectRules.volumeChange),
        "persistentvolumeclaims": Rules(check: VolumeObjectRules.claim, checkChange: VolumeObjectRules.claimChange),
        "storageclasses.storage.k8s.io": Rules(
            check: VolumeObjectRules.storageClass, checkChange: VolumeObjectRules.storageClassChange),
        "volumeattributesclasses.storage.k8s.io": Rules(
            check: VolumeObjectRules.attributesClass, checkChange: VolumeObjectRules.attributesClassChange),
        "volumeattachments.storage.k8s.io": Rules(
            check: VolumeObjectRules.attachment, checkChange: VolumeObjectRules.specChange),
        "csistoragecapacities.storage.k8s.io": Rules(
            check: VolumeObjectRules.capacity, checkChange: VolumeObjectRules.capacityChange),
        "networkpolicies.networking.k8s.io": Rules(check: NetworkRules.policy),
        "ipaddresses.networking.k8s.io": Rules(
            check: NetworkRules.ipAddress, checkChange: NetworkRules.ipAddressChange),
        "servicecidrs.networking.k8s.io": Rules(
            check: NetworkRules.serviceCIDR, checkChange: NetworkRules.serviceCIDRChange),
        "endpoints": Rules(check: NetworkRules.endpoints),
        "poddisruptionbudgets.policy": Rules(check: PolicyRules.budget),
        "horizontalpodautoscalers.autoscaling": Rules(check: PolicyRules.autoscaler),
        "resourcequotas": Rules(check: PolicyRules.quota, checkChange: PolicyRules.quotaChange),
        "limitranges": Rules(check: PolicyRules.limits),
        "priorityclasses.scheduling.k8s.io": Rules(
            check: PolicyRules.priorityClass, checkChange: PolicyRules.priorityClassChange),
        "runtimeclasses.node.k8s.io": Rules(
            check: PolicyRules.runtimeClass, checkChange: PolicyRules.runtimeClassChange),
        "roles.rbac.authorization.k8s.io": Rules(check: AccessRules.role),
        "clusterroles.rbac.authorization.k8s.io": Rules(check: AccessRules.clusterRole),
        "rolebindings.rbac.authorization.k8s.io": Rules(
            check: AccessRules.roleBinding, checkChange: AccessRules.bindingChange),
        "clusterrolebindings.rbac.authorization.k8s.io": Rules(
            check: AccessRules.clusterRoleBinding, checkChange: AccessRules.bindingChange),
        "certificatesigningrequests.certificates.k8s.io": Rules(
            check: AccessRules.signingRequest, checkStatus: AccessRules.signingRequestStatus),
        "events.events.k8s.io": Rules(check: AccessRules.groupedEvent),
        "deployments.apps": Rules(check: WorkloadRules.deployment, checkChange: WorkloadRules.checkChange),
        "replicasets.apps": Rules(check: WorkloadRules.replicaSet, checkChange: WorkloadRules.checkChange),
        "services": Rules(check: ServiceRules.check, checkChange: ServiceRules.checkChange),
        "secrets": Rules(check: DataRules.secret, checkChange: DataRules.secretChange),
        "configmaps": Rules(check: DataRules.configMap, checkChange: DataRules.configMapChange),
        "ingresses.networking.k8s.io": Rules(check: IngressRules.check),
        "ingressclasses.networking.k8s.io": Rules(
            check: IngressRules.ingressClass, checkChange: IngressRules.ingressClassChange),
        "endpointslices.discovery.k8s.io": Rules(
            check: SmallRules.endpointSlice, checkChange: SmallRules.endpointSliceChange),
        "leases.coordination.k8s.io": Rules(check: SmallRules.lease),
        "events": Rules(check: SmallRules.event),
        "nodes": Rules(check: SmallRules.node, checkChange: SmallRules.nodeChange),
        "namespaces": Rules(check: SmallRules.namespace, checkStatus: SmallRules.namespaceStatus),
        "customresourcedefinitions.apiextensions.k8s.io": Rules(
            check: CustomDefinitionRules.check, checkChange: CustomDefinitionRules.checkChange),
    ]
}

/// One fault of an object: Kubernetes' field.Error.
public struct FieldError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kinds of fault; the raw value is the cause's `reason` in a Status.
    public enum Reason: String, Sendable {
        /// Absent
        case required = "FieldValueRequired"
        /// Malformed
        case invalid = "FieldValueInvalid"
        /// Twice
        case duplicate = "FieldValueDuplicate"
        /// Not one of the known values
        case notSupported = "FieldValueNotSupported"
        /// Not allowed here
        case forbidden = "FieldValueForbidden"
        /// Too long or too many
        case tooLong = "FieldValueTooLong"
        /// Of another type
        case typeInvalid = "FieldValueTypeInvalid"
        /// Too many elements
        case tooMany = "FieldValueTooMany"
        /// Refers to nothing
        case notFound = "FieldValueNotFound"
    }
    /// The kind of fault.
    public var reason: Reason
    /// The field's path: `spec.containers[0].name`.
    public var field: String
    /// What follows the path: `Required value`, `Invalid value: "x": must be ...`.
    public var message: String
    /// A fault from its parts.
    public init(_ reason: Reason, field: String, message: String) {
        self.reason = reason
        self.field = field
        self.message = message
    }
    /// `spec.containers[0].name: Required value`
    public var description: String { "\(field): \(message)" }
}

/// What holds for the metadata of every kind.
enum MetadataRules {
    static let mostAnnotationBytes = 262_144

    static func check(_ object: JSON, kind: ResourceKind, _ faults: inout Faults) {
        let metadata = object["metadata"] ?? [:]
        let form: (String) -> String? =
            switch kind.qualifiedPlural {
            case "namespaces": Names.labelFault
            case "services": Names.dns1035LabelFault
            case let name where name.hasSuffix(".rbac.authorization.k8s.io"): Names.pathSegmentFault
            // Its name is an address, which its rules check.
            case "ipaddresses.networking.k8s.io": Names.pathSegmentFault
            default: Names.subdomainFault
            }
        let prefix = metadata["generateName"]?.string ?? ""
        if !prefix.isEmpty {
            // A name gets a suffix, which may follow a hyphen.
            faults.name("metadata.generateName", prefix) { form(String(Substring($0.utf8.dropLast(while: "-")))) }
        }
        if !object.name.isEmpty {
            faults.name("metadata.name", object.name, form)
        } else if prefix.isEmpty {
            faults.required("metadata.name", "name or generateName is required")
        }
        faults.labels("metadata.labels", metadata["labels"])
        checkAnnotations("metadata.annotations", metadata["annotations"], &faults)
        checkFinalizers(metadata, &faults)
        checkOwners(metadata, &faults)
    }

    static func checkAnnotations(_ path: String, _ annotations: JSON?, _ faults: inout Faults) {
        var size = 0
        for (key, value) in annotations?.object ?? [:] {
            if let fault = Names.qualifiedNameFault(key.lowercased()) { faults.invalid(path, .string(key), fault) }
            size += key.utf8.count + (value.string?.utf8.count ?? 0)
        }
        if size > mostAnnotationBytes { faults.tooLong(path, bytes: mostAnnotationBytes) }
    }

    private static func checkFinalizers(_ metadata: JSON, _ faults: inout Faults) {
        let standard = ["kubernetes", "orphan", "foregroundDeletion"]
        for finalizer in metadata["finalizers"]?.array ?? [] {
            let text = finalizer.string ?? ""
            if let fault = Names.qualifiedNameFault(text) {
                faults.invalid("metadata.finalizers", finalizer, fault)
            } else if !text.contains("/"), !standard.contains(text) {
                faults.invalid(
                    "metadata.finalizers", finalizer,
                    "name is neither a standard finalizer name nor is it fully qualified")
            }
        }
    }

    private static func checkOwners(_ metadata: JSON, _ faults: inout Faults) {
        var controller: String?
        for (index, owner) in (metadata["ownerReferences"]?.array ?? []).enumerated() {
            var path: String { "metadata.ownerReferences[\(index)]" }
            for (field, sentence) in [
                ("apiVersion", "version must not be empty"), ("kind", "must not be empty"),
                ("name", "must not be empty"), ("uid", "must not be empty"),
            ] where (owner[field]?.string ?? "").isEmpty {
                faults.invalid("\(path).\(field)", owner[field] ?? "", sentence)
            }
            // Events go by themselves, and would take what they own with them.
            if owner.kind == "Event", ["v1", "events.k8s.io/v1"].contains(owner.apiVersion) {
                let group = owner.apiVersion == "v1" ? "/v1" : owner.apiVersion
                faults.invalid(path, owner, "\(group), Kind=Event is disallowed from being an owner")
            }
            guard owner["controller"]?.bool == true else { continue }
            let name = owner["name"]?.string ?? ""
            if let controller {
                faults.invalid(
                    "metadata.ownerReferences", metadata["ownerReferences"] ?? [],
                    "Only one reference can have Controller set to true. Found \"true\" in references for "
                        + "\(controller) and \(name)")
                return
            }
            controller = name
        }
    }

    static func checkChange(_ object: JSON, from old: JSON, _ faults: inout Faults) {
        for field in ["name", "namespace", "uid", "deletionTimestamp"] {
            faults.immutable("metadata.\(field)", object["metadata", field], old["metadata", field])
        }
        guard old.isTerminating else { return }
        // What is going must not be held by ever more.
        let held = old["metadata", "finalizers"]?.array ?? []
        let new = (object["metadata", "finalizers"]?.array ?? []).filter { !held.contains($0) }
        if new.isEmpty { return }
        let names = Set(new.compactMap(\.string)).sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        faults.forbidden(
            "metadata.finalizers",
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{\(names)}")
    }
}

extension String.UTF8View {
    /// The text without its trailing repetitions of one byte.
    fileprivate func dropLast(while scalar: Unicode.Scalar) -> Substring.UTF8View {
        var rest = self[...]
        while let last = rest.last, UInt32(last) == scalar.value { rest.removeLast() }
        return rest
    }
}
