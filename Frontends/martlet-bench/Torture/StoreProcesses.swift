import Foundation
import MartletBase
import MartletEtcdClient
import MartletHTTP
import MartletIO
import MartletPKI

/// Members of one store as real processes on loopback, over TLS with client certificates.
final class StoreProcesses {
    /// One member.
    struct Member {
        var name: String
        var clientPort: UInt16
        var peerPort: UInt16
        var process: ChildProcess?
        var isStopped = false
    }

    private let program: String
    private let folder: String
    private let world: Reactor
    let authority: Authority
    private(set) var members: [Member] = []

    /// Prepares folders and certificates below `folder`; starts nothing.
    init(program: String, count: Int, folder: String, in world: Reactor) async throws {
        self.program = program
        self.folder = folder
        self.world = world
        let now = world.wallTime()
        authority = try Authority.make(commonName: "torture", lifetime: .seconds(86_400), now: now)
        try Files.write(authority.keyPair.certificatePEM, to: "\(folder)/ca.crt")
        for number in 0..<count {
            let name = "m\(number + 1)"
            var request = CertificateRequest(commonName: name)
            request.dnsNames = ["localhost", name]
            request.addresses = ["127.0.0.1"]
            request.isServer = true
            request.isClient = true
            let pair = try authority.issue(request, now: now)
            try Files.write(pair.certificatePEM, to: "\(folder)/\(name).crt")
            try Files.write(pair.privateKeyPEM, to: "\(folder)/\(name).key")
            members.append(Member(name: name, clientPort: try await freePort(), peerPort: try await freePort()))
        }
    }

    /// A client of each member, with a certificate of its own.
    func clients() throws -> [EtcdClient] {
        var request = CertificateRequest(commonName: "torture")
        request.isClient = true
        let pair = try authority.issue(request, now: world.wallTime())
        let identity = try TLSIdentity(
            certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM)
        return try members.map { member in
            let tls = try TLSClient(
                authoritiesPEM: authority.keyPair.certificatePEM, identity: identity, alpn: ["h2"])
            return EtcdClient(
                endpoint: .ip("127.0.0.1", port: member.clientPort), in: world, tls: tls, timeout: .seconds(5))
        }
    }

    private func freePort() async throws -> UInt16 {
        let listener = try await world.listen(on: .ip("127.0.0.1", port: 0))
        defer { listener.close() }
        guard case .ip(_, let port) = listener.endpoint else { throw NetworkError.badAddress("\(listener.endpoint)") }
        return port
    }

    /// Starts a member, or starts it again.
    func start(_ number: Int) throws {
        let member = members[number]
        let cluster = members.map { "\($0.name)=https://127.0.0.1:\($0.peerPort)" }.joined(separator: ",")
        let files = { (prefix: String) in
            [
                "--\(prefix)cert-file", "\(self.folder)/\(member.name).crt",
                "--\(prefix)key-file", "\(self.folder)/\(member.name).key",
                "--\(prefix)trusted-ca-file", "\(self.folder)/ca.crt",
            ]
        }
        members[number].process = try ChildProcess(
            program,
            [
                "--name", member.name, "--data-dir", "\(folder)/\(member.name)", "--initial-cluster", cluster,
                "--initial-cluster-token", "torture", "--listen-client", "https://127.0.0.1:\(member.clientPort)",
                "--listen-peer", "https://127.0.0.1:\(member.peerPort)", "--client-cert-auth",
            ] + files("") + files("peer-"),
            output: .file("\(folder)/\(member.name).log"), errors: .file("\(folder)/\(member.name).log"), in: world)
        members[number].isStopped = false
    }

    /// Kills a member's process, as a power failure would.
    func kill(_ number: Int) async {
        members[number].process?.signal(SIGKILL)
        _ = await members[number].process?.wait()
        members[number].process = nil
        members[number].isStopped = false
    }

    /// Lets a member's process stand still.
    func stop(_ number: Int) {
        members[number].process?.signal(SIGSTOP)
        members[number].isStopped = true
    }

    /// Lets it go on.
    func resume(_ number: Int) {
        members[number].process?.signal(SIGCONT)
        members[number].isStopped = false
    }

    /// Whether a member runs and does not stand still.
    func isUp(_ number: Int) -> Bool { members[number].process != nil && !members[number].isStopped }

    /// Kills all.
    func killAll() async {
        for number in members.indices { await kill(number) }
    }
}
