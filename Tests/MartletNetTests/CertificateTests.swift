import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject
import MartletPKI
import Testing

/// Which names the certificate that a client is shown is good for; asked over a new connection.
private func isShown(_ name: String, to host: String, _ net: TestNet) async -> Bool {
    // A client checks the name it asked for, so it can only ask for the one and expect the other by connecting.
    (try? await net.ask(host, through: net.client(name))) != nil
}

@Suite("Certificates at the edge") struct CertificateTests {
    @Test("a host is shown the certificate of its Secret, an unknown name the fallback")
    func byName() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("ok") }
            net.api.put(.secret, Objects.secret("cert", try TestNet.certificate(for: "web.test")))
            #expect(await !isShown("web.test", to: "web.test", net), "nothing names the Secret yet")
            net.serve("web.test", tls: "cert", [pod.endpoint])
            try await net.until { await isShown("web.test", to: "web.test", net) }
            // The ingress learns of the route by itself, maybe later.
            try await net.until { try await net.ask("web.test", through: net.client("web.test")).body == "ok" }
            #expect(await isShown(TestNet.fallbackName, to: "web.test", net))
            await #expect(throws: TLSError.self) { try await net.ask("web.test", through: net.client("other.test")) }
        }
    }

    @Test("a new certificate is shown to new connections, and open ones go on")
    func replaced() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("ok") }
            net.api.put(.secret, Objects.secret("cert", try TestNet.certificate(for: "web.test")))
            net.serve("web.test", tls: "cert", [pod.endpoint])
            try await net.until { await isShown("web.test", to: "web.test", net) }
            try await net.until { try await net.ask("web.test", through: net.client("web.test")).body == "ok" }
            let open = try await net.world.connect(to: net.edge.endpoints[0])
            let before = try await net.tls.connect(open, serverName: "web.test")
            // The new one is not for this host: that shows which one a client got.
            net.api.put(.secret, Objects.secret("cert", try TestNet.certificate(for: "renamed.test")))
            try await net.until { await !isShown("web.test", to: "web.test", net) }
            try await before.write(Array("GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n".utf8))
            var bytes: [UInt8] = []
            while let more = try? await before.read(atMost: 1024), !more.isEmpty { bytes += more }
            #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test("where only named Secrets may be read, each is read by its name, from the first table on")
    func named() async throws {
        let pair = try TestNet.certificate(for: "web.test")
        try await TestNet.run(
            secrets: .named,
            prepare: { api in
                api.refusesAllSecrets = true
                api.put(.secret, Objects.secret("cert", pair))
                api.put(.secret, Objects.secret("hidden", pair))
                api.put(.secret, Self.users)
                api.put(.service, Objects.service("web"))
                var guarded = Objects.ingress("web", host: "web.test", tls: "cert")
                guarded["metadata", "annotations"] = [
                    "nginx.ingress.kubernetes.io/auth-type": "basic",
                    "nginx.ingress.kubernetes.io/auth-secret": "users",
                ]
                api.put(.ingress, guarded)
            }
        ) { net in
            var bodies: [String] = []
            try await net.until {
                guard let answer = try? await net.ask("web.test", through: net.client("web.test")) else { return false }
                bodies.append(answer.body)
                return answer.code == 401
            }
            #expect(!bodies.contains { $0.contains("the route is closed") }, "its Secret was there before it")
            let pod = try await net.backend { _ in text("ok") }
            net.setPods(of: "web", [pod.endpoint])
            net.api.put(.secret, Objects.secret("cert", try TestNet.certificate(for: "renamed.test")))
            try await net.until { await !isShown("web.test", to: "web.test", net) }
            // A Secret that is not there yet, and one that nobody names any more.
            net.serve("late.test", tls: "late", [pod.endpoint])
            net.api.put(.secret, Objects.secret("late", try TestNet.certificate(for: "late.test")))
            try await net.until { await isShown("late.test", to: "late.test", net) }
            net.api.put(.ingress, Objects.ingress("late", host: "late.test"))
            try await net.until { await !isShown("late.test", to: "late.test", net) }
            #expect(!net.api.listedSecrets.contains { $0.hasSuffix("/hidden") })
            net.api.remove(.secret, namespace: "default", name: "users")
            try await net.until {
                try await net.ask("web.test", through: net.client(TestNet.fallbackName)).code == 503
            }
        }
    }

    /// The file of names and passwords of a Secret.
    private static let users: JSON = [
        "metadata": ["name": "users", "namespace": "default"],
        "data": ["auth": .string(Base64.encode(Array("jane:{SHA}x".utf8)))],
    ]

    @Test("a Gateway's listener for all hosts shows its certificate in place of the fallback, while it is there")
    func everyHost() async throws {
        try await TestNet.run { net in
            net.api.put(.secret, Objects.secret("every", try TestNet.certificate(for: "every.test")))
            net.api.put(
                .gatewayClass,
                ["metadata": ["name": "martlet"], "spec": ["controllerName": "martlet.io/gateway"]])
            let listener: JSON = [
                "name": "https", "port": 443, "protocol": "HTTPS", "tls": ["certificateRefs": [["name": "every"]]],
            ]
            net.api.put(
                .gateway,
                [
                    "metadata": ["name": "gw", "namespace": "default"],
                    "spec": ["gatewayClassName": "martlet", "listeners": [listener]],
                ])
            try await net.until { await isShown("every.test", to: "every.test", net) }
            #expect(await !isShown(TestNet.fallbackName, to: "web.test", net))
            net.api.remove(.gateway, namespace: "default", name: "gw")
            try await net.until { await isShown(TestNet.fallbackName, to: "web.test", net) }
        }
    }

    @Test("a Secret of rubbish harms no other host, and its own host keeps the certificate before")
    func rubbish() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("ok") }
            for name in ["web", "late"] {
                net.api.put(.secret, Objects.secret(name, try TestNet.certificate(for: "\(name).test")))
            }
            net.serve("web.test", tls: "web", [pod.endpoint])
            try await net.until { await isShown("web.test", to: "web.test", net) }
            let good = try TestNet.certificate(for: "web.test")
            let other = try TestNet.certificate(for: "web.test")
            let rubbish = [
                KeyPair(certificatePEM: Array("no PEM".utf8), privateKeyPEM: [0, 255]),
                KeyPair(certificatePEM: good.certificatePEM, privateKeyPEM: other.privateKeyPEM),
                KeyPair(certificatePEM: Array(good.certificatePEM.prefix(200)), privateKeyPEM: good.privateKeyPEM),
                KeyPair(certificatePEM: [], privateKeyPEM: []),
            ]
            for pair in rubbish {
                net.api.put(.secret, Objects.secret("web", pair))
                // That the other host comes and goes shows that the edge has taken the rubbish in.
                net.serve("late.test", tls: "late", [pod.endpoint])
                try await net.until { await isShown("late.test", to: "late.test", net) }
                #expect(await isShown("web.test", to: "web.test", net))
                net.api.remove(.ingress, namespace: "default", name: "late")
                try await net.until { await !isShown("late.test", to: "late.test", net) }
                #expect(await isShown("web.test", to: "web.test", net))
            }
        }
    }
}
