/// What holds for persistent volumes, their claims and classes.
enum VolumeObjectRules {
    // MARK: Claims

    @Sendable static func claim(_ claim: JSON, _ faults: inout Faults) {
        checkClaim("spec", claim["spec"] ?? [:], &faults)
    }

    private static func checkClaim(_ path: String, _ spec: JSON, _ faults: inout Faults) {
        checkModes(path, spec["accessModes"], &faults)
        if let selector = spec["selector"] { faults.selector("\(path).selector", selector) }
        if let storage = spec["resources", "requests", "storage"] {
            if let amount = Quantity(storage), amount.milli <= 0 {
                faults.invalid("\(path).resources[storage]", storage, "must be greater than zero")
            }
        } else {
            faults.required("\(path).resources[storage]")
        }
        if let name = spec["storageClassName"]?.string, !name.isEmpty {
            faults.name("\(path).storageClassName", name, Names.subdomainFault)
        }
        if let source = spec["dataSource"] {
            for field in ["name", "kind"] where (source[field]?.string ?? "").isEmpty {
                faults.required("\(path).dataSource.\(field)")
            }
        }
    }

    private static func checkModes(_ path: String, _ modes: JSON?, _ faults: inout Faults) {
        let modes = modes?.array ?? []
        if modes.isEmpty { faults.required("\(path).accessModes", "at least 1 access mode is required") }
        if modes.contains("ReadWriteOncePod"), modes.contains(where: { $0 != "ReadWriteOncePod" }) {
            faults.forbidden("\(path).accessModes", "may not use ReadWriteOncePod with other access modes")
        }
    }

    @Sendable static func claimChange(_ claim: JSON, _ old: JSON, _ faults: inout Faults) {
        var spec = claim["spec"] ?? [:]
        let before = old["spec"] ?? [:]
        let isBound = old["status", "phase"] == "Bound"
        // Binding names the volume.
        if (before["volumeName"]?.string ?? "").isEmpty { spec["volumeName"] = before["volumeName"] }
        if before["storageClassName"] == nil { spec["storageClassName"] = before["storageClassName"] }
        let wanted = spec["resources", "requests", "storage"]
        if isBound {
            spec["resources", "requests"] = before["resources", "requests"]
            spec["volumeAttributesClassName"] = before["volumeAttributesClassName"]
        }
        if spec != before {
            faults.forbidden(
                "spec",
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
                    + "claims")
        }
        if isBound, let new = Quantity(wanted), let had = Quantity(old["status", "capacity", "storage"]), new < had {
            faults.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
        }
    }

    // MARK: Volumes

    private static let plain: Set<String> = [
        "capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
        "volumeMode", "nodeAffinity", "volumeAttributesClassName",
    ]

    private static func source(_ spec: JSON) -> [String] {
        (spec.object ?? [:]).keys.filter { !plain.contains($0) }
    }

    @Sendable static func volume(_ volume: JSON, _ faults: inout Faults) {
        let spec = volume["spec"] ?? [:]
        checkModes("spec", spec["accessModes"], &faults)
        let capacity = spec["capacity"]?.object ?? [:]
        if capacity.isEmpty { faults.required("spec.capacity") }
        if !capacity.isEmpty, capacity["storage"] == nil || capacity.count > 1 {
            faults.notSupported("spec.capacity", spec["capacity"] ?? .null, ["storage"])
        }
        for (name, amount) in capacity {
            if let value = Quantity(amount), value.milli <= 0 {
                faults.invalid("spec.capacity[\(name)]", amount, "must be greater than zero")
            }
        }
        let sources = source(spec)
        if sources.isEmpty { faults.required("spec", "must specify a volume type") }
        for extra in sources.dropFirst() {
            faults.forbidden("spec.\(extra)", "may not specify more than 1 volume type")
        }
        for (source, field) in [
            ("hostPath", "path"), ("local", "path"), ("nfs", "server"), ("nfs", "path"), ("csi", "driver"),
            ("csi", "volumeHandle"),
        ] where spec[source] != nil && (spec[source]?[field]?.string ?? "").isEmpty {
            faults.required("spec.\(source).\(field)")
        }
        if spec["local"] != nil, spec["nodeAffinity", "required"] == nil {
            faults.required("spec.nodeAffinity", "Local volume requires node affinity")
        }
        if let name = spec["storageClassName"]?.string, !name.isEmpty {
            faults.name("spec.storageClassName", name, Names.subdomainFault)
        }
    }

    @Sendable static func volumeChange(_ volume: JSON, _ old: JSON, _ faults: inout Faults) {
        let (spec, before) = (volume["spec"] ?? [:], old["spec"] ?? [:])
        let sources = Set(source(spec) + source(before))
        if sources.contains(where: { spec[$0] != before[$0] }) {
            faults.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
        }
        faults.immutable("spec.volumeMode", spec["volumeMode"], before["volumeMode"])
        if before["nodeAffinity"] != nil {
            faults.immutable("spec.nodeAffinity", spec["nodeAffinity"], before["nodeAffinity"])
        }
    }

    // MARK: Classes and drivers

    @Sendable static func storageClass(_ object: JSON, _ faults: inout Faults) {
        let provisioner = object["provisioner"]?.string ?? ""
        if provisioner.isEmpty {
            faults.required("provisioner")
        } else {
            faults.name("provisioner", provisioner.lowercased(), Names.qualifiedNameFault)
        }
        for key in (object["parameters"]?.object ?? [:]).keys where key.isEmpty {
            faults.invalid("parameters", .string(key), "field can not be empty.")
        }
    }

    @Sendable static func storageClassChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        for field in ["parameters", "provisioner", "reclaimPolicy"] where object[field] != old[field] {
            faults.forbidden(field, "updates to \(field) are forbidden.")
        }
        faults.immutable("volumeBindingMode", object["volumeBindingMode"], old["volumeBindingMode"])
    }

    @Sendable static func attributesClass(_ object: JSON, _ faults: inout Faults) {
        if (object["driverName"]?.string ?? "").isEmpty { faults.required("driverName") }
        if (object["parameters"]?.object ?? [:]).isEmpty {
            faults.required("parameters", "must contain at least one key/value pair")
        }
    }

    @Sendable static func attributesClassChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        for field in ["driverName", "parameters"] where object[field] != old[field] {
            faults.forbidden(field, "updates to \(field) are forbidden.")
        }
    }

    @Sendable static func attachment(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        for field in ["attacher", "nodeName"] where (spec[field]?.string ?? "").isEmpty {
            faults.required("spec.\(field)")
        }
        let isNamed = !(spec["source", "persistentVolumeName"]?.string ?? "").isEmpty
        if isNamed == (spec["source", "inlineVolumeSpec"] != nil) {
            faults.required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
        }
    }

    /// For kinds whose spec never changes.
    @Sendable static func specChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("spec", object["spec"], old["spec"])
    }

    @Sendable static func capacity(_ object: JSON, _ faults: inout Faults) {
        let name = object["storageClassName"]?.string ?? ""
        if name.isEmpty {
            faults.required("storageClassName")
        } else {
            faults.name("storageClassName", name, Names.subdomainFault)
        }
    }

    @Sendable static func capacityChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        for field in ["nodeTopology", "storageClassName"] { faults.immutable(field, object[field], old[field]) }
    }
}

extension ResourceKind {
    /// The finalizer of claims and volumes that holds them for as long as they are used; nil for other kinds.
    public var useFinalizer: String? {
        switch self {
        case .persistentVolumeClaim: "kubernetes.io/pvc-protection"
        case .persistentVolume: "kubernetes.io/pv-protection"
        default: nil
        }
    }
}
