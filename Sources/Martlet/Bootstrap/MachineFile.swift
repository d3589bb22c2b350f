public import MartletBase
internal import MartletIO
internal import MartletObject
internal import MartletReplica

/// What this machine is in its cluster: `machine.json` in the data folder, written when it began or joined one.
public struct MachineFile: Sendable, Hashable {
    /// What it does.
    public var roles: Set<ClusterConfiguration.Role>
    /// Its name in the cluster.
    public var nodeName: String
    /// Where other machines reach it.
    public var nodeAddress: String
    /// Where its gateway listens.
    public var apiEndpoint: Endpoint
    /// Further names and addresses of its gateway.
    public var apiNames: [String] = []
    /// What the cluster is.
    public var cluster = ClusterSettings()
    /// Where its store listens for those of other masters; nil on workers.
    public var peerPort: UInt16?
    /// Where the masters' stores are that let this one in; empty on the first master and on workers.
    public var joins: [String] = []
    /// Where the masters' APIs are, as far as known; of use to machines without a gateway.
    public var masters: [Endpoint] = []
    /// Whether a snapshot is being restored here: cut short, the folder may be without a store.
    public var restores = false

    /// A machine of these roles; the rest has defaults.
    public init(roles: Set<ClusterConfiguration.Role>, nodeName: String, nodeAddress: String) {
        self.roles = roles
        self.nodeName = nodeName
        self.nodeAddress = nodeAddress
        apiEndpoint = .ip("0.0.0.0", port: 6443)
    }

    /// Where the cluster has virtual addresses its masters are edges: they hold them.
    public mutating func becomeEdgeForVirtualIPs() {
        if roles.contains(.gateway), !cluster.virtualIP.addresses.isEmpty { roles.insert(.edge) }
    }

    static func path(_ dataDirectory: String) -> String { dataDirectory + "/machine.json" }

    /// The file of a data folder; nil when there is none.
    /// - Throws: ``ClusterError`` naming the file.
    public init?(readingFrom dataDirectory: String) throws {
        let path = Self.path(dataDirectory)
        guard Files.exists(path) else { return nil }
        do {
            let json = try JSON(parsing: try Files.read(path))
            func text(_ name: String) throws -> String {
                guard let text = json[name]?.string else { throw ClusterError.unusable("it has no \(name)") }
                return text
            }
            func texts(_ name: String) -> [String] { (json[name]?.array ?? []).compactMap(\.string) }
            self.init(
                roles: Set(texts("roles").compactMap(ClusterConfiguration.Role.init)),
                nodeName: try text("nodeName"), nodeAddress: try text("nodeAddress"))
            if let endpoint = Self.endpoint(try text("api")) { apiEndpoint = endpoint }
            apiNames = texts("apiNames")
            cluster = try ClusterSettings(reading: json)
            peerPort = json["peerPort"]?.int.flatMap { UInt16(exactly: $0) }
            joins = texts("joins")
            masters = texts("masters").compactMap(Self.endpoint)
            restores = json["restores"] == true
        } catch {
            throw ClusterError.unusable("\(path): \(error); put it back, or begin anew after martlet reset")
        }
    }

    /// Writes the file.
    /// - Throws: ``ClusterError`` naming the file.
    public func write(to dataDirectory: String) throws {
        func list(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
        var json = cluster.json
        let machine: JSON = [
            "roles": list(roles.map(\.rawValue).sorted()), "nodeName": .string(nodeName),
            "nodeAddress": .string(nodeAddress), "api": .string("\(apiEndpoint)"), "apiNames": list(apiNames),
            "joins": list(joins), "masters": list(masters.map { "\($0)" }),
        ]
        for member in machine.members { json[member.key] = member.value }
        if let peerPort { json["peerPort"] = .int(Int64(peerPort)) }
        if restores { json["restores"] = true }
        let path = Self.path(dataDirectory)
        do { try Files.write(json.encoded() + [10], to: path) } catch {
            throw ClusterError.unusable("\(path): \(error)")
        }
    }

    /// `10.0.0.1:6443`, `[fd00::1]:6443`; nil for anything else.
    public static func endpoint(_ text: String) -> Endpoint? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        let address = text[..<colon].filter { $0 != "[" && $0 != "]" }
        return address.isEmpty ? nil : .ip(String(address), port: port)
    }

    /// An endpoint of this machine's API as others reach it: on loopback nobody else does. Where the masters hold a
    /// virtual address, one of them answers there while any does.
    public func published(_ endpoint: Endpoint) -> Endpoint {
        guard case .ip(let address, let port) = endpoint, address.hasPrefix("127.") || address == "::1" else {
            return endpoint
        }
        let virtual = cluster.virtualIP.addresses.first.map { String($0.prefix { $0 != "/" }) }
        return .ip(virtual ?? nodeAddress, port: port)
    }

    /// Sets what a configuration says to what this machine is.
    /// - Throws: ``ClusterError`` when a restore into this folder was cut short: a start would begin an empty cluster.
    public func apply(to configuration: inout ClusterConfiguration) throws(ClusterError) {
        if restores {
            throw .unusable(
                "the restore of a snapshot was cut short here: repeat martlet snapshot restore (what was there before "
                    + "is in the folder store.before-*)")
        }
        configuration.roles = roles
        configuration.nodeName = nodeName
        configuration.nodeAddress = nodeAddress
        configuration.apiEndpoint = apiEndpoint
        configuration.apiNames = apiNames
        cluster.apply(to: &configuration)
        configuration.masters = masters
        guard let peerPort else { return }
        let anywhere = nodeAddress.contains(":") ? "::" : "0.0.0.0"
        configuration.storePeers = PeerConfiguration(
            name: nodeName, listen: .ip(anywhere, port: peerPort),
            peerURLs: ["https://\(Endpoint.ip(nodeAddress, port: peerPort))"], clientURLs: [configuration.apiURL],
            bootstrap: joins.isEmpty
                ? .alone : .join(via: joins.compactMap(MasterWatch.endpoint), asLearner: false),
            security: nil)
    }
}
