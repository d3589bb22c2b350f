import Glibc
import MartletBase
import MartletIO
import Testing

@testable import MartletPKI

@Suite("A cluster's PKI") struct ClusterPKITests {
    static let now = WallTime(seconds: 1_800_000_000)
    static let day: Duration = .seconds(86_400)

    /// Runs a test in a folder of its own.
    static func inFolder(_ work: (String) throws -> Void) throws {
        let random = UInt64.random(in: 0 ... .max)
        let folder = "/tmp/martlet-pki-\(String(random, radix: 16))"
        defer { try? Files.remove(folder) }
        try work(folder)
    }

    @discardableResult
    static func ensure(
        _ folder: String, at time: WallTime = now, names: [String] = [], addresses: [String] = ["10.96.0.1"]
    ) throws -> ClusterPKI {
        try ClusterPKI.ensure(directory: folder, nodeName: "node-1", names: names, addresses: addresses, now: time)
    }

    /// All files by their path below the folder.
    static func contents(_ folder: String) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in try Files.list(folder) where name != "etcd" { files[name] = try Files.read("\(folder)/\(name)") }
        for name in try Files.list("\(folder)/etcd") {
            files["etcd/\(name)"] = try Files.read("\(folder)/etcd/\(name)")
        }
        return files
    }

    static let names = [
        "ca", "front-proxy-ca", "etcd/ca", "apiserver", "apiserver-kubelet-client", "apiserver-etcd-client",
        "front-proxy-client", "etcd/server", "etcd/peer", "kubelet",
    ]

    @Test("a first start makes every file, with kubeadm's names and closed keys; a second one changes nothing")
    func firstAndSecondStart() throws {
        try Self.inFolder { folder in
            try Self.ensure(folder)
            let files = try Self.contents(folder)
            let expected = Self.names.flatMap { ["\($0).crt", "\($0).key"] } + ["sa.key", "sa.pub"]
            #expect(Set(files.keys) == Set(expected))
            for name in files.keys {
                var status = stat()
                #expect(stat("\(folder)/\(name)", &status) == 0)
                #expect(status.st_mode & 0o777 == (name.hasSuffix(".key") ? 0o600 : 0o644), "\(name)")
            }
            try Self.ensure(folder, at: Self.now + .seconds(200 * 86_400))
            #expect(try Self.contents(folder) == files)
        }
    }

    @Test("the certificates say what kubeadm's say")
    func subjects() throws {
        try Self.inFolder { folder in
            let pki = try Self.ensure(folder, names: ["api.example.com"])
            func info(_ name: String) throws -> CertificateInfo {
                try CertificateInfo(pem: try pki.keyPair(name).certificatePEM)
            }
            let server = try info("apiserver")
            #expect(server.commonName == "kube-apiserver")
            #expect(server.isServer && !server.isClient)
            #expect(server.issuerCommonName == "kubernetes")
            #expect(
                server.dnsNames == [
                    "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                    "kubernetes.default.svc.cluster.local", "localhost", "node-1", "api.example.com",
                ])
            #expect(server.addresses == ["127.0.0.1", "::1", "10.96.0.1"])
            #expect(server.notAfter == Self.now + .seconds(365 * 86_400))
            let agent = try info("apiserver-kubelet-client")
            #expect(agent.organizations == ["system:masters"])
            #expect(agent.isClient && !agent.isServer)
            let kubelet = try info("kubelet")
            #expect(kubelet.commonName == "system:node:node-1")
            #expect(kubelet.organizations == ["system:nodes"])
            #expect(kubelet.dnsNames.contains("node-1"))
            let peer = try info("etcd/peer")
            #expect(peer.isServer && peer.isClient)
            #expect(peer.issuerCommonName == "etcd-ca")
            #expect(try info("front-proxy-client").issuerCommonName == "front-proxy-ca")
            #expect(try info("ca").notAfter == Self.now + .seconds(3650 * 86_400))
            let service = try pki.serviceAccountKeys()
            #expect(try PrivateKey.matches(service.privateKeyPEM, publicKey: service.publicKeysPEM[0]))
        }
    }

    @Test("leaves are renewed in the last third of their life, with new keys; authorities stay")
    func renewal() throws {
        try Self.inFolder { folder in
            try Self.ensure(folder)
            let before = try Self.contents(folder)
            let later = Self.now + .seconds(250 * 86_400)
            let pki = try Self.ensure(folder, at: later)
            let after = try Self.contents(folder)
            let changed = Set(before.keys.filter { before[$0] != after[$0] })
            #expect(
                changed == Set(Self.names.filter { !$0.hasSuffix("ca") }.flatMap { ["\($0).crt", "\($0).key"] }))
            let info = try CertificateInfo(pem: try pki.keyPair("apiserver").certificatePEM)
            #expect(info.notAfter == later + .seconds(365 * 86_400))
        }
    }

    @Test("a name or address that is missing from a certificate renews it; IPv6 may be written as one likes")
    func newNames() throws {
        try Self.inFolder { folder in
            try Self.ensure(folder, addresses: ["10.96.0.1", "FD00:0:0::0001"])
            let before = try Self.contents(folder)
            try Self.ensure(folder, addresses: ["10.96.0.1", "fd00::1"])
            #expect(try Self.contents(folder) == before)
            let pki = try Self.ensure(folder, names: ["new.test"], addresses: ["10.96.0.1", "fd00::1"])
            let after = try Self.contents(folder)
            #expect(before.keys.filter { before[$0] != after[$0] }.sorted() == ["apiserver.crt", "apiserver.key"])
            #expect(try CertificateInfo(pem: pki.keyPair("apiserver").certificatePEM).dnsNames.contains("new.test"))
        }
    }

    @Test("leaves of an authority that is there no more are made anew")
    func newAuthority() throws {
        try Self.inFolder { folder in
            try Self.ensure(folder)
            let before = try Self.contents(folder)
            try Files.remove("\(folder)/front-proxy-ca.crt")
            try Files.remove("\(folder)/front-proxy-ca.key")
            try Self.ensure(folder)
            let after = try Self.contents(folder)
            let changed = before.keys.filter { before[$0] != after[$0] }.sorted()
            #expect(
                changed == [
                    "front-proxy-ca.crt", "front-proxy-ca.key", "front-proxy-client.crt", "front-proxy-client.key",
                ])
        }
    }

    @Test(
        "a member of a cluster makes no authority and no key of tokens, and says where to get them",
        arguments: ["ca", "front-proxy-ca", "etcd/ca", "sa"])
    func member(name: String) throws {
        try Self.inFolder { folder in
            func ensureMember() throws {
                _ = try ClusterPKI.ensure(
                    directory: folder, nodeName: "node-1", names: [], addresses: [], begins: false, now: Self.now)
            }
            let first = #expect(throws: PKIError.self) { try ensureMember() }
            #expect(first?.description.contains("martlet reset here and join again") == true)
            try Self.ensure(folder)
            try ensureMember()
            // As a torn write leaves it, and then as somebody who was told to remove it.
            try Files.write([], to: "\(folder)/\(name).key")
            let torn = #expect(throws: PKIError.self) { try ensureMember() }
            #expect(torn?.description.hasPrefix("\(folder)/\(name).key: ") == true)
            #expect(torn?.description.contains("folder pki of a master") == true)
            #expect(torn?.description.contains("remove") == false)
            try Files.remove("\(folder)/\(name).key")
            try Files.remove("\(folder)/\(name).\(name == "sa" ? "pub" : "crt")")
            let before = try Self.contents(folder)
            let gone = #expect(throws: PKIError.self) { try ensureMember() }
            #expect(gone?.description.contains("\(folder)/\(name).") == true)
            #expect(gone?.description.contains("folder pki of a master") == true)
            #expect(try Self.contents(folder) == before)
        }
    }

    @Test("an authority of a machine without its key that cannot be read is named", arguments: [0, 40, 300])
    func tornAuthority(bytes: Int) throws {
        try Self.inFolder { folder in
            let pki = try Self.ensure(folder)
            try Files.remove("\(folder)/ca.key")
            try Files.write(Array(pki.trusted("ca").prefix(bytes)), to: "\(folder)/ca.crt")
            let error = #expect(throws: PKIError.self) { try pki.trusted("ca") }
            #expect(error?.description.hasPrefix("\(folder)/ca.crt: ") == true)
            #expect(error?.description.contains("put it back") == true)
        }
    }

    @Test("a crash between a key and its certificate is mended by the next start")
    func crash() throws {
        try Self.inFolder { folder in
            try Self.ensure(folder)
            let key = try Files.read("\(folder)/kubelet.key")
            try Files.remove("\(folder)/kubelet.crt")
            try Files.remove("\(folder)/sa.pub")
            let pki = try Self.ensure(folder)
            #expect(try pki.keyPair("kubelet").privateKeyPEM == key)
            #expect(Files.exists("\(folder)/sa.pub"))
        }
    }

    @Test(
        "files that do not fit together are an error that names one, and stay as they are",
        arguments: [
            ("apiserver.key", "etcd/peer.key", "does not belong to apiserver.crt"),
            ("ca.key", "front-proxy-ca.key", "does not belong to ca.crt"),
            ("sa.pub", "ca.crt", "no public key"), ("apiserver.crt", "sa.pub", "no certificate"),
            ("ca.crt", "apiserver.key", "no certificate"), ("kubelet.key", "ca.crt", "no unencrypted private key"),
            ("ca.key", nil, "is missing while its certificate is there"),
            ("etcd/ca.crt", nil, "is missing while its key is there"), ("sa.key", nil, "is missing while sa.pub"),
        ])
    func broken(target: String, replacement: String?, text: String) throws {
        try Self.inFolder { folder in
            try Self.ensure(folder)
            if let replacement {
                try Files.write(try Files.read("\(folder)/\(replacement)"), to: "\(folder)/\(target)")
            } else {
                try Files.remove("\(folder)/\(target)")
            }
            let before = try Self.contents(folder)
            let error = #expect(throws: PKIError.self) { try Self.ensure(folder) }
            let description = error?.description ?? ""
            #expect(description.contains("\(folder)/\(target)"))
            #expect(description.contains(text), "\(description)")
            #expect(description.contains("put ") || description.contains("remove it"), "\(description)")
            #expect(try Self.contents(folder) == before)
        }
    }

    @Test("a pair that is not there is named")
    func missingPair() throws {
        try Self.inFolder { folder in
            let pki = ClusterPKI(directory: folder)
            let error = #expect(throws: PKIError.self) { try pki.authority("ca") }
            #expect(error?.description.hasPrefix("\(folder)/ca.crt is missing") == true)
        }
    }

    @Test("a kubeconfig holds a client certificate of its user, signed by the cluster's authority")
    func kubeconfig() throws {
        try Self.inFolder { folder in
            let pki = try Self.ensure(folder)
            let yaml = try pki.kubeconfig(
                user: "kubernetes-admin", groups: ["system:masters"], server: "https://127.0.0.1:6443",
                cluster: "kubernetes", now: Self.now)
            let lines = String(decoding: yaml, as: UTF8.self).split(separator: "\n").map {
                String($0.drop { $0 == " " })
            }
            func value(_ key: String) throws -> String {
                let line = try #require(lines.first { $0.hasPrefix("\(key): ") })
                return String(line.dropFirst(key.utf8.count + 2))
            }
            #expect(try value("server") == "\"https://127.0.0.1:6443\"")
            #expect(try value("current-context") == "\"kubernetes-admin@kubernetes\"")
            let authority = try #require(Base64.decode(try value("certificate-authority-data")))
            #expect(authority == (try pki.authority("ca").keyPair.certificatePEM))
            let certificate = try #require(Base64.decode(try value("client-certificate-data")))
            let info = try CertificateInfo(pem: certificate)
            #expect(info.commonName == "kubernetes-admin")
            #expect(info.organizations == ["system:masters"])
            #expect(info.isClient && !info.isServer)
            let read = try Certificate(pem: certificate)
            #expect(read.isSigned(by: try Certificate(pem: authority)))
            #expect(try read.has(key: try #require(Base64.decode(try value("client-key-data")))))
        }
    }

    @Test(
        "another make finds the certificates strictly right for what they are for",
        .enabled(if: ChildProcess.find("openssl") != nil),
        arguments: [
            ("apiserver", "ca", ["-purpose", "sslserver", "-verify_hostname", "kubernetes.default.svc"]),
            ("apiserver", "ca", ["-purpose", "sslserver", "-verify_ip", "::1"]),
            ("apiserver-kubelet-client", "ca", ["-purpose", "sslclient"]),
            ("front-proxy-client", "front-proxy-ca", ["-purpose", "sslclient"]),
            ("etcd/peer", "etcd/ca", ["-purpose", "sslclient", "-verify_ip", "10.96.0.1"]),
            ("etcd/server", "etcd/ca", ["-purpose", "sslserver"]),
            ("kubelet", "ca", ["-purpose", "sslserver", "-verify_hostname", "node-1"]),
        ])
    func openssl(leaf: String, authority: String, purpose: [String]) async throws {
        let world = try Reactor(name: "pki-test")
        let folder = "/tmp/martlet-pki-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
        defer { try? Files.remove(folder) }
        try Self.ensure(folder)
        let result = try await ChildProcess.run(
            try #require(ChildProcess.find("openssl")),
            ["verify", "-x509_strict", "-check_ss_sig", "-attime", "\(Self.now.seconds + 60)"] + purpose
                + ["-CAfile", "\(folder)/\(authority).crt", "\(folder)/\(leaf).crt"],
            in: world)
        #expect(String(decoding: result.output + result.errors, as: UTF8.self) == "\(folder)/\(leaf).crt: OK\n")
        world.shutdown()
    }

    @Test("names in a kubeconfig cannot break out of their quotes")
    func quoting() {
        #expect(Kubeconfig.quote("plain") == "\"plain\"")
        #expect(Kubeconfig.quote("a\"b\\c\nd\u{85}") == "\"a\\\"b\\\\c\\x0ad\\x85\"")
    }
}
