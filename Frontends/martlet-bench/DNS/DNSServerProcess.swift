import Foundation
import MartletBase
import MartletIO

/// The Services of a bench, the same for every server.
enum DNSNames {
    static func name(_ number: Int) -> String { "service-\(number).default.svc.cluster.local" }
    static func address(_ number: Int) -> String {
        "10.\(96 + number / 62_500).\(number / 250 % 250).\(number % 250 + 1)"
    }
}

/// A DNS server that is measured: a child process on loopback.
struct DNSServerProcess {
    enum Kind: String, CaseIterable {
        case echo, martlet, dnsmasq, unbound

        /// Nil for this program itself.
        var program: String? {
            switch self {
            case .echo, .martlet: nil
            case .dnsmasq, .unbound: rawValue
            }
        }
    }

    let kind: Kind
    let port: UInt16
    private let process: ChildProcess
    private let world: Reactor

    init(_ kind: Kind, port: UInt16, names: Int, folder: String, world: Reactor) throws {
        (self.kind, self.port, self.world) = (kind, port, world)
        let log = ChildProcess.Output.file("\(folder)/\(kind.rawValue).log")
        var arguments: [String]
        switch kind {
        case .echo: arguments = ["dns-serve", "--port", "\(port)", "--echo"]
        case .martlet: arguments = ["dns-serve", "--port", "\(port)", "--names", "\(names)"]
        case .dnsmasq:
            let file = "\(folder)/dnsmasq.conf"
            try Files.write(Array(Self.dnsmasq(port, names).utf8), to: file)
            arguments = ["--keep-in-foreground", "--conf-file=\(file)", "--user=root"]
        case .unbound:
            let file = "\(folder)/unbound.conf"
            try Files.write(Array(Self.unbound(port, names).utf8), to: file)
            arguments = ["-d", "-c", file]
        }
        process = try ChildProcess(
            kind.program ?? "/proc/self/exe", arguments, output: log, errors: log, in: world)
    }

    private static func dnsmasq(_ port: UInt16, _ names: Int) -> String {
        let head = """
            port=\(port)
            listen-address=127.0.0.1
            bind-interfaces
            no-resolv
            no-hosts
            local=/cluster.local/
            local-ttl=5

            """
        return head + (0..<names).map { "host-record=\(DNSNames.name($0)),\(DNSNames.address($0))\n" }.joined()
    }

    private static func unbound(_ port: UInt16, _ names: Int) -> String {
        let head = """
            server:
              interface: 127.0.0.1
              port: \(port)
              do-daemonize: no
              use-syslog: no
              chroot: ""
              username: ""
              pidfile: ""
              num-threads: 1
              so-rcvbuf: 0
              module-config: "iterator"
              local-zone: "cluster.local." static

            """
        let records = (0..<names).map { "  local-data: \"\(DNSNames.name($0)). 5 IN A \(DNSNames.address($0))\"\n" }
        return head + records.joined() + "remote-control:\n  control-enable: no\n"
    }

    var cpuSeconds: Double { ProcessFigures.cpuSeconds(process.pid) }

    /// Waits until it answers for the last of the names.
    func ready() async throws {
        for _ in 0..<600 {
            if let stream = try? world.datagramStream(to: .ip("127.0.0.1", port: port), from: 0) {
                defer { stream.close() }
                let answer = try? await world.limited(to: .milliseconds(200), "an answer") {
                    try await stream.write(Self.question)
                    return try await stream.read(atMost: 4096)
                }
                // No error, or the question itself.
                if let answer, answer.count >= 12, answer[3] & 15 == 0 { return }
            }
            try await world.sleep(for: .milliseconds(100))
        }
        throw BenchFailure(description: "\(kind.rawValue) does not answer; its log is in the bench's folder")
    }

    private static let question: [UInt8] = {
        var bytes: [UInt8] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        for label in DNSNames.name(0).split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        return bytes + [0, 0, 1, 0, 1]
    }()

    func stop() async {
        process.signal(SIGKILL)
        _ = await process.wait()
    }
}
