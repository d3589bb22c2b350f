internal import MartletBase

/// The cells of volumes and all that is about storage.
enum StorageCells {
    static let byKind: [String: @Sendable (JSON, WallTime) -> [JSON]] = [
        "persistentvolumes": volume, "persistentvolumeclaims": claim, "storageclasses.storage.k8s.io": storageClass,
        "volumeattachments.storage.k8s.io": attachment, "csidrivers.storage.k8s.io": driver,
        "csinodes.storage.k8s.io": node, "csistoragecapacities.storage.k8s.io": capacity,
        "volumeattributesclasses.storage.k8s.io": attributes,
    ]

    /// Access modes by their short names, in a fixed order.
    private static func modes(_ list: JSON?) -> JSON {
        let names = [
            ("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP"),
        ]
        let given = Set((list?.array ?? []).compactMap(\.string))
        return .string(names.filter { given.contains($0.0) }.map { $0.1 }.joined(separator: ","))
    }

    private static func phase(_ object: JSON) -> JSON {
        object.isTerminating ? "Terminating" : TableCells.text(object["status", "phase"])
    }

    /// The storage class: the old annotation first, as upstream.
    private static func className(_ object: JSON) -> JSON {
        .string(
            object.annotations["volume.beta.kubernetes.io/storage-class"] ?? object["spec", "storageClassName"]?.string
                ?? "")
    }

    @Sendable private static func volume(_ object: JSON, _ now: WallTime) -> [JSON] {
        let spec = object["spec"] ?? [:]
        let claim = spec["claimRef"].map { "\($0["namespace"]?.string ?? "")/\($0["name"]?.string ?? "")" } ?? ""
        return [
            TableCells.name(object), TableCells.text(spec["capacity", "storage"], or: "0"), modes(spec["accessModes"]),
            TableCells.text(spec["persistentVolumeReclaimPolicy"]), phase(object), .string(claim), className(object),
            TableCells.text(spec["volumeAttributesClassName"], or: "<unset>"),
            TableCells.text(object["status", "reason"]), TableCells.age(object, now),
            TableCells.text(spec["volumeMode"], or: "<unset>"),
        ]
    }

    @Sendable private static func claim(_ object: JSON, _ now: WallTime) -> [JSON] {
        let (spec, status) = (object["spec"] ?? [:], object["status"] ?? [:])
        let isBound = !(spec["volumeName"]?.string ?? "").isEmpty
        return [
            TableCells.name(object), phase(object), TableCells.text(spec["volumeName"]),
            isBound ? TableCells.text(status["capacity", "storage"], or: "0") : "",
            isBound ? modes(status["accessModes"]) : "", className(object),
            TableCells.text(spec["volumeAttributesClassName"], or: "<unset>"), TableCells.age(object, now),
            TableCells.text(spec["volumeMode"], or: "<unset>"),
        ]
    }

    private static func marked(_ object: JSON, _ annotation: String) -> JSON {
        .string(object.name + (object.annotations[annotation] == "true" ? " (default)" : ""))
    }

    @Sendable private static func storageClass(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            marked(object, "storageclass.kubernetes.io/is-default-class"), TableCells.text(object["provisioner"]),
            TableCells.text(object["reclaimPolicy"], or: "Delete"),
            TableCells.text(object["volumeBindingMode"], or: "Immediate"),
            .bool(object["allowVolumeExpansion"]?.bool ?? false), TableCells.age(object, now),
        ]
    }

    @Sendable private static func attachment(_ object: JSON, _ now: WallTime) -> [JSON] {
        let spec = object["spec"] ?? [:]
        return [
            TableCells.name(object), TableCells.text(spec["attacher"]),
            TableCells.text(spec["source", "persistentVolumeName"]), TableCells.text(spec["nodeName"]),
            .bool(object["status", "attached"]?.bool ?? false), TableCells.age(object, now),
        ]
    }

    @Sendable private static func driver(_ object: JSON, _ now: WallTime) -> [JSON] {
        let spec = object["spec"] ?? [:]
        let modes = (spec["volumeLifecycleModes"]?.array ?? []).compactMap(\.string).joined(separator: ",")
        let audiences = spec["tokenRequests"]?.array?.map { $0["audience"]?.string ?? "" }.joined(separator: ",")
        return [
            TableCells.name(object), .bool(spec["attachRequired"]?.bool ?? true),
            .bool(spec["podInfoOnMount"]?.bool ?? false), .bool(spec["storageCapacity"]?.bool ?? false),
            .string(audiences ?? "<unset>"), .bool(spec["requiresRepublish"]?.bool ?? false),
            .string(modes.isEmpty ? "<none>" : modes), TableCells.age(object, now),
        ]
    }

    @Sendable private static func node(_ object: JSON, _ now: WallTime) -> [JSON] {
        [TableCells.name(object), .int(TableCells.size(object["spec", "drivers"])), TableCells.age(object, now)]
    }

    @Sendable private static func capacity(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            TableCells.name(object), TableCells.text(object["storageClassName"]),
            TableCells.text(object["capacity"], or: "<unset>"),
        ]
    }

    @Sendable private static func attributes(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            marked(object, "volumeattributesclass.kubernetes.io/is-default-class"),
            TableCells.text(object["driverName"]), TableCells.age(object, now),
        ]
    }
}
