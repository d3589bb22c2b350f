internal import MartletObject

/// What of a Service its names follow from.
struct DNSServiceFacts: Sendable, Hashable {
    struct Port: Sendable, Hashable {
        var name: String
        var proto: String
        var number: UInt16
    }
    var addresses: [DNSAddress] = []
    var ports: [Port] = []
    var externalName: DNSName?
    var isHeadless = false
    var publishesNotReady = false

    init(_ service: JSON) {
        let spec = service["spec"] ?? .null
        publishesNotReady = spec["publishNotReadyAddresses"]?.bool ?? false
        if spec["type"]?.string == "ExternalName" {
            externalName = spec["externalName"]?.string.flatMap { DNSName($0) }
            return
        }
        let texts = spec["clusterIPs"]?.array?.compactMap(\.string) ?? [spec["clusterIP"]?.string ?? ""]
        isHeadless = texts.contains("None")
        addresses = texts.compactMap { DNSAddress($0) }
        ports = Self.ports(spec["ports"])
    }

    static func ports(_ json: JSON?) -> [Port] {
        (json?.array ?? []).compactMap { port in
            guard let number = port["port"]?.int.flatMap({ UInt16(exactly: $0) }) else { return nil }
            return Port(
                name: port["name"]?.string ?? "", proto: (port["protocol"]?.string ?? "TCP").lowercased(),
                number: number)
        }
    }
}

/// What of an EndpointSlice the names of its Service follow from.
struct DNSSliceFacts: Sendable, Hashable {
    struct Endpoint: Sendable, Hashable {
        /// The host's own label: its name, else its address with dashes.
        var label: String
        var isNamed: Bool
        var isReady: Bool
        var address: DNSAddress
    }
    var service: String
    var ports: [DNSServiceFacts.Port]
    var endpoints: [Endpoint]

    init?(_ slice: JSON) {
        guard let service = slice.labels["kubernetes.io/service-name"] else { return nil }
        self.service = service
        ports = DNSServiceFacts.ports(slice["ports"])
        endpoints = (slice["endpoints"]?.array ?? []).flatMap { endpoint -> [Endpoint] in
            let name = endpoint["hostname"]?.string ?? ""
            // What is not said counts as ready (discovery.k8s.io/v1).
            let isReady = endpoint["conditions", "ready"]?.bool ?? true
            return (endpoint["addresses"]?.array ?? []).compactMap(\.string).compactMap { text in
                DNSAddress(text).map {
                    Endpoint(
                        label: name.isEmpty ? DNSAddress.label(text) : name, isNamed: !name.isEmpty, isReady: isReady,
                        address: $0)
                }
            }
        }
    }
}
