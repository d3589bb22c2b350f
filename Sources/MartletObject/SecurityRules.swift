/// What holds for security contexts, of pods and of containers.
enum SecurityRules {
    private static let identifiers = 0...2_147_483_647

    /// A pod's context.
    static func checkPod(_ path: @autoclosure () -> String, _ context: JSON, _ faults: inout Faults) {
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            checkIdentifier("\(path()).\(field)", context[field], &faults)
        }
        for (index, group) in (context["supplementalGroups"]?.array ?? []).enumerated() {
            checkIdentifier("\(path()).supplementalGroups[\(index)]", group, &faults)
        }
        var names: Set<String> = []
        for (index, setting) in (context["sysctls"]?.array ?? []).enumerated() {
            let name = setting["name"]?.string ?? ""
            if name.isEmpty {
                faults.required("\(path()).sysctls[\(index)].name")
            } else if !names.insert(name).inserted {
                faults.duplicate("\(path()).sysctls[\(index)].name", .string(name))
            }
        }
        if let profile = context["seccompProfile"] { checkSeccomp("\(path()).seccompProfile", profile, &faults) }
    }

    /// A container's context.
    static func checkContainer(_ path: @autoclosure () -> String, _ context: JSON, _ faults: inout Faults) {
        for field in ["runAsUser", "runAsGroup"] { checkIdentifier("\(path()).\(field)", context[field], &faults) }
        if let profile = context["seccompProfile"] { checkSeccomp("\(path()).seccompProfile", profile, &faults) }
        guard context["allowPrivilegeEscalation"] == false else { return }
        if context["privileged"] == true {
            faults.invalid(path(), context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        }
        if context["capabilities", "add"]?.array?.contains("CAP_SYS_ADMIN") == true {
            faults.invalid(
                path(), context,
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
        }
    }

    private static func checkIdentifier(_ path: @autoclosure () -> String, _ value: JSON?, _ faults: inout Faults) {
        if let value, !identifiers.contains(value.int ?? 0) {
            faults.invalid(path(), value, "must be between 0 and 2147483647, inclusive")
        }
    }

    private static func checkSeccomp(_ path: @autoclosure () -> String, _ profile: JSON, _ faults: inout Faults) {
        let type = profile["type"]?.string ?? ""
        if type.isEmpty { faults.required("\(path()).type", "type is required when seccompProfile is set") }
        let file = profile["localhostProfile"]
        guard type == "Localhost" else {
            if let file {
                faults.invalid(
                    "\(path()).localhostProfile", file, "can only be set when seccomp type is Localhost")
            }
            return
        }
        guard let file else {
            return faults.required("\(path()).localhostProfile", "must be set when seccomp type is Localhost")
        }
        faults.descendingPath("\(path()).localhostProfile", file.string ?? "")
    }
}
