import MartletBase
import MartletIO
import Testing

@testable import MartletPKI

@Suite("Taking over authorities of other tools") struct ForeignPKITests {
    static let now = ClusterPKITests.now

    /// A tree as kubeadm leaves it, and what reading it says.
    private func tree(_ change: (String) throws -> Void = { _ in }, at time: WallTime = now) throws -> String {
        var said = ""
        try ClusterPKITests.inFolder { folder in
            try ClusterPKITests.ensure(folder)
            try change(folder)
            do {
                let foreign = try ForeignPKI(readingFrom: folder, now: time)
                said = "good, without: \(foreign.missing.joined(separator: " "))"
            } catch { said = "\(error)".replacing(folder, with: "DIR") }
        }
        return said
    }

    private func authority(_ name: String, lifetime: Duration = .seconds(86_400)) throws -> KeyPair {
        try Authority.make(commonName: name, lifetime: lifetime, now: Self.now).keyPair
    }

    @Test func aTreeOfKubeadmIsTakenAsItIs() throws {
        try ClusterPKITests.inFolder { folder in
            let made = try ClusterPKITests.ensure(folder + "/kubernetes/pki", at: Self.now)
            let foreign = try ForeignPKI(readingFrom: folder + "/kubernetes", now: Self.now)
            let own = ClusterPKI(directory: folder + "/own")
            try own.install(foreign.files)
            try ClusterPKITests.ensure(folder + "/own")
            #expect(try own.sharedFiles().map(\.bytes) == made.sharedFiles().map(\.bytes))
            #expect(foreign.missing == [])
        }
    }

    @Test func whatNobodyElseKnowsMayBeMissing() throws {
        let said = try tree { folder in
            try Files.remove(folder + "/etcd")
            for file in ["front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub"] { try Files.remove("\(folder)/\(file)") }
        }
        #expect(said == "good, without: etcd/ca front-proxy-ca")
    }

    @Test func eachFaultSaysWhatToDo() throws {
        func swap(_ to: String, _ from: String) -> (String) throws -> Void {
            { try Files.write(try Files.read("\($0)/\(from)"), to: "\($0)/\(to)") }
        }
        let cases: [(String, String)] = [
            (try tree(swap("ca.key", "etcd/ca.key")), "DIR/ca.key is not the key of DIR/ca.crt"),
            (
                try tree(swap("ca.crt", "apiserver.crt")),
                "DIR/ca.crt is the certificate of kube-apiserver, no authority"
            ),
            (try tree(swap("etcd/ca.crt", "sa.pub")), "DIR/etcd/ca.crt: there is no certificate"),
            (try tree(swap("sa.pub", "apiserver.crt")), "DIR/sa.pub"),
            (try tree { try Files.remove($0 + "/ca.key") }, "an external CA is not supported"),
            (try tree { try Files.remove($0 + "/sa.key") }, "DIR/sa.key is missing"),
            (try tree { try Files.remove($0 + "/ca.crt") }, "give kubeadm's folder"),
            (try tree(at: Self.now + .seconds(11 * 365 * 86_400)), "DIR/ca.crt expired at"),
            (try tree(at: Self.now + .seconds(-3600)), "set the clock"),
        ]
        for (said, expected) in cases { #expect(said.contains(expected), "\(said)") }
        // All faults at once: one does not hide the others.
        let both = try tree { folder in
            try Files.remove(folder + "/etcd/ca.key")
            try Files.remove(folder + "/sa.key")
        }
        #expect(both.split(separator: "\n").count == 2)
        #expect(throws: PKIError.self) { try ForeignPKI(readingFrom: "/nonexistent", now: Self.now) }
    }

    @Test("a weak key is refused", .enabled(if: ChildProcess.find("openssl") != nil))
    func weak() async throws {
        let world = try Reactor(name: "pki-test")
        defer { world.shutdown() }
        let folder = try Files.makeTemporaryDirectory(prefix: "martlet-foreign")
        defer { try? Files.remove(folder) }
        try ClusterPKITests.ensure(folder)
        _ = try await ChildProcess.run(
            try #require(ChildProcess.find("openssl")),
            [
                "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=kubernetes", "-days", "3650", "-keyout",
                folder + "/ca.key", "-out", folder + "/ca.crt", "-addext", "basicConstraints=critical,CA:TRUE",
            ], in: world)
        let info = try CertificateInfo(pem: Files.read(folder + "/ca.crt"))
        let error = #expect(throws: PKIError.self) {
            try ForeignPKI(readingFrom: folder, now: info.notBefore + .seconds(60))
        }
        #expect(error?.description.contains("has a weak key (80 bits") == true, "\(error?.description ?? "")")
    }

    /// As kubetool writes it for Hiera.
    private func yaml(_ values: [(String, [UInt8])]) -> String {
        "---\n"
            + values.map { name, bytes in
                let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { "  \($0)\n" }
                return "kubernetes::\(name): |\n" + lines.joined()
            }.joined() + "kubernetes::kubernetes_version: 1.20.0\n"
    }

    @Test func theYAMLOfKubetoolIsRead() throws {
        try ClusterPKITests.inFolder { folder in
            let pki = try ClusterPKITests.ensure(folder + "/pki")
            func file(_ name: String) throws -> [UInt8] { try Files.read("\(pki.directory)/\(name)") }
            var values = [
                ("etcd_ca_crt", try file("etcd/ca.crt")), ("etcd_ca_key", try file("etcd/ca.key")),
                ("kubernetes_ca_crt", try file("ca.crt")), ("kubernetes_ca_key", try file("ca.key")),
                ("kubernetes_front_proxy_ca_crt", try file("front-proxy-ca.crt")),
                ("kubernetes_front_proxy_ca_key", try file("front-proxy-ca.key")), ("sa_key", try file("sa.key")),
                ("sa_pub", try file("sa.pub")),
            ]
            try Files.makeDirectory(folder + "/kubetool")
            let place = folder + "/kubetool/Debian.yaml"
            try Files.write(Array(yaml(values).utf8), to: place)
            for path in [place, folder + "/kubetool"] {
                let foreign = try ForeignPKI(readingFrom: path, now: Self.now)
                let own = ClusterPKI(directory: "\(folder)/own-\(path.hasSuffix("yaml"))")
                try own.install(foreign.files)
                #expect(try own.authority("ca") == pki.authority("ca"))
                #expect(try own.authority("etcd/ca") == pki.authority("etcd/ca"))
                #expect(try own.serviceAccountKeys().privateKeyPEM == pki.serviceAccountKeys().privateKeyPEM)
            }
            values[3] = ("kubernetes_ca_key", Array("ENC[PKCS7,AAAA]".utf8))
            try Files.write(Array(yaml(values).utf8), to: place)
            let error = #expect(throws: PKIError.self) { try ForeignPKI(readingFrom: place, now: Self.now) }
            #expect(error?.description.contains("kubernetes::kubernetes_ca_key is encrypted") == true)
        }
    }
}
