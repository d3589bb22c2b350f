internal import MartletBase
internal import MartletObject

/// The ports of Services that routes lead to, each in a slot of its own. Routes name slots, so that a pod that comes or
/// goes changes one slot and no route.
struct ServiceSlots: Sendable {
    /// A port of a Service, as a route names it.
    struct Key: Sendable, Hashable {
        /// `namespace/name`
        var service: String
        var port: Port

        enum Port: Sendable, Hashable {
            case number(Int)
            case name(String)

            var text: String {
                switch self {
                case .number(let number): String(number)
                case .name(let name): name
                }
            }
        }
    }

    private static let serviceLabel = "kubernetes.io/service-name"

    private var services: [String: JSON] = [:]
    /// The slices of each Service, by their names.
    private var slices: [String: [String: JSON]] = [:]
    /// The Service of each slice.
    private var owners: [ObjectKey: String] = [:]
    private(set) var backends: [Backend] = []
    private var keys: [Key?] = []
    private var uses: [Int] = []
    private var places: [Key: Int] = [:]
    private var byService: [String: Set<Int>] = [:]
    private var free: [Int] = []

    // MARK: Objects

    mutating func putService(_ object: JSON) {
        let name = "\(object.namespace)/\(object.name)"
        services[name] = object
        refresh(name)
    }

    mutating func removeService(_ name: String) {
        services[name] = nil
        refresh(name)
    }

    mutating func putSlice(_ object: JSON) {
        let key = ObjectKey(.endpointSlice, namespace: object.namespace, name: object.name)
        let owner = "\(object.namespace)/\(object.labels[Self.serviceLabel] ?? "")"
        if let before = owners[key], before != owner { removeSlice(key) }
        owners[key] = owner
        slices[owner, default: [:]][object.name] = object
        refresh(owner)
    }

    mutating func removeSlice(_ key: ObjectKey) {
        guard let owner = owners.removeValue(forKey: key) else { return }
        slices[owner]?[key.name] = nil
        if slices[owner]?.isEmpty == true { slices[owner] = nil }
        refresh(owner)
    }

    /// Why a port cannot be used; nil when it can.
    func fault(_ key: Key) -> String? {
        guard let service = services[key.service] else { return "service \"\(key.service)\" not found" }
        if service["spec", "type"]?.string == "ExternalName" {
            return "service \"\(key.service)\" is of type ExternalName, which is not supported"
        }
        return port(key) == nil ? "service \"\(key.service)\" does not have a port \(key.port.text)" : nil
    }

    // MARK: Slots

    /// The slot of a port, made when there is none. Whoever takes it gives it back by ``release(_:)``.
    mutating func take(_ key: Key) -> Int {
        if let place = places[key] {
            uses[place] += 1
            return place
        }
        let place = free.popLast() ?? backends.count
        if place == backends.count {
            backends.append(Backend(service: "", endpoints: []))
            keys.append(nil)
            uses.append(0)
        }
        keys[place] = key
        uses[place] = 1
        places[key] = place
        byService[key.service, default: []].insert(place)
        backends[place] = backend(key)
        return place
    }

    mutating func release(_ place: Int) {
        uses[place] -= 1
        guard uses[place] == 0, let key = keys[place] else { return }
        keys[place] = nil
        places[key] = nil
        byService[key.service]?.remove(place)
        if byService[key.service]?.isEmpty == true { byService[key.service] = nil }
        backends[place] = Backend(service: "", endpoints: [])
        free.append(place)
    }

    private mutating func refresh(_ service: String) {
        for place in byService[service] ?? [] {
            if let key = keys[place] { backends[place] = backend(key) }
        }
    }

    /// The port of a Service. One number may be a port of TCP and another one of UDP, before it or behind it.
    private func port(_ key: Key) -> JSON? {
        (services[key.service]?["spec", "ports"]?.array ?? []).first { port in
            guard port["protocol"]?.string ?? "TCP" == "TCP" else { return false }
            switch key.port {
            case .number(let number): return port["port"]?.int == number
            case .name(let name): return port["name"]?.string == name
            }
        }
    }

    private func backend(_ key: Key) -> Backend {
        var backend = Backend(service: key.service, endpoints: [])
        guard fault(key) == nil, let port = port(key) else { return backend }
        backend.endpoints = endpoints(key.service, portName: port["name"]?.string ?? "")
        switch port["appProtocol"]?.string {
        case "kubernetes.io/h2c": backend.protocolHint = .h2c
        case "kubernetes.io/wss", "https": backend.protocolHint = .https
        default: break
        }
        if let address = services[key.service]?["spec", "clusterIP"]?.string, IPAddress(address) != nil,
            let number = port["port"]?.int.flatMap({ UInt16(exactly: $0) })
        {
            backend.serviceEndpoint = .ip(address, port: number)
        }
        return backend
    }

    /// The ready endpoints; when there is none, those that still serve while they terminate (KEP-1669).
    private func endpoints(_ service: String, portName: String) -> [Endpoint] {
        var ready: [Endpoint] = []
        var leaving: [Endpoint] = []
        for slice in (slices[service] ?? [:]).sorted(by: { $0.key < $1.key }).map(\.value) {
            guard
                let number = slice["ports"]?.array?.first(where: { ($0["name"]?.string ?? "") == portName })?["port"]?
                    .int, let port = UInt16(exactly: number)
            else { continue }
            for endpoint in slice["endpoints"]?.array ?? [] {
                guard let address = endpoint["addresses"]?[0]?.string, IPAddress(address) != nil else { continue }
                let conditions = endpoint["conditions"] ?? .null
                if conditions["ready"]?.bool ?? true {
                    ready.append(.ip(address, port: port))
                } else if conditions["serving"]?.bool ?? false, conditions["terminating"]?.bool ?? false {
                    leaving.append(.ip(address, port: port))
                }
            }
        }
        // While a pod moves between slices it may be in two.
        var seen: Set<Endpoint> = []
        return (ready.isEmpty ? leaving : ready).filter { seen.insert($0).inserted }
    }
}
