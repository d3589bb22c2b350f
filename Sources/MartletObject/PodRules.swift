/// What holds for pods and the templates of pods.
enum PodRules {
    @Sendable static func check(_ pod: JSON, _ faults: inout Faults) {
        guard let spec = pod["spec"] else {
            faults.required("spec.containers")
            return
        }
        checkSpec("spec", spec, &faults)
    }

    static func checkSpec(_ path: String, _ spec: JSON, _ faults: inout Faults) {
        let volumes = VolumeRules.check("\(path).volumes", spec["volumes"]?.array ?? [], &faults)
        let containers = spec["containers"]?.array ?? []
        if containers.isEmpty { faults.required("\(path).containers") }
        var names: Set<String> = []
        var hostPorts: Set<String> = []
        for (list, isInit) in [("initContainers", true), ("containers", false)] {
            for (index, container) in (spec[list]?.array ?? []).enumerated() {
                let path = "\(path).\(list)[\(index)]"
                var rules = ContainerRules(path: path, container: container, volumes: volumes, isInit: isInit)
                rules.usesHostNetwork = spec["hostNetwork"]?.bool == true
                rules.neverRestarts = spec["restartPolicy"] == "Never"
                rules.check(&faults)
                rules.checkHostPorts(&hostPorts, &faults)
                let name = container["name"]?.string ?? ""
                if !name.isEmpty, !names.insert(name).inserted {
                    faults.duplicate("\(path).name", .string(name))
                }
            }
        }
        EphemeralContainerRules.check(path, spec, others: names, volumes: volumes, &faults)
        checkPlacement(path, spec, &faults)
        checkIdentity(path, spec, &faults)
    }

    private static func checkIdentity(_ path: String, _ spec: JSON, _ faults: inout Faults) {
        faults.notNegative("\(path).terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])
        if let deadline = spec["activeDeadlineSeconds"], !(1...2_147_483_647).contains(deadline.int ?? 1) {
            faults.invalid("\(path).activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
        }
        for (field, form) in [
            ("serviceAccountName", Names.subdomainFault), ("nodeName", Names.subdomainFault),
            ("schedulerName", Names.subdomainFault), ("hostname", Names.labelFault), ("subdomain", Names.labelFault),
        ] {
            let text = spec[field]?.string ?? ""
            if !text.isEmpty { faults.name("\(path).\(field)", text, form) }
        }
        if spec["dnsPolicy"] == "None", (spec["dnsConfig", "nameservers"]?.array ?? []).isEmpty {
            faults.required(
                "\(path).dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
        }
        let security = spec["securityContext"] ?? [:]
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            if let id = security[field], !(0...2_147_483_647).contains(id.int ?? 0) {
                faults.invalid("\(path).securityContext.\(field)", id, "must be between 0 and 2147483647, inclusive")
            }
        }
    }

    private static func checkPlacement(_ place: String, _ spec: JSON, _ faults: inout Faults) {
        faults.labels("\(place).nodeSelector", spec["nodeSelector"])
        for (index, toleration) in (spec["tolerations"]?.array ?? []).enumerated() {
            var path: String { "\(place).tolerations[\(index)]" }
            let key = toleration["key"]?.string ?? ""
            if !key.isEmpty { faults.name("\(path).key", key, Names.qualifiedNameFault) }
            let exists = toleration["operator"] == "Exists"
            if key.isEmpty, !exists {
                faults.invalid(
                    "\(path).operator", toleration["operator"] ?? "",
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\"")
            }
            if exists, !(toleration["value"]?.string ?? "").isEmpty {
                faults.invalid("\(path).operator", toleration, "value must be empty when `operator` is 'Exists'")
            }
            if toleration["tolerationSeconds"] != nil, toleration["effect"] != "NoExecute" {
                faults.invalid(
                    "\(path).effect", toleration["effect"] ?? "",
                    "effect must be 'NoExecute' when `tolerationSeconds` is set")
            }
        }
        for (index, constraint) in (spec["topologySpreadConstraints"]?.array ?? []).enumerated() {
            var path: String { "\(place).topologySpreadConstraints[\(index)]" }
            if (constraint["maxSkew"]?.int ?? 0) <= 0 {
                faults.invalid("\(path).maxSkew", constraint["maxSkew"] ?? 0, "must be greater than zero")
            }
            if (constraint["topologyKey"]?.string ?? "").isEmpty {
                faults.required("\(path).topologyKey", "can not be empty")
            }
            if constraint["whenUnsatisfiable"] == nil {
                faults.notSupported("\(path).whenUnsatisfiable", "", ["DoNotSchedule", "ScheduleAnyway"])
            }
        }
    }

    /// Ephemeral containers are added to a pod that is there.
    @Sendable static func checkNew(_ pod: JSON, _ faults: inout Faults) {
        if !(pod["spec", "ephemeralContainers"]?.array ?? []).isEmpty {
            faults.forbidden("spec.ephemeralContainers", "cannot be set on create")
        }
    }

    /// A pod's spec is fixed but for a few fields.
    @Sendable static func checkChange(_ pod: JSON, _ old: JSON, _ faults: inout Faults) {
        guard var spec = pod["spec"], let oldSpec = old["spec"] else { return }
        for list in ["containers", "initContainers"] {
            guard case .array(var containers) = spec[list], let oldContainers = oldSpec[list]?.array else { continue }
            if containers.count != oldContainers.count {
                faults.forbidden("spec.\(list)", "pod updates may not add or remove containers")
                return
            }
            for index in containers.indices { containers[index]["image"] = oldContainers[index]["image"] }
            spec[list] = .array(containers)
        }
        checkDeadline(spec["activeDeadlineSeconds"], oldSpec["activeDeadlineSeconds"], &faults)
        let tolerations = spec["tolerations"]?.array ?? []
        if (oldSpec["tolerations"]?.array ?? []).allSatisfy(tolerations.contains) {
            spec["tolerations"] = oldSpec["tolerations"]
        }
        if let grace = oldSpec["terminationGracePeriodSeconds"]?.int, grace < 0,
            spec["terminationGracePeriodSeconds"] == 1
        {
            spec["terminationGracePeriodSeconds"] = oldSpec["terminationGracePeriodSeconds"]
        }
        spec["activeDeadlineSeconds"] = oldSpec["activeDeadlineSeconds"]
        if spec != oldSpec {
            faults.forbidden(
                "spec",
                "pod updates may not change fields other than `spec.containers[*].image`,"
                    + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
                    + "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                    + "was previously negative)")
        }
    }

    private static func checkDeadline(_ new: JSON?, _ old: JSON?, _ faults: inout Faults) {
        guard let old = old?.int else { return }
        let path = "spec.activeDeadlineSeconds"
        guard let new, let seconds = new.int else {
            faults.invalid(path, .null, "must not update from a positive integer to nil value")
            return
        }
        if seconds > old {
            faults.invalid(path, new, "must be less than or equal to previous value")
        }
    }
}

/// What holds for volumes.
enum VolumeRules {
    /// Checks a pod's volumes and returns their names.
    static func check(_ list: String, _ volumes: [JSON], _ faults: inout Faults) -> Set<String> {
        var names: Set<String> = []
        for (index, volume) in volumes.enumerated() {
            var path: String { "\(list)[\(index)]" }
            let name = volume["name"]?.string ?? ""
            if name.isEmpty {
                faults.required("\(path).name")
            } else {
                faults.name("\(path).name", name, Names.labelFault)
                if !names.insert(name).inserted { faults.duplicate("\(path).name", .string(name)) }
            }
            checkSource(path, volume, &faults)
        }
        return names
    }

    private static func checkSource(_ path: @autoclosure () -> String, _ volume: JSON, _ faults: inout Faults) {
        let sources = (volume.object ?? [:]).keys.filter { $0 != "name" }
        if sources.isEmpty { faults.required(path(), "must specify a volume type") }
        for extra in sources.dropFirst() {
            faults.forbidden("\(path()).\(extra)", "may not specify more than 1 volume type")
        }
        for (source, field) in [
            ("secret", "secretName"), ("configMap", "name"), ("hostPath", "path"),
            ("persistentVolumeClaim", "claimName"), ("nfs", "server"), ("nfs", "path"), ("csi", "driver"),
        ] where volume[source] != nil && (volume[source]?[field]?.string ?? "").isEmpty {
            faults.required("\(path()).\(source).\(field)")
        }
        for source in ["secret", "configMap"] {
            for (index, item) in (volume[source]?["items"]?.array ?? []).enumerated() {
                for field in ["key", "path"] where (item[field]?.string ?? "").isEmpty {
                    faults.required("\(path()).\(source).items[\(index)].\(field)")
                }
            }
        }
        if let limit = volume["emptyDir", "sizeLimit"], let size = Quantity(limit), size.milli < 0 {
            faults.forbidden("\(path()).emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity")
        }
    }
}
