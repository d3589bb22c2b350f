import ArgumentParser
import MartletObject
import MartletRoutes

/// `martlet-bench routes`: how long the table of routes takes to follow a change.
struct RoutesBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routes",
        abstract: "Milliseconds from a changed object to the table that has it, among many hosts.",
        discussion: """
            Each host has an object and a Service of its own. As in an ingress, somebody holds the table before while \
            the next one is made. All hosts of HTTPRoutes belong to one Gateway. Nothing is sent.
            """)

    @Option(help: "Hosts; several with commas between them.") var hosts = "1,2000,20000"
    @Option(help: "Changes of each kind; their median and the worst are shown.") var changes = 200

    func run() throws {
        let counts = hosts.split(separator: ",").compactMap { Int($0) }
        guard !counts.isEmpty, counts.allSatisfy({ 1...200_000 ~= $0 }), 1...100_000 ~= changes else {
            throw ValidationError("hosts are numbers of 1 to 200000, changes 1 to 100000")
        }
        print("hosts    what changes             median ms     worst ms")
        for count in counts {
            for isGateway in [false, true] {
                var table = Tables(hosts: count, isGateway: isGateway)
                for kind in Tables.Kind.allCases where isGateway || kind != .gateway {
                    let times = (0..<changes).map { table.change(kind, $0) }.sorted()
                    let what = kind == .route ? (isGateway ? "HTTPRoute" : "Ingress") : kind.rawValue
                    let owner = kind == .pods ? (isGateway ? " of an HTTPRoute" : " of an Ingress") : ""
                    print(
                        String(count).padded(9) + (what + owner).padded(25) + times[times.count / 2].text.padded(14)
                            + times[times.count - 1].text)
                }
            }
        }
    }
}

/// A table of many hosts, and changes of it.
private struct Tables {
    enum Kind: String, CaseIterable {
        case route, pods
        case gateway = "Gateway"
    }

    private let hosts: Int
    private let isGateway: Bool
    private var builder = RouteBuilder()
    /// What a server holds while the next table is made.
    private var held = RouteTable()

    init(hosts: Int, isGateway: Bool) {
        self.hosts = hosts
        self.isGateway = isGateway
        let (controller, classSpec): (JSON, JSON) = (
            ["controllerName": "martlet.io/gateway"], ["controller": .string(IngressClasses.controllerName)]
        )
        builder.put(["metadata": ["name": "martlet"], "spec": controller], kind: .gatewayClass)
        builder.put(["metadata": ["name": "martlet"], "spec": classSpec], kind: .ingressClass)
        builder.put(Self.gateway(0), kind: .gateway)
        for number in 0..<hosts {
            builder.put(Self.service(number), kind: .service)
            builder.put(Self.slice(number, 1), kind: .endpointSlice)
            putRoute(number, path: "/")
        }
        builder.update()
        held = builder.table
    }

    /// Makes a change, and gives its time in milliseconds.
    mutating func change(_ kind: Kind, _ round: Int) -> Double {
        let number = round * 7919 % hosts
        let start = ContinuousClock.now
        switch kind {
        case .route: putRoute(number, path: "/\(round)")
        case .pods: builder.put(Self.slice(number, round % 250 + 1), kind: .endpointSlice)
        case .gateway: builder.put(Self.gateway(round), kind: .gateway)
        }
        builder.update()
        held = builder.table
        return (ContinuousClock.now - start) / .milliseconds(1)
    }

    private mutating func putRoute(_ number: Int, path: String) {
        let name: JSON = .string("h\(number)")
        let metadata: JSON = [
            "name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z",
        ]
        let host: JSON = .string("host-\(number).bench.example")
        if isGateway {
            let rule: JSON = [
                "matches": [["path": ["type": "PathPrefix", "value": .string(path)]]],
                "backendRefs": [["name": name, "port": 80]],
            ]
            let spec: JSON = ["parentRefs": [["name": "gw"]], "hostnames": [host], "rules": [rule]]
            builder.put(["metadata": metadata, "spec": spec], kind: .httpRoute)
        } else {
            let one: JSON = [
                "path": .string(path), "pathType": "Prefix",
                "backend": ["service": ["name": name, "port": ["number": 80]]],
            ]
            let rule: JSON = ["host": host, "http": ["paths": [one]]]
            builder.put(
                ["metadata": metadata, "spec": ["ingressClassName": "martlet", "rules": [rule]]], kind: .ingress)
        }
    }

    private static func gateway(_ round: Int) -> JSON {
        let host: JSON = .string("h\(round).other.example")
        let more: JSON = ["name": "more", "port": 80, "protocol": "HTTP", "hostname": host]
        let every: JSON = ["name": "http", "port": 80, "protocol": "HTTP"]
        return [
            "metadata": ["name": "gw", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"],
            "spec": ["gatewayClassName": "martlet", "listeners": [every, more]],
        ]
    }

    private static func service(_ number: Int) -> JSON {
        [
            "metadata": ["name": .string("h\(number)"), "namespace": "default"],
            "spec": ["clusterIP": "10.96.0.1", "ports": [["name": "http", "port": 80]]],
        ]
    }

    private static func slice(_ number: Int, _ pod: Int) -> JSON {
        [
            "metadata": [
                "name": .string("h\(number)-1"), "namespace": "default",
                "labels": ["kubernetes.io/service-name": .string("h\(number)")],
            ],
            "endpoints": [["addresses": [.string("10.0.0.\(pod)")]]], "ports": [["name": "http", "port": 8080]],
        ]
    }
}

extension Double {
    /// With three places.
    fileprivate var text: String {
        let thousandths = Int((self * 1000).rounded())
        return "\(thousandths / 1000)." + String(1000 + thousandths % 1000).dropFirst()
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(1, width - count))
    }
}
