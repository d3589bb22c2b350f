import Foundation
import MartletBase
import MartletClient
import MartletIO
import MartletObject

/// A way to the backend that is measured: nginx, or a `martletd` with ingress and edge.
final class EdgeServer {
    enum Kind: String, CaseIterable {
        case nginx, martlet
        /// Martlet's edge, which goes to the backend itself.
        case direct
    }

    /// The ports of one run, all on loopback.
    struct Ports {
        /// What answers at the end: an nginx that knows one short page.
        var backend: UInt16
        /// HTTP, one hop before the backend.
        var ingress: UInt16
        /// HTTPS, one hop before the ingress.
        var edge: UInt16
        var api: UInt16
        var node: UInt16
    }

    let kind: Kind
    let ports: Ports
    private let folder: String
    private let world: Reactor
    private var processes: [ChildProcess] = []

    init(_ kind: Kind, ports: Ports, folder: String, world: Reactor) {
        (self.kind, self.ports, self.folder, self.world) = (kind, ports, folder, world)
    }

    /// Starts it with so many hosts that all lead to the backend; ready when the last of them answers.
    func start(hosts: Int, martletd: String) async throws {
        try Files.makeDirectory(folder)
        switch kind {
        case .nginx: try startNginx(hosts)
        case .martlet: try await startMartlet(hosts, martletd, [])
        // The backend is at an address of pods then.
        case .direct: try await startMartlet(hosts, martletd, ["--edge-direct", "--pod-cidr", "127.0.0.0/16"])
        }
        try await answers(Self.host(hosts - 1))
    }

    static func host(_ number: Int) -> String { "site-\(number).bench.example" }

    /// CPU seconds of all its processes, the backend not counted.
    var cpuSeconds: Double { processes.map { ProcessFigures.cpuSeconds($0.pid) }.reduce(0, +) }

    func stop() async {
        for process in processes { process.signal(SIGKILL) }
        for process in processes { _ = await process.wait() }
        processes = []
        try? Files.remove(folder)
    }

    private func spawn(_ name: String, _ program: String, _ arguments: [String]) throws {
        let log = ChildProcess.Output.file("\(folder)/\(name).log")
        processes.append(try ChildProcess(program, arguments, output: log, errors: log, in: world))
    }

    private func answers(_ host: String) async throws {
        let limit = world.now() + .seconds(120)
        while true {
            var missing: [String] = []
            for url in ["http://\(host):\(ports.ingress)/", "https://\(host):\(ports.edge)/"] {
                let result = try await ChildProcess.run(
                    "curl",
                    [
                        "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2",
                        "--connect-to", "::127.0.0.1:", url,
                    ], in: world)
                if String(decoding: result.output, as: UTF8.self) != "200" { missing.append(url) }
            }
            if missing.isEmpty { return }
            guard world.now() < limit else {
                throw BenchFailure(description: "\(kind.rawValue) does not answer at \(missing): logs in \(folder)")
            }
            try await world.sleep(for: .milliseconds(100))
        }
    }

    // MARK: nginx

    /// The page of the backend, the same for all.
    static func backend(port: UInt16, folder: String, in world: Reactor) throws -> ChildProcess {
        let page = String(repeating: "0123456789abcdef", count: 64)
        let text = """
            \(NginxText.head(folder, "backend"))
              server { listen 127.0.0.1:\(port) backlog=4096; location / { return 200 "\(page)"; } }
            }
            """
        try Files.write(Array(text.utf8), to: "\(folder)/backend.conf")
        return try ChildProcess("nginx", ["-c", "\(folder)/backend.conf", "-e", "stderr"], in: world)
    }

    private func startNginx(_ hosts: Int) throws {
        let names = (0..<hosts).map(Self.host)
        let ingress = NginxText.hop(
            folder, "ingress", listen: "127.0.0.1:\(ports.ingress)", to: ports.backend, names, tls: nil)
        let edge = NginxText.hop(
            folder, "edge", listen: "127.0.0.1:\(ports.edge) ssl", to: ports.ingress, names,
            tls: "\(folder)/../tls")
        for (name, text) in [("ingress", ingress), ("edge", edge)] {
            try Files.write(Array(text.utf8), to: "\(folder)/\(name).conf")
            try spawn(name, "nginx", ["-c", "\(folder)/\(name).conf", "-e", "stderr"])
        }
    }

    // MARK: Martlet

    private func startMartlet(_ hosts: Int, _ martletd: String, _ more: [String]) async throws {
        try spawn(
            "martletd", martletd,
            [
                "--config", "none", "--data-dir", "\(folder)/data", "--node-name", "bench", "--node-address",
                "127.0.0.1",
                "--api-address", "127.0.0.1:\(ports.api)", "--node-listen", "127.0.0.1:\(ports.node)",
                "--ingress-address", "127.0.0.1:\(ports.ingress)", "--edge-address", "127.0.0.1:\(ports.edge)",
                "--edge-http-address", "none", "--process-runtime", "--ephemeral", "--log-level", "warning",
            ] + more)
        let kubeconfig = "\(folder)/data/admin.kubeconfig"
        let limit = world.now() + .seconds(30)
        while (try? Files.read(kubeconfig)) == nil {
            guard world.now() < limit else { throw BenchFailure(description: "martletd does not start: \(folder)") }
            try await world.sleep(for: .milliseconds(50))
        }
        let credentials = try LoadCredentials(kubeconfig)
        let transport = MastersTransport([.ip("127.0.0.1", port: ports.api)], in: world, tls: credentials.tls)
        transport.start()
        defer { transport.stop() }
        let client = Client(transport: transport, in: world)
        try await client.makeSites(hosts, backend: ports.backend, tls: "\(folder)/../tls")
    }
}

extension Client {
    /// The objects that lead hosts to a backend on loopback: a Service without pods, its slice, an Ingress for each.
    fileprivate func makeSites(_ hosts: Int, backend: UInt16, tls: String) async throws {
        for attempt in 0... {
            do {
                _ = try await create(
                    .service,
                    [
                        "metadata": ["name": "site", "namespace": "default"],
                        "spec": ["ports": [["port": 80, "targetPort": .int(Int64(backend))]]],
                    ])
                break
            } catch  where attempt < 200 {
                try await Task.sleep(nanoseconds: 50_000_000)
            }
        }
        _ = try await create(
            .endpointSlice,
            [
                "metadata": [
                    "name": "site", "namespace": "default", "labels": ["kubernetes.io/service-name": "site"],
                ],
                "addressType": "IPv4", "ports": [["name": "", "port": .int(Int64(backend)), "protocol": "TCP"]],
                "endpoints": [["addresses": ["127.0.0.1"], "conditions": ["ready": true]]],
            ])
        func text(_ name: String) throws -> JSON { .string(Base64.encode(try Files.read("\(tls)/\(name)"))) }
        _ = try await create(
            .secret,
            [
                "metadata": ["name": "site", "namespace": "default"], "type": "kubernetes.io/tls",
                "data": ["tls.crt": try text("tls.crt"), "tls.key": try text("tls.key")],
            ])
        for number in 0..<hosts {
            let host = JSON.string(EdgeServer.host(number))
            let backend: JSON = ["service": ["name": "site", "port": ["number": 80]]]
            let path: JSON = ["path": "/", "pathType": "Prefix", "backend": backend]
            _ = try await create(
                .ingress,
                [
                    "metadata": ["name": .string("site-\(number)"), "namespace": "default"],
                    "spec": [
                        "tls": [["hosts": [host], "secretName": "site"]],
                        "rules": [["host": host, "http": ["paths": [path]]]],
                    ],
                ])
        }
    }
}

/// nginx's configuration, as a careful operator would write it for speed: one worker, connections kept, nothing logged.
enum NginxText {
    static func head(_ folder: String, _ name: String) -> String {
        """
        daemon off;
        master_process off;
        pid \(folder)/\(name).pid;
        events { worker_connections 8192; }
        http {
          access_log off;
          keepalive_requests 1000000000;
          client_body_temp_path \(folder)/\(name)-body;
          proxy_temp_path \(folder)/\(name)-proxy;
          fastcgi_temp_path \(folder)/\(name)-fastcgi;
          uwsgi_temp_path \(folder)/\(name)-uwsgi;
          scgi_temp_path \(folder)/\(name)-scgi;
          server_names_hash_bucket_size 128;
          server_names_hash_max_size 65536;
        """
    }

    /// One hop: a server for each name, as ingress-nginx writes it, and all to one place.
    static func hop(
        _ folder: String, _ name: String, listen: String, to port: UInt16, _ names: [String], tls: String?
    ) -> String {
        let certificate = tls.map {
            """
              ssl_certificate \($0)/tls.crt;
              ssl_certificate_key \($0)/tls.key;
              ssl_protocols TLSv1.2 TLSv1.3;
              ssl_session_cache shared:ssl:10m;

            """
        }
        let servers = names.enumerated().map { index, host in
            """
              server {
                listen \(listen)\(index == 0 ? " backlog=4096" : "");
                server_name \(host);
                location / { proxy_pass http://next; }
              }
            """
        }
        return """
            \(head(folder, name))
            \(certificate ?? "")
              upstream next { server 127.0.0.1:\(port); keepalive 256; keepalive_requests 1000000000; }
              proxy_http_version 1.1;
              proxy_set_header Connection "";
              proxy_set_header Host $host;
              proxy_set_header X-Request-ID $request_id;
              proxy_set_header X-Real-IP $remote_addr;
              proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
              proxy_set_header X-Forwarded-Host $http_host;
              proxy_set_header X-Forwarded-Proto $scheme;
            \(servers.joined(separator: "\n"))
            }
            """
    }
}
