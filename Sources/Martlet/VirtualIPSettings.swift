internal import MartletBase
internal import MartletObject

/// The virtual addresses that the masters with an edge hold in turn, and how they agree on it (VRRP).
public struct VirtualIPSettings: Sendable, Hashable {
    /// What the checksum of an IPv4 advertisement of version 3 covers.
    public enum Checksum: String, Sendable, CaseIterable {
        /// The message alone (RFC 9568).
        case message
        /// A pseudo-header, too, as keepalived has it unless told otherwise.
        case pseudoHeader = "pseudo-header"
    }

    /// The addresses, as `192.0.2.10/24`; none: there are no virtual addresses.
    public var addresses: [String] = []
    /// The number of the virtual router on its link, 1 to 255.
    public var routerID: UInt8 = 51
    /// How often the holder says that it lives, in milliseconds.
    public var intervalMilliseconds = 100
    /// The version of VRRP: 2 or 3.
    public var version: UInt8 = 3
    /// The form of the checksum that is sent.
    public var checksum = Checksum.message
    /// Whether a master takes the addresses from a holder of lower priority. Each move ends the connections that go
    /// through the holder, so that by default they stay where they are.
    public var preempts = false

    /// The device that holds them here; nil for that of the node's address.
    public var interface: String?
    /// This machine's priority, 1 to 255; nil: by its place among the names of the masters.
    public var priority: UInt8?
    /// The other masters' addresses, where the network carries no multicast.
    public var peers: [String] = []

    /// No virtual addresses.
    public init() {}

    /// The addresses without their lengths.
    public var plainAddresses: [String] { addresses.map { String($0.prefix { $0 != "/" }) } }

    /// Reads what ``json`` writes.
    init(reading json: JSON) throws {
        addresses = (json["addresses"]?.array ?? []).compactMap(\.string)
        func number<Number: FixedWidthInteger>(_ name: String, _ usual: Number) throws -> Number {
            guard let value = json[name]?.int else { return usual }
            guard let number = Number(exactly: value) else {
                throw ClusterError.unusable("its virtual IP has a wrong \(name)")
            }
            return number
        }
        routerID = try number("routerID", routerID)
        intervalMilliseconds = try number("intervalMilliseconds", intervalMilliseconds)
        version = try number("version", version)
        if let name = json["checksum"]?.string {
            guard let known = Checksum(rawValue: name) else {
                throw ClusterError.unusable("its virtual IP's checksum \(name) is not known to this release")
            }
            checksum = known
        }
        preempts = json["preempts"]?.bool ?? false
    }

    /// What all masters agree on; what is one machine's own is not in it.
    var json: JSON {
        [
            "addresses": .array(addresses.map { .string($0) }), "routerID": .int(Int64(routerID)),
            "intervalMilliseconds": .int(Int64(intervalMilliseconds)), "version": .int(Int64(version)),
            "checksum": .string(checksum.rawValue), "preempts": .bool(preempts),
        ]
    }

    /// The same without what is one machine's own.
    var shared: VirtualIPSettings {
        var shared = self
        shared.interface = nil
        shared.priority = nil
        shared.peers = []
        return shared
    }
}
