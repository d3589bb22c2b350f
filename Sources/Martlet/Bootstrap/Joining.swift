internal import HTTPTypes
public import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletIO
internal import MartletObject
public import MartletPKI

/// Makes a machine part of a cluster: what `martlet init` and `martlet join` do before the daemon starts. Each may be
/// called again after it was cut short.
public struct Joining: Sendable {
    /// By how much clocks may differ.
    static let clockTolerance: Int64 = 240

    /// Where the machine's state goes.
    public var dataDirectory: String
    /// What the machine will be.
    public var machine: MachineFile

    /// A machine that is to be part of a cluster.
    public init(dataDirectory: String, machine: MachineFile) {
        self.dataDirectory = dataDirectory
        self.machine = machine
    }

    // MARK: A new cluster

    /// Makes the authorities of another tool's cluster those of the one that is about to begin.
    /// - Throws: ``ClusterError`` or `PKIError`.
    public func takeOver(_ foreign: ForeignPKI) throws {
        try refuseForeign(sameRoles: false)
        try ClusterPKI(directory: DataDirectory(preparing: dataDirectory).pki).install(foreign.files)
    }

    /// Begins a cluster of which this machine is the first master.
    /// - Returns: the pin of its authority.
    /// - Throws: ``ClusterError`` or `PKIError`.
    public func begin(in world: any World) throws -> String {
        try refuseForeign(sameRoles: false)
        try AddressPlan.check(nodeAddress: machine.nodeAddress, own: Machine.addresses)
        try checkPorts()
        try AddressPlan.check(
            podCIDR: machine.cluster.podCIDR, serviceCIDR: machine.cluster.serviceCIDR,
            routes: AddressPlan.machineRoutes())
        let data = try DataDirectory(preparing: dataDirectory)
        let pki = try ClusterPKI.ensure(
            directory: data.pki, nodeName: machine.nodeName, names: certificateNames,
            addresses: [machine.nodeAddress], now: world.wallTime())
        try machine.write(to: data.path)
        return try CertificateInfo.keyDigest(pem: pki.authority("ca").keyPair.certificatePEM)
    }

    /// The pin of the cluster whose authority has that certificate (PEM).
    /// - Throws: `PKIError`.
    public static func pin(ofAuthority pem: [UInt8]) throws -> String { try CertificateInfo.keyDigest(pem: pem) }

    // MARK: Joining

    /// Joins the cluster that one of its masters answers for at `endpoint`.
    /// - Throws: ``ClusterError``, `PKIError`, or what the API says.
    public func join(
        _ endpoint: Endpoint, _ token: JoinToken, as role: JoinToken.Role, in world: any World
    ) async throws {
        try refuseForeign(sameRoles: true)
        try AddressPlan.check(nodeAddress: machine.nodeAddress, own: Machine.addresses)
        try checkPorts()
        let authority = try await authority(endpoint, token, world)
        let host = if case .ip(let address, _) = endpoint { address } else { "localhost" }
        let trusting = try TLSClient(authoritiesPEM: authority)
        let http = HTTPClient(endpoint: endpoint, serverName: host, in: world, tls: trusting)
        let newcomer = Client(transport: BearerTransport(HTTPSTransport(http), token.bearer), in: world)
        let data = try DataDirectory(preparing: dataDirectory)
        let key = try joiningKey(data.path, world)
        var peerURL: JSON = .null
        if let port = machine.peerPort { peerURL = .string("https://\(Endpoint.ip(machine.nodeAddress, port: port))") }
        let answer: JSON
        do {
            answer = try await newcomer.ask(
                .post, "/martlet/v1/join",
                [
                    "role": .string(role.rawValue), "nodeName": .string(machine.nodeName), "key": .string(key),
                    "peerURL": peerURL,
                ])
        } catch let error as APIError where error.code == 401 {
            throw ClusterError.unusable(
                "the token is not known at \(endpoint), or has run out: make another one there with "
                    + "martlet token create --role \(role.rawValue)")
        }
        var machine = machine
        do { machine.cluster = try ClusterSettings(reading: answer) } catch {
            throw ClusterError.unusable(
                "what \(endpoint) says of its cluster: \(error); use the release that runs there")
        }
        machine.becomeEdgeForVirtualIPs()
        try AddressPlan.check(
            podCIDR: machine.cluster.podCIDR, serviceCIDR: machine.cluster.serviceCIDR,
            routes: AddressPlan.machineRoutes())
        machine.masters = (answer["masters"]?.array ?? []).compactMap { $0.string.flatMap(MasterWatch.endpoint) }
        if machine.masters.isEmpty { machine.masters = [endpoint] }
        let pki = ClusterPKI(directory: data.pki)
        if role == .master {
            machine.joins = (answer["peers"]?.array ?? []).compactMap(\.string)
            try pki.install(try opened(answer, token, key))
            _ = try ClusterPKI.ensure(
                directory: data.pki, nodeName: machine.nodeName, names: certificateNames,
                addresses: [machine.nodeAddress], begins: false, now: world.wallTime())
        } else {
            let trusted = answer["authorities"]?.string.flatMap { Base64.decode($0) } ?? authority
            try pki.install([("ca.crt", trusted)])
            let enrollment = Enrollment(
                pki: pki, nodeName: machine.nodeName, nodeAddress: machine.nodeAddress, world: world)
            try await enrollment.complete(newcomer: newcomer) { identity in
                let tls = try TLSClient(authoritiesPEM: trusted, identity: identity)
                return Client(
                    transport: HTTPSTransport(HTTPClient(endpoint: endpoint, serverName: host, in: world, tls: tls)),
                    in: world)
            }
        }
        // Last: a machine with this file is a member, and its daemon can start.
        try machine.write(to: data.path)
    }

    /// Refuses a folder that belongs to a machine already.
    private func refuseForeign(sameRoles: Bool) throws {
        guard let there = try MachineFile(readingFrom: dataDirectory) else {
            let pki = dataDirectory + "/pki/ca.crt"
            guard Files.exists(pki), !Files.exists(dataDirectory + "/joining.key"),
                Files.exists(dataDirectory + "/store")
            else { return }
            throw ClusterError.unusable(
                "\(dataDirectory) holds a cluster that was begun without martlet init: choose another --data-dir, or "
                    + "martlet reset it first")
        }
        let isSame = there.roles == machine.roles && there.nodeName == machine.nodeName
        // One that has not stored anything yet was cut short, or its daemon could not start: it begins again.
        if isSame, sameRoles || !Files.exists(dataDirectory + "/store") { return }
        throw ClusterError.unusable(
            "\(dataDirectory) is that of \(there.nodeName), which is part of a cluster already: start it with "
                + "martletd --data-dir \(dataDirectory), or martlet reset it first, which removes all its data")
    }

    /// The names that the API's certificate begins with, as ``ClusterConfiguration/leafSubjects`` has them.
    private var certificateNames: [String] {
        machine.apiNames + [ClusterPKI.apiService(in: machine.cluster.clusterDomain)]
    }

    /// A master's ports, before anything is written: later it would be the daemon that says so.
    private func checkPorts() throws {
        guard let peerPort = machine.peerPort, case .ip(let address, let apiPort) = machine.apiEndpoint else { return }
        for (port, flag) in [(apiPort, "--api-port"), (peerPort, "--peer-port")] {
            do { try Reactor.checkFree([.ip(address, port: port)]) } catch {
                throw ClusterError.unusable(
                    "port \(port) cannot be listened on (\(error)): end who has it (ss -ltnp), or choose another with "
                        + "\(flag)")
            }
        }
    }

    /// What tells this machine from others that show the same token, kept for when it has to begin again.
    private func joiningKey(_ directory: String, _ world: any World) throws -> String {
        let path = directory + "/joining.key"
        if let there = try? Files.read(path), there.count >= 32 { return String(decoding: there, as: UTF8.self) }
        let key = (0..<4).map { _ in String(world.random() | 1 << 63, radix: 16) }.joined()
        do { try Files.write(Array(key.utf8), to: path, mode: 0o600) } catch {
            throw ClusterError.unusable("\(path): \(error)")
        }
        return key
    }

    /// What all masters share, out of an answer.
    private func opened(_ answer: JSON, _ token: JoinToken, _ key: String) throws -> [(name: String, bytes: [UInt8])] {
        let sealing = Secrets.stretch(
            password: Array(token.secret.utf8), salt: Array(key.utf8), iterations: MasterDoor.stretches)
        guard let sealed = answer["sealed"]?.string.flatMap({ Base64.decode($0) }),
            let bytes = Secrets.open(sealed, key: sealing), let bundle = try? JSON(parsing: bytes)
        else {
            throw ClusterError.unusable("the master's answer cannot be opened with this token: copy the token whole")
        }
        return bundle.members.compactMap { member in
            member.value.string.flatMap { Base64.decode($0) }.map { (member.key, $0) }
        }
    }

    /// The authority of the token's pin, when the API at `endpoint` is known by it. Nothing secret is said before.
    private func authority(_ endpoint: Endpoint, _ token: JoinToken, _ world: any World) async throws -> [UInt8] {
        let host = if case .ip(let address, _) = endpoint { address } else { "localhost" }
        let stranger = HTTPClient(
            endpoint: endpoint, serverName: host, in: world, tls: try TLSClient(trustingAnyone: ()))
        defer { stranger.close() }
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/cacerts")
        let answer: (status: Int, date: String, bytes: [UInt8])
        do {
            answer = try await world.limited(to: .seconds(10), "\(endpoint)") {
                let response = try await stranger.send(request)
                return (
                    response.head.status.code, response.head.headerFields[.date] ?? "",
                    try await response.body.collect(limit: 1 << 20)
                )
            }
        } catch {
            throw ClusterError.unusable(
                "\(endpoint) does not answer (\(error)): give the address of a master that runs, as ADDRESS or "
                    + "ADDRESS:PORT (6443)")
        }
        let shown = PEM.blocks("CERTIFICATE", in: answer.bytes)
        let pins = shown.compactMap { try? CertificateInfo.keyDigest(pem: $0) }
        guard answer.status == 200, let first = pins.first, pins.count == shown.count else {
            throw ClusterError.unusable("\(endpoint) is no master of a Martlet cluster: give the address of one")
        }
        // Of several (a rotation is under way) only the one of the pin is believed: anybody could add others.
        guard let place = pins.firstIndex(of: token.pin) else {
            throw ClusterError.unusable(
                "the cluster at \(endpoint) is not the one that the token is of (its authority's pin is \(first), the "
                    + "token's \(token.pin)), or its authorities were rotated since: make a token there with "
                    + "martlet token create")
        }
        try checkClock(answer.date, world.wallTime(), endpoint)
        return shown[place]
    }

    /// Certificates would be refused for what is a wrong clock.
    private func checkClock(_ date: String, _ now: WallTime, _ endpoint: Endpoint) throws {
        guard let theirs = HTTPDate.seconds(date) else { return }
        let apart = now.seconds - theirs
        guard abs(apart) > Self.clockTolerance else { return }
        throw ClusterError.unusable(
            "this machine's clock is \(abs(apart)) seconds \(apart > 0 ? "ahead of" : "behind") that of \(endpoint): "
                + "set the clock (timedatectl set-ntp true) and join again")
    }
}

/// Shows a bearer token with every request.
struct BearerTransport: ClientTransport {
    private let inner: any ClientTransport
    private let token: String

    init(_ inner: any ClientTransport, _ token: String) {
        self.inner = inner
        self.token = token
    }

    func send(_ request: HTTPRequest, body: [UInt8]) async throws -> ClientResponse {
        var request = request
        request.headerFields[.authorization] = "Bearer \(token)"
        return try await inner.send(request, body: body)
    }
}

/// The `Date` of an answer (RFC 9110, 5.6.7).
enum HTTPDate {
    /// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since 1970; nil for anything else.
    static func seconds(_ text: String) -> Int64? {
        let words = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard words.count == 6, let month = months.firstIndex(of: String(words[2])) else { return nil }
        let number = month + 1
        let padded = number < 10 ? "0\(number)" : "\(number)"
        return WallTime(rfc3339: "\(words[3])-\(padded)-\(words[1])T\(words[4])Z")?.seconds
    }
}
