/// What our own containerd is told, and the text of it (configuration version 2, containerd 1.6 and 1.7).
struct ContainerdConfig: Sendable, Hashable {
    /// Images and metadata.
    var root: String
    /// What lives as long as the machine runs.
    var state: String
    /// Where it listens.
    var socket: String
    /// The image of sandboxes.
    var sandboxImage = PauseImage.reference
    /// `overlayfs`, or `native` where the data folder's file system cannot be the upper half of an overlay.
    var snapshotter = "overlayfs"
    /// Whether `oom_score_adj` may only be raised (CAP_SYS_RESOURCE is missing).
    var restrictsOOMScore = false
    /// Whether profiles are left alone (AppArmor is absent).
    var disablesAppArmor = false
    /// Where CNI plugins are.
    var pluginDirectory: String
    /// Where the network's configuration is.
    var networkDirectory: String
    /// The longest record of a log, in bytes.
    var logLineLimit = 16_384

    /// Plugins that this machine's node does not use; some of them make folders or log errors at every start.
    static let disabledPlugins = [
        "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
        "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
        "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
        "io.containerd.tracing.processor.v1.otlp",
    ]

    /// The snapshotter that a configuration file names.
    static func snapshotter(in file: [UInt8]) -> String {
        String(decoding: file, as: UTF8.self).contains("\nsnapshotter = \"native\"\n") ? "native" : "overlayfs"
    }

    /// The configuration file.
    var text: String {
        let cri = ["plugins", "io.containerd.grpc.v1.cri"]
        var file = TOMLFile()
        file.set("version", .integer(2))
        file.set("root", .string(root))
        file.set("state", .string(state))
        file.set("disabled_plugins", .strings(Self.disabledPlugins))
        file.table(["grpc"])
        file.set("address", .string(socket))
        file.table(cri)
        file.set("sandbox_image", .string(sandboxImage))
        file.set("restrict_oom_score_adj", .bool(restrictsOOMScore))
        file.set("disable_apparmor", .bool(disablesAppArmor))
        file.set("max_container_log_line_size", .integer(logLineLimit))
        file.set("netns_mounts_under_state_dir", .bool(true))
        file.set("stream_server_address", .string("127.0.0.1"))
        file.set("stream_server_port", .string("0"))
        file.table(cri + ["containerd"])
        file.set("snapshotter", .string(snapshotter))
        file.set("default_runtime_name", .string("runc"))
        file.table(cri + ["containerd", "runtimes", "runc"])
        file.set("runtime_type", .string("io.containerd.runc.v2"))
        file.table(cri + ["containerd", "runtimes", "runc", "options"])
        file.set("SystemdCgroup", .bool(false))
        file.set("Root", .string(state + "/runc"))
        file.table(cri + ["cni"])
        file.set("bin_dir", .string(pluginDirectory))
        file.set("conf_dir", .string(networkDirectory))
        return file.text
    }
}

/// A TOML 1.0 file, written from typed values.
struct TOMLFile {
    /// A value.
    enum Value {
        case string(String)
        case integer(Int)
        case bool(Bool)
        case strings([String])
    }

    /// What was written so far.
    private(set) var text = ""

    /// Begins a table.
    mutating func table(_ path: [String]) {
        text += "\n[" + path.map(Self.quoted).joined(separator: ".") + "]\n"
    }

    /// Writes a member of the table.
    mutating func set(_ key: String, _ value: Value) {
        let right =
            switch value {
            case .string(let text): Self.quoted(text)
            case .integer(let number): "\(number)"
            case .bool(let flag): "\(flag)"
            case .strings(let list): "[" + list.map(Self.quoted).joined(separator: ", ") + "]"
            }
        text += "\(key) = \(right)\n"
    }

    /// A basic string: quotes, backslashes and control characters are escaped.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
