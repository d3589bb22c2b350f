import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import MartletPKI
import Testing

@testable import MartletNet

/// HTTP/2 from the client to the edge, and gRPC on to the pods.
@Suite("HTTP/2 from the edge to the pods", .timeLimit(.minutes(2))) struct HTTP2Tests {
    /// A gRPC service made of closures.
    struct Methods: GRPCService {
        var methods: [String: GRPCMethod]
        func method(at path: String) -> GRPCMethod? { methods[path] }

        static let sample = Methods(methods: [
            "/t.T/Echo": .unary { request, _ in request },
            "/t.T/Fail": .unary { _, _ in throw GRPCStatus(code: 5, message: "no such thing") },
            "/t.T/Who": .unary { _, context in
                Array("\(context.metadata["x-forwarded-proto"] ?? "-") \(context.metadata["token"] ?? "-")".utf8)
            },
            "/t.T/Each": .stream { call in
                call.setTrailers(["x-count": "all"])
                while let message = try await call.next() { try await call.send(message) }
            },
        ])
    }

    func client(_ net: TestNet, _ name: String = TestNet.fallbackName) throws -> HTTP2Client {
        HTTP2Client(
            endpoint: net.edge.endpoints[0], serverName: name, in: net.world,
            tls: try TLSClient(authoritiesPEM: TestNet.authority.get().keyPair.certificatePEM, alpn: ["h2"]))
    }

    func channel(_ net: TestNet, _ host: String) throws -> GRPCChannel {
        GRPCChannel(
            endpoint: net.edge.endpoints[0], authority: host, in: net.world,
            tls: try TLSClient(authoritiesPEM: TestNet.authority.get().keyPair.certificatePEM, alpn: ["h2"]))
    }

    /// A host with a certificate of its own, and a gRPC server behind it.
    func serveGRPC(
        _ net: TestNet, host: String, tls: TLSServer? = nil, annotation: String?, appProtocol: String? = nil
    ) async throws -> GRPCServer {
        let server = try await GRPCServer.start(
            on: .ip(net.address, port: 0), in: net.world, tls: tls, logger: Logger(label: "pod"),
            service: Methods.sample)
        let name = String(host.prefix { $0 != "." })
        net.api.put(.secret, Objects.secret("\(name)-tls", try TestNet.certificate(for: host)))
        var port: JSON = ["port": 80]
        if let appProtocol { port = port.merged(with: ["appProtocol": .string(appProtocol)]) }
        net.api.put(.service, Objects.service(name).merged(with: ["spec": ["ports": [port]]]))
        net.setPods(of: name, [server.endpoint])
        var ingress = Objects.ingress(name, host: host, tls: "\(name)-tls")
        if let annotation {
            ingress = ingress.merged(with: [
                "metadata": [
                    "annotations": ["nginx.ingress.kubernetes.io/backend-protocol": .string(annotation)]
                ]
            ])
        }
        net.api.put(.ingress, ingress)
        return server
    }

    /// Calls until it works: a change in the API takes its moment to arrive.
    func eventually(_ net: TestNet, _ call: () async throws -> Void) async throws {
        let end = net.world.now() + .seconds(10)
        while true {
            do { return try await call() } catch {
                guard net.world.now() < end else { throw error }
                try await net.world.sleep(for: .milliseconds(5))
            }
        }
    }

    @Test("a request of HTTP/2 reaches a pod of HTTP/1.1, whole, and its answer comes back")
    func plainPods() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                let body = (try? await request.body.collect(limit: 1 << 24)) ?? []
                return text(
                    "\(request.peer.isHTTP2) \(request.head.path ?? "") \(body.count) "
                        + "\(request.head.headerFields[ProxyHeaders.forwardedProto] ?? "")")
            }
            let secret = Objects.secret("web-tls", try TestNet.certificate(for: "web.test"))
            net.api.put(.secret, secret)
            net.serve("web.test", tls: "web-tls", [pod.endpoint])
            let own = try client(net, "web.test")
            try await eventually(net) {
                let head = HTTPRequest(method: .put, scheme: "https", authority: "web.test", path: "/a?b")
                let answer = try await own.send(head, body: .bytes([UInt8](repeating: 7, count: 1_000_000)))
                let got = String(decoding: try await answer.body.collect(limit: 1000), as: UTF8.self)
                if answer.head.status != .ok { throw NetworkError.closed }
                #expect(got == "false /a?b 1000000 https")
            }
            own.close()
        }
    }

    @Test("over one connection all hosts are served that its certificate is good for, and no others")
    func misdirected() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("pod") }
            let names = ["three.test", "four.test", "one.test"]
            let shared = try TestNet.certificate(for: "one.test", "three.test", "*.wild.test")
            net.api.put(.secret, Objects.secret("one-tls", shared))
            for name in ["two.test", "app.wild.test"] {
                let secret = String(name.prefix { $0 != "." }) + "-tls"
                net.api.put(.secret, Objects.secret(secret, try TestNet.certificate(for: name)))
                net.serve(name, tls: secret, [pod.endpoint])
            }
            for name in names { net.serve(name, tls: "one-tls", [pod.endpoint]) }
            let client = try client(net, "one.test")
            func ask(_ host: String) async throws -> Int {
                let head = HTTPRequest(method: .get, scheme: "https", authority: host, path: "/")
                let answer = try await client.send(head)
                _ = try await answer.body.collect(limit: 1000)
                return answer.head.status.code
            }
            try await eventually(net) { if try await ask("one.test") != 200 { throw NetworkError.closed } }
            #expect(try await ask("two.test") == 421, "its certificate is another")
            #expect(try await ask("ONE.test:443") == 200)
            #expect(try await ask("three.test") == 200, "the certificate names it")
            #expect(try await ask("app.wild.test") == 200, "the certificate covers it, though it has one of its own")
            #expect(try await ask("four.test") == 200, "another connection would be shown no other certificate")
            client.close()
        }
    }

    @Test(
        "gRPC works from the client to the pod: calls, streams, errors without a body, metadata",
        arguments: [("GRPC", nil), (nil, "kubernetes.io/h2c"), ("GRPCS", nil)] as [(String?, String?)])
    func gRPC(annotation: String?, appProtocol: String?) async throws {
        try await TestNet.run { net in
            var tls: TLSServer?
            if annotation == "GRPCS" {
                let pair = try TestNet.certificate(for: "anything")
                tls = try TLSServer(
                    identity: TLSIdentity(
                        certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM), alpn: ["h2"])
            }
            let server = try await serveGRPC(
                net, host: "rpc.test", tls: tls, annotation: annotation, appProtocol: appProtocol)
            let channel = try channel(net, "rpc.test")
            try await eventually(net) { _ = try await channel.unary("/t.T/Echo", [1], timeout: .seconds(5)) }
            let big = [UInt8](repeating: 9, count: 3_000_000)
            #expect(try await channel.unary("/t.T/Echo", big, timeout: .seconds(20)) == big)
            #expect(
                try await channel.unary("/t.T/Who", [], metadata: ["token": "abc"], timeout: .seconds(5))
                    == Array("https abc".utf8))
            for path in ["/t.T/Fail", "/t.T/Unknown"] {
                do {
                    _ = try await channel.unary(path, [], timeout: .seconds(5))
                    Issue.record("\(path) should fail")
                } catch let status as GRPCStatus {
                    #expect(status.code == (path == "/t.T/Fail" ? 5 : 12), "\(status)")
                }
            }
            let stream = try channel.stream("/t.T/Each")
            for number in 0..<50 {
                try await stream.send([UInt8(number)])
                #expect(try await stream.next() == [UInt8(number)])
            }
            stream.closeSend()
            #expect(try await stream.next() == nil)
            #expect(stream.metadata["x-count"] == "all")
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let message = Array("\(number)".utf8)
                        return try await channel.unary("/t.T/Echo", message, timeout: .seconds(20)) == message
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
            channel.close()
            await server.shutdown(grace: .zero)
        }
    }

    @Test("pods that speak HTTPS are reached, whatever their certificate")
    func securePods() async throws {
        try await TestNet.run { net in
            let pair = try TestNet.certificate(for: "anything")
            let tls = try TLSServer(
                identity: TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM))
            let pod = try await HTTPServer.start(
                on: .ip(net.address, port: 0), in: net.world, tls: tls, logger: Logger(label: "pod"),
                handler: Handler { text("\($0.head.scheme ?? "") \($0.head.authority ?? "")") })
            net.serve("web.test", [pod.endpoint])
            net.api.put(
                .ingress,
                Objects.ingress("web", host: "web.test").merged(with: [
                    "metadata": ["annotations": ["nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"]]
                ]))
            try await net.eventually("web.test") { $0.code == 200 && $0.body == "https web.test" }
            await pod.shutdown(grace: .zero)
        }
    }

    @Test("a client that gives a request up is heard at the pod")
    func resetsTravel() async throws {
        try await TestNet.run { net in
            let (begun, cancelled) = (Signal(), Signal())
            let pod = try await net.backend { _ in
                Response(
                    head: HTTPResponse(status: .ok),
                    body: .stream { writer in
                        begun.set()
                        do {
                            while true {
                                try await writer.write([1])
                                try await net.world.sleep(for: .milliseconds(5))
                            }
                        } catch {
                            cancelled.set()
                            throw error
                        }
                    })
            }
            net.api.put(.secret, Objects.secret("web-tls", try TestNet.certificate(for: "web.test")))
            net.serve("web.test", tls: "web-tls", [pod.endpoint])
            let client = try client(net, "web.test")
            let head = HTTPRequest(method: .get, scheme: "https", authority: "web.test", path: "/")
            try await eventually(net) {
                let answer = try await client.send(head)
                if answer.head.status != .ok { throw NetworkError.closed }
            }
            await begun.wait()
            await cancelled.wait()
            client.close()
        }
    }
}
