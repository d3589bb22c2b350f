/// What holds for a pod's volumes.
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
            ("ephemeral", "volumeClaimTemplate"),
        ] where volume[source] != nil && isMissing(volume[source]?[field]) {
            faults.required("\(path()).\(source).\(field)")
        }
        for source in ["secret", "configMap", "downwardAPI"] where volume[source] != nil {
            checkFiles("\(path()).\(source)", volume[source] ?? [:], needsKeys: source != "downwardAPI", &faults)
        }
        if let projected = volume["projected"] { checkProjected("\(path()).projected", projected, &faults) }
        if let place = volume["hostPath", "path"]?.string { faults.noBacksteps("\(path()).hostPath.path", place) }
        if let limit = volume["emptyDir", "sizeLimit"], let size = Quantity(limit), size.milli < 0 {
            faults.forbidden("\(path()).emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity")
        }
    }

    private static func isMissing(_ value: JSON?) -> Bool { value == nil || value == "" }

    private static func checkProjected(
        _ path: @autoclosure () -> String, _ projected: JSON, _ faults: inout Faults
    ) {
        faults.fileMode("\(path()).defaultMode", projected["defaultMode"])
        for (index, source) in (projected["sources"]?.array ?? []).enumerated() {
            var place: String { "\(path()).sources[\(index)]" }
            for extra in (source.object ?? [:]).keys.dropFirst() {
                faults.forbidden("\(place).\(extra)", "may not specify more than 1 volume type")
            }
            for kind in ["secret", "configMap", "downwardAPI"] where source[kind] != nil {
                checkFiles("\(place).\(kind)", source[kind] ?? [:], needsKeys: kind != "downwardAPI", &faults)
                if kind != "downwardAPI", isMissing(source[kind]?["name"]) { faults.required("\(place).\(kind).name") }
            }
            if let token = source["serviceAccountToken"] {
                checkToken("\(place).serviceAccountToken", token, &faults)
            }
        }
    }

    private static func checkToken(_ path: @autoclosure () -> String, _ token: JSON, _ faults: inout Faults) {
        if let seconds = token["expirationSeconds"]?.int {
            if seconds < 600 {
                faults.invalid(
                    "\(path()).expirationSeconds", .int(Int64(seconds)),
                    "may not specify a duration less than 10 minutes")
            } else if seconds > 1 << 32 {
                faults.invalid(
                    "\(path()).expirationSeconds", .int(Int64(seconds)),
                    "may not specify a duration larger than 2^32 seconds")
            }
        }
        checkFile("\(path()).path", token["path"]?.string ?? "", &faults)
    }

    /// The files that a volume makes of keys or of fields.
    private static func checkFiles(
        _ path: @autoclosure () -> String, _ source: JSON, needsKeys: Bool, _ faults: inout Faults
    ) {
        faults.fileMode("\(path()).defaultMode", source["defaultMode"])
        for (index, item) in (source["items"]?.array ?? []).enumerated() {
            var place: String { "\(path()).items[\(index)]" }
            if needsKeys, isMissing(item["key"]) { faults.required("\(place).key") }
            checkFile("\(place).path", item["path"]?.string ?? "", &faults)
            faults.fileMode("\(place).mode", item["mode"])
        }
    }

    /// A file's place must lie in the volume, and not look like the names that the node writes volumes under.
    private static func checkFile(_ path: @autoclosure () -> String, _ file: String, _ faults: inout Faults) {
        if file.isEmpty { return faults.required(path()) }
        faults.descendingPath(path(), file)
        if file.hasPrefix(".."), !file.hasPrefix("../") {
            faults.invalid(path(), .string(file), "must not start with '..'")
        }
    }
}

extension Faults {
    /// A path below another: relative, and without steps back.
    mutating func descendingPath(_ path: @autoclosure () -> String, _ text: String) {
        if text.hasPrefix("/") { invalid(path(), .string(text), "must be a relative path") }
        noBacksteps(path(), text)
    }

    mutating func noBacksteps(_ path: @autoclosure () -> String, _ text: String) {
        if text.utf8.contains(UInt8(ascii: ".")), text.split(separator: "/").contains("..") {
            invalid(path(), .string(text), "must not contain '..'")
        }
    }

    /// The rights of a file.
    mutating func fileMode(_ path: @autoclosure () -> String, _ mode: JSON?) {
        if let mode, let bits = mode.int, !(0...0o777).contains(bits) {
            invalid(path(), mode, "must be a number between 0 and 0777 (octal), both inclusive")
        }
    }
}
