internal import Glibc
public import MartletBase
public import MartletCNI
internal import MartletIO
internal import MartletObject

/// The node's pod network as the container runtime sees it: a configuration that names the plugin `martlet-cni`, and
/// the folder of plugins.
public enum PodNetwork {
    /// Where Debian and the makers of the standard plugins put them.
    static let standardFolders = ["/usr/lib/cni", "/opt/cni/bin"]
    /// Without these there is no network.
    static let requiredPlugins = ["bridge", "host-local", "loopback", "portmap"]
    /// The families whose NAT tables the standard plugins use, as nft names them, and the program of each.
    static let families = [(name: "ip", program: "iptables"), (name: "ip6", program: "ip6tables")]
    /// A mark in the data folder: the family's table was not there when we came.
    static func natMark(_ family: String) -> String { "\(family)-nat-table-is-ours" }

    /// Writes the configuration; containerd reads it at once.
    /// - Throws: `Errno`.
    public static func write(_ config: NetworkConfig, to directory: String) throws(Errno) {
        try Files.makeDirectory(directory)
        try Files.update(directory + "/" + configurationName, to: config.list.encodedPretty())
    }

    /// The configuration's file.
    private static let configurationName = "10-martlet.conflist"

    /// Removes the configuration; containerd reads at once that there is none.
    static func remove(from directory: String) throws(Errno) {
        try Files.remove(directory + "/" + configurationName)
    }

    /// Fills a folder with links to the standard plugins and to ours.
    /// - Parameter plugin: our program; nil for the one beside the running program.
    /// - Throws: ``ContainerdError`` when one is missing, `Errno`.
    public static func linkPlugins(into directory: String, plugin: String? = nil) throws {
        try Files.makeDirectory(directory)
        var targets: [String: String] = [:]
        for folder in standardFolders.reversed() where Files.isDirectory(folder) {
            for name in try Files.list(folder) { targets[name] = "\(folder)/\(name)" }
        }
        if let missing = requiredPlugins.first(where: { targets[$0].map(Files.exists) != true }) {
            throw ContainerdError(
                "the CNI plugin \(missing) is missing: install the Debian package containernetworking-plugins")
        }
        let ours = plugin ?? besideUs(NetworkConfig.type)
        guard let ours, Files.exists(ours) else {
            throw ContainerdError("the program \(NetworkConfig.type) is not beside this one: install it there")
        }
        targets[NetworkConfig.type] = ours
        // Those that are right stay: a disk without room takes no new ones.
        for name in try Files.list(directory) where target(of: "\(directory)/\(name)") != targets[name] {
            try Files.remove("\(directory)/\(name)")
        }
        for (name, target) in targets where self.target(of: "\(directory)/\(name)") == nil {
            guard symlink(target, "\(directory)/\(name)") == 0 else { throw Errno(errno) }
        }
    }

    /// A program in the folder of the running one.
    static func besideUs(_ name: String) -> String? {
        target(of: "/proc/self/exe").map { folderName(of: $0) + "/" + name }
    }

    /// Where a link leads; nil for what is none.
    private static func target(of path: String) -> String? {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &target, target.count)
        guard count > 0 else { return nil }
        return String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Remembers whether the host had NAT tables before our plugins made them.
    static func noteTables(dataDirectory: String, in world: any World) async throws {
        guard let nft = ChildProcess.find("nft") else { return }
        let tables = try await ChildProcess.run(nft, ["list", "tables"], timeout: .seconds(10), in: world)
        guard tables.status == 0 else { return }
        let lines = String(decoding: tables.output, as: UTF8.self).split(separator: "\n")
        try Files.makeDirectory(dataDirectory)
        for family in families where !lines.contains("table \(family.name) nat") {
            try Files.update("\(dataDirectory)/\(natMark(family.name))", to: [])
        }
    }

    /// Removes what the plugins have left on the host: the bridge with its addresses and routes, the rules of our
    /// pods, results that the runtime keeps, and reservations. Absent is fine. The pods must be gone.
    public static func teardown(bridge: String, dataDirectory: String, in world: any World) async {
        if let ip = ChildProcess.find("ip") {
            _ = try? await ChildProcess.run(ip, ["link", "delete", bridge], timeout: .seconds(10), in: world)
        }
        let containers = reservedContainers(dataDirectory)
        for family in families {
            guard let program = ChildProcess.find(family.program) else { continue }
            await removeRules(of: containers, with: program, in: world)
            if Files.exists("\(dataDirectory)/\(natMark(family.name))") {
                await removeEmptyTable(family.name, program, in: world)
            }
        }
        removeResults(of: containers, dataDirectory: dataDirectory)
        try? Files.remove(dataDirectory)
    }

    /// The containers that still hold an address.
    private static func reservedContainers(_ dataDirectory: String) -> Set<String> {
        var result: Set<String> = []
        let networks = dataDirectory + "/networks"
        for network in (try? Files.list(networks)) ?? [] {
            for file in (try? Files.list("\(networks)/\(network)")) ?? [] {
                guard let bytes = try? Files.read("\(networks)/\(network)/\(file)") else { continue }
                let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
                if words.count == 2 { result.insert(String(words[0])) }
            }
        }
        return result
    }

    /// The standard plugins mark each rule with a comment that holds the container's id, and give it a chain of its
    /// own. A rule is deleted by its own text, with `-D` for `-A`.
    private static func removeRules(of containers: Set<String>, with iptables: String, in world: any World) async {
        guard !containers.isEmpty,
            let listed = try? await ChildProcess.run(
                iptables, ["-t", "nat", "-S"], timeout: .seconds(10), in: world)
        else { return }
        var chains: Set<String> = []
        for line in String(decoding: listed.output, as: UTF8.self).split(separator: "\n") {
            guard line.hasPrefix("-A "), containers.contains(where: { line.contains($0) }) else { continue }
            let words = Self.words(of: line)
            if let jump = words.firstIndex(of: "-j"), jump + 1 < words.count, words[jump + 1].hasPrefix("CNI-") {
                chains.insert(words[jump + 1])
            }
            _ = try? await ChildProcess.run(
                iptables, ["-t", "nat", "-D"] + words.dropFirst(), timeout: .seconds(10), in: world)
        }
        for chain in chains.sorted() {
            for verb in ["-F", "-X"] {
                _ = try? await ChildProcess.run(
                    iptables, ["-t", "nat", verb, chain], timeout: .seconds(10), in: world)
            }
        }
    }

    /// The words of a line as iptables prints it: blanks part them, quotes hold them together.
    static func words(of line: some StringProtocol) -> [String] {
        var words: [String] = []
        var word = ""
        var quoted = false
        var escaped = false
        for character in line {
            if escaped {
                word.append(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == "\"" {
                quoted.toggle()
            } else if character == " " && !quoted {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        if !word.isEmpty { words.append(word) }
        return words
    }

    /// Removes the NAT table when nothing but the plugins' own shared chains is in it.
    private static func removeEmptyTable(_ family: String, _ iptables: String, in world: any World) async {
        guard let nft = ChildProcess.find("nft"),
            let listed = try? await ChildProcess.run(
                iptables, ["-t", "nat", "-S"], timeout: .seconds(10), in: world), listed.status == 0
        else { return }
        let lines = String(decoding: listed.output, as: UTF8.self).split(separator: "\n")
        let foreign = lines.contains { !$0.hasPrefix("-P ") && !$0.contains("CNI-HOSTPORT-") }
        guard !foreign else { return }
        _ = try? await ChildProcess.run(nft, ["delete", "table", family, "nat"], timeout: .seconds(10), in: world)
    }

    /// libcni keeps the result of each attachment in a folder of the system; those of ours name our data folder, and
    /// the loopback's belong to the same containers.
    private static func removeResults(of containers: Set<String>, dataDirectory: String) {
        let folder = "/var/lib/cni/results"
        for name in (try? Files.list(folder)) ?? [] {
            let path = "\(folder)/\(name)"
            let isOurs =
                containers.contains { name.contains($0) }
                || (try? Files.read(path)).map { text in
                    NetworkConfig.cachedResult(text, isOf: dataDirectory)
                } ?? false
            if isOurs { try? Files.remove(path) }
        }
    }
}

extension NetworkConfig {
    /// Whether a result that libcni keeps (JSON with the configuration in base 64) belongs to a data folder.
    static func cachedResult(_ text: [UInt8], isOf dataDirectory: String) -> Bool {
        guard let json = try? JSON(parsing: text), json["networkName"]?.string == defaultName,
            let config = json["config"]?.string, let decoded = Base64.decode(config),
            let plugin = try? JSON(parsing: decoded)
        else { return false }
        return plugin["dataDir"]?.string == dataDirectory || plugin["plugins"]?[0]?["dataDir"]?.string == dataDirectory
    }
}
