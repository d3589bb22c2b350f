internal import MartletBase
internal import MartletObject

/// What a proxied request's path names: `pods/[SCHEME:]NAME[:PORT]/proxy/PATH`, and the same of services and nodes.
struct ProxyTarget: Sendable, Hashable {
    /// `http` or `https`; empty for none.
    var scheme: String
    var name: String
    /// A number, or a port's name; empty for none.
    var port: String

    /// Nil when the name has another form.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch parts.count {
        case 1: (scheme, name, port) = ("", parts[0], "")
        case 2: (scheme, name, port) = ("", parts[0], parts[1])
        case 3: (scheme, name, port) = (parts[0], parts[1], parts[2])
        default: return nil
        }
        guard ["", "http", "https"].contains(scheme), !name.isEmpty else { return nil }
    }

    /// Parts a path at `proxy`: what comes before it, and the rest, which is the backend's and stays as it was sent.
    /// Nil when it is no proxy's.
    static func split(_ path: Substring) -> (own: Substring, rest: Substring)? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        // "", api, v1, namespaces, NAMESPACE, pods, NAME, proxy; or "", api, v1, nodes, NAME, proxy.
        guard parts.count > 5, parts[0].isEmpty, parts[1] == "api" else { return nil }
        let place: Int
        if parts[3] == "nodes", parts[5] == "proxy" {
            place = 5
        } else if parts[3] == "namespaces", parts.count > 7, parts[5] == "pods" || parts[5] == "services",
            parts[7] == "proxy"
        {
            place = 7
        } else {
            return nil
        }
        let end = parts[place].endIndex
        return (path[..<end], path[end...])
    }

    /// Where a pod listens: its first address, and the port that is named, or else its first one.
    func endpoint(of pod: JSON) throws(APIError) -> Endpoint {
        let address = pod["status", "podIP"]?.string ?? ""
        guard Self.isAllowed(address) else { throw .badRequest("address not allowed") }
        if let number = UInt16(port), number > 0 { return .ip(address, port: number) }
        var first: UInt16 = 80
        search: for container in pod["spec", "containers"]?.array ?? [] {
            for candidate in container["ports"]?.array ?? [] {
                guard let number = candidate["containerPort"]?.int.flatMap({ UInt16(exactly: $0) }) else { continue }
                if port.isEmpty || candidate["name"]?.string == port {
                    first = number
                    break search
                }
            }
        }
        return .ip(address, port: first)
    }

    /// Where a service's pods listen, by its endpoint slices: the ready ones of the named port, or of the nameless one.
    func endpoints(of service: JSON, _ slices: [JSON]) throws(APIError) -> [Endpoint] {
        var wanted = port
        let ports = service["spec", "ports"]?.array ?? []
        if let number = Int(port) {
            guard let found = ports.first(where: { $0["port"]?.int == number }) else {
                throw .unavailable("no service port \(number) found for service \"\(name)\"")
            }
            wanted = found["name"]?.string ?? ""
        }
        var found: [Endpoint] = []
        for slice in slices {
            let matching = (slice["ports"]?.array ?? []).first { ($0["name"]?.string ?? "") == wanted }
            guard let number = matching?["port"]?.int.flatMap({ UInt16(exactly: $0) }) else { continue }
            for endpoint in slice["endpoints"]?.array ?? [] where endpoint["conditions", "ready"]?.bool != false {
                guard let address = endpoint["addresses"]?[0]?.string, Self.isAllowed(address) else { continue }
                found.append(.ip(address, port: number))
            }
        }
        if found.isEmpty { throw .unavailable("no endpoints available for service \"\(name)\"") }
        return found
    }

    /// Whether a backend may have the address: not this host's own, nor one that is only good on a link or for many.
    static func isAllowed(_ address: String) -> Bool {
        if address.contains(":") {
            // A first group of nothing: loopback, or an IPv4 address in IPv6's clothes.
            let first = UInt16(address.prefix { $0 != ":" }, radix: 16) ?? 0
            return first != 0 && !(0xFE80...0xFEBF).contains(first) && first < 0xFF00
        }
        let octets = address.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) ?? 0 }
        guard octets.count == 4 else { return false }
        return octets[0] != 0 && octets[0] != 127 && octets[0] < 224 && !(octets[0] == 169 && octets[1] == 254)
    }
}
