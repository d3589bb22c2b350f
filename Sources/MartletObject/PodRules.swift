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
        PlacementRules.check(path, spec, &faults)
        PodNetworkRules.check(path, spec, &faults)
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
        SecurityRules.checkPod("\(path).securityContext", spec["securityContext"] ?? [:], &faults)
    }

    /// What a new pod must not have: ephemeral containers are added to a pod that is there, and gates keep it from
    /// any node.
    @Sendable static func checkNew(_ pod: JSON, _ faults: inout Faults) {
        if !(pod["spec", "ephemeralContainers"]?.array ?? []).isEmpty {
            faults.forbidden("spec.ephemeralContainers", "cannot be set on create")
        }
        let isGated = !(pod["spec", "schedulingGates"]?.array ?? []).isEmpty
        if isGated, !(pod["spec", "nodeName"]?.string ?? "").isEmpty {
            faults.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
        }
    }

    /// What holds for a pod's status.
    @Sendable static func checkStatus(_ pod: JSON, _ old: JSON, _ faults: inout Faults) {
        let (quality, before) = (pod["status", "qosClass"] ?? "", old["status", "qosClass"] ?? "")
        if quality != before { faults.invalid("status.qosClass", quality, "Pod QOS is immutable") }
        for (list, field) in [("podIPs", "ip"), ("hostIPs", "ip")] {
            for (index, address) in (pod["status", list]?.array ?? []).enumerated() {
                faults.address("status.\(list)[\(index)].\(field)", address[field]?.string ?? "")
            }
        }
        if let address = pod["status", "podIP"]?.string, !address.isEmpty {
            faults.address("status.podIP", address)
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
