internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes
internal import Synchronization

/// The ingress' short cut for the requests of one connection: those that their route only passes on.
final class IngressLane: PlainWay {
    private let ingress: Ingress
    private let peer: Peer
    private let address: IPAddress?
    private let introduction: Mutex<Introduction>

    init(of peer: Peer, through ingress: Ingress) {
        self.ingress = ingress
        self.peer = peer
        address = peer.address
        introduction = Mutex(Introduction(of: peer))
    }

    func choose(_ request: PlainRequest, at now: MonotonicTime, adding lines: inout [UInt8]) -> PlainChoice? {
        if request.hasHost(Self.health) { return nil }
        let proto = isTrusted(at: now) ? request.field("x-forwarded-proto") : nil
        if proto == nil, Introduction.isClaimed(by: request) { return nil }
        let isSecure = proto.map { $0 == "https" } ?? peer.isSecure
        let found = request.withPlace { host, target in
            ingress.table.withLock {
                $0?.plainBackend(
                    host: host, target: target, isSecure: isSecure, PlainHead(request: request),
                    draw: ingress.world.random())
            }
        }
        guard let (route, backend) = found,
            var choice = ingress.router.forwarder.plainChoice(
                of: backend.endpoints, named: backend.service, route.policy.timeouts, route)
        else { return nil }
        let id = RequestID.add(to: &lines, unlessIn: request, ingress.world)
        // What an edge of ours says is sent on as it stands.
        if proto == nil { introduction.withLock { $0.add(to: &lines, for: request) } }
        if ingress.traffic.isLogging {
            let client = proto == nil ? nil : request.field("x-real-ip")
            choice.origin = ingress.traffic.begin(
                request, at: now, of: peer, speakingFor: client, newID: lines[id], by: route)
        }
        return choice
    }

    func answered(_ choice: PlainChoice, _ report: PlainReport) { ingress.traffic.end(choice, report) }

    private static let health = Array(WorkerHealth.host.utf8)

    private func isTrusted(at now: MonotonicTime) -> Bool {
        guard !peer.isBehindBalancer, let address else { return false }
        return ingress.trusted.withLock { $0.contains(address, at: now) }
    }
}

/// The edge's short cut for the requests of one connection of HTTP/1.1: they go to the pod whose turn it is where that
/// is within reach, and else to the ingress.
final class EdgeLane: PlainWay {
    private let edge: Edge
    private let peer: Peer
    private let ownHost: [UInt8]
    private let introduction: Mutex<Introduction>

    init(of peer: Peer, through edge: Edge) {
        self.edge = edge
        self.peer = peer
        ownHost = Array(edge.ownHost.utf8)
        introduction = Mutex(Introduction(of: peer))
    }

    func choose(_ request: PlainRequest, at now: MonotonicTime, adding lines: inout [UInt8]) -> PlainChoice? {
        guard !request.hasHost(ownHost), !Introduction.isClaimed(by: request),
            var choice = edge.plainChoice(for: request, isSecure: peer.isSecure)
        else { return nil }
        let id = RequestID.add(to: &lines, unlessIn: request, edge.world)
        introduction.withLock { $0.add(to: &lines, for: request) }
        if edge.traffic.isLogging {
            choice.origin = edge.traffic.begin(
                request, at: now, of: peer, newID: lines[id], by: choice.origin as? WebRoute)
        }
        return choice
    }

    func answered(_ choice: PlainChoice, _ report: PlainReport) { edge.traffic.end(choice, report) }
}

/// What the next hop is told of a client.
private struct Introduction {
    private let peer: Peer
    /// The lines, by the host that was asked for last: mostly it is the same.
    private var known: (host: [UInt8], lines: [UInt8]) = ([], [])

    init(of peer: Peer) { self.peer = peer }

    /// Whether a request says itself what only our own edges may. Who handles requests takes that off.
    static func isClaimed(by request: PlainRequest) -> Bool { request.hasAny(of: ProxyHeaders.claims) }

    mutating func add(to lines: inout [UInt8], for request: PlainRequest) {
        if !request.hasHost(known.host) {
            known = (request.hostBytes, [])
            for (name, value) in ProxyHeaders.told(of: peer, request.authority) {
                if let value { known.lines += "\(name.rawName): \(value)\r\n".utf8 }
            }
        }
        lines += known.lines
    }
}

extension RequestID {
    /// Adds the line that names a request, unless it has a name; where in `lines` the name is then.
    fileprivate static func add(
        to lines: inout [UInt8], unlessIn request: PlainRequest, _ world: any World
    ) -> Range<Int> {
        if request.has("x-request-id") { return 0..<0 }
        lines += "X-Request-ID: ".utf8
        let start = lines.count
        write(world, to: &lines)
        defer { lines += "\r\n".utf8 }
        return start..<lines.count
    }
}
