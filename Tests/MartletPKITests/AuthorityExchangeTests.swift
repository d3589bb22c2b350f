import FuzzSupport
import MartletBase
import MartletIO
import Testing

@testable import MartletPKI

@Suite("The files of a machine through a rotation") struct AuthorityExchangeTests {
    static let now = ClusterPKITests.now
    static let subjects = LeafSubjects(nodeName: "node-1", names: [], addresses: ["10.0.0.1"])

    /// Two masters with one PKI, and a worker that knows the authority alone.
    private struct Machines {
        let one: ClusterPKI
        let two: ClusterPKI
        let worker: ClusterPKI

        init(_ folder: String) throws {
            try Files.makeDirectory(folder)
            one = try ClusterPKITests.ensure(folder + "/one")
            two = ClusterPKI(directory: folder + "/two")
            try two.install(one.sharedFiles())
            _ = try ClusterPKITests.ensure(folder + "/two")
            worker = ClusterPKI(directory: folder + "/worker")
            try worker.install([("ca.crt", try one.trusted("ca"))])
        }
    }

    private func certificates(_ pem: [UInt8]) -> Int { PEM.blocks("CERTIFICATE", in: pem).count }

    /// Whether a leaf is good for whoever trusts these.
    private func isGood(_ leaf: KeyPair, _ trusted: [UInt8]) -> Bool {
        PEM.blocks("CERTIFICATE", in: trusted).contains { CertificateInfo.isSigned(leaf.certificatePEM, by: $0) }
    }

    @Test func everyLeafIsTrustedEverywhereAtEveryMoment() throws {
        try ClusterPKITests.inFolder { folder in
            let machines = try Machines(folder)
            let all = [machines.one, machines.two, machines.worker]
            let before = try machines.one.authority("ca")
            let (exchange, keys) = try machines.one.makeSuccessors(now: Self.now)
            func check(_ place: String) throws {
                for master in [machines.one, machines.two] {
                    let (server, peer) = (try master.keyPair("apiserver"), try master.keyPair("etcd/peer"))
                    for other in all {
                        #expect(isGood(server, try other.trusted("ca")), "\(place): \(other.directory)")
                    }
                    for other in [machines.one, machines.two] {
                        #expect(isGood(peer, try other.trusted("etcd/ca")), "\(place)")
                        let signing = try SigningKey(pem: try master.serviceAccountKeys().privateKeyPEM)
                        let known = try other.serviceAccountKeys().publicKeysPEM.map {
                            try SigningKey(pem: $0).identifier
                        }
                        #expect(known.contains(signing.identifier), "\(place)")
                    }
                }
            }
            try check("before")
            for phase in [Rotation.Phase.trust, .sign, .issue, .withdraw, .done] {
                for pki in all {
                    try pki.take(phase, of: exchange) { keys }
                    try check("\(phase) on \(pki.directory), before its leaves")
                    if phase == .issue, pki.isSigner {
                        _ = try pki.renewLeaves(Self.subjects, all: true, now: Self.now)
                        try check("\(phase) on \(pki.directory)")
                    }
                    // A restart at any moment finds nothing to complain of.
                    if pki.isSigner { try ClusterPKITests.ensure(pki.directory) }
                }
            }
            let after = try machines.two.authority("ca")
            #expect(after != before)
            #expect(try machines.one.authority("ca") == after)
            #expect(certificates(try machines.worker.trusted("ca")) == 1)
            #expect(try machines.one.serviceAccountKeys().publicKeysPEM.count == 1)
            #expect(try ClusterPKITests.contents(machines.one.directory)["ca-cross.crt"] == nil)
        }
    }

    @Test func anExchangeBeforeTheLastOneConcernsNobody() throws {
        try ClusterPKITests.inFolder { folder in
            let machines = try Machines(folder)
            let all = [machines.one, machines.two, machines.worker]
            let (first, firstKeys) = try machines.one.makeSuccessors(now: Self.now)
            for pki in all { try pki.take(.done, of: first) { firstKeys } }
            let (second, secondKeys) = try machines.one.makeSuccessors(now: Self.now)
            #expect(try all.allSatisfy { try $0.descends(from: first) && $0.descends(from: second) })
            for pki in all { try pki.take(.done, of: second) { secondKeys } }
            for pki in all { #expect(try !pki.descends(from: first), "\(pki.directory)") }
            #expect(try all.allSatisfy { try $0.descends(from: second) })
        }
    }

    @Test func whoKnowsOnlyTheOldAuthorityFollowsTheNewOne() throws {
        try ClusterPKITests.inFolder { folder in
            let machines = try Machines(folder)
            let old = try machines.one.trusted("ca")
            let (exchange, keys) = try machines.one.makeSuccessors(now: Self.now)
            try machines.one.take(.issue, of: exchange) { keys }
            _ = try machines.one.renewLeaves(Self.subjects, all: true, now: Self.now)
            let chain = PEM.blocks("CERTIFICATE", in: try machines.one.servingPair("apiserver").certificatePEM)
            #expect(chain.count == 2)
            #expect(!CertificateInfo.isSigned(chain[0], by: old))
            #expect(CertificateInfo.isSigned(chain[0], by: chain[1]))
            #expect(CertificateInfo.isSigned(chain[1], by: old))
            try machines.one.take(.withdraw, of: exchange) { keys }
            #expect(certificates(try machines.one.servingPair("apiserver").certificatePEM) == 1)
        }
    }

    @Test(arguments: ["etcd/ca", "front-proxy-ca", "sa"])
    func aCrashBetweenTwoKeysIsGoneOnFrom(last: String) throws {
        try ClusterPKITests.inFolder { folder in
            let machines = try Machines(folder)
            let (exchange, keys) = try machines.one.makeSuccessors(now: Self.now)
            try machines.one.take(.trust, of: exchange) { keys }
            for name in ClusterPKI.exchanged {
                try Files.write(keys[name] ?? [], to: machines.one.path(name, "key"), mode: 0o600)
                if name == last { break }
            }
            try ClusterPKITests.ensure(machines.one.directory)
            #expect(try !machines.one.signsBy(exchange))
            #expect(
                try machines.one.authority("ca") == machines.two.authority("ca"), "what opens the new keys is there")
            try machines.one.take(.sign, of: exchange) { keys }
            #expect(try machines.one.signsBy(exchange))
        }
    }

    @Test func whoMissedSomePhasesTakesThemAtOnce() throws {
        for phase in [Rotation.Phase.sign, .issue, .withdraw, .done] {
            try ClusterPKITests.inFolder { folder in
                let machines = try Machines(folder)
                let (exchange, keys) = try machines.one.makeSuccessors(now: Self.now)
                try machines.two.take(phase, of: exchange) { keys }
                #expect(try machines.two.signsBy(exchange))
                let expected = phase.trustsBoth ? 2 : 1
                #expect(certificates(try machines.two.trusted("etcd/ca")) == expected)
                // Asked for once only.
                try machines.two.take(phase, of: exchange) { throw PKIError("the keys are here already") }
            }
        }
    }

    @Test func whoMissedAWholeRotationIsTold() throws {
        try ClusterPKITests.inFolder { folder in
            let machines = try Machines(folder)
            let first = try machines.one.makeSuccessors(now: Self.now)
            try machines.one.take(.done, of: first.exchange) { first.keys }
            let second = try machines.one.makeSuccessors(now: Self.now)
            let before = try ClusterPKITests.contents(machines.two.directory)
            let error = #expect(throws: PKIError.self) { try machines.two.take(.trust, of: second.exchange) { [:] } }
            #expect(error?.description.contains("join it again") == true)
            #expect(try ClusterPKITests.contents(machines.two.directory) == before)
        }
    }

    @Test func aRenewedPairIsNeverHalf() throws {
        try ClusterPKITests.inFolder { folder in
            let pki = try ClusterPKITests.ensure(folder)
            let before = try pki.keyPair("kubelet")
            var request = CertificateRequest(commonName: "system:node:node-1")
            request.isServer = true
            let next = try pki.authority("ca").issue(request, now: Self.now)
            // Before the key is in place the old pair counts, after it the new one.
            try Files.write(next.certificatePEM, to: folder + "/kubelet.crt.next")
            #expect(try pki.keyPair("kubelet") == before)
            #expect(!Files.exists(folder + "/kubelet.crt.next"))
            try Files.write(next.certificatePEM, to: folder + "/kubelet.crt.next")
            try Files.write(next.privateKeyPEM, to: folder + "/kubelet.key", mode: 0o600)
            #expect(try pki.keyPair("kubelet") == next)
            #expect(!Files.exists(folder + "/kubelet.crt.next"))
        }
    }

    @Test func aMachineRemembersWhatItTook() throws {
        try ClusterPKITests.inFolder { folder in
            let pki = try ClusterPKITests.ensure(folder)
            #expect(pki.mark == nil)
            try pki.note(Rotation.Mark(rotation: "r1", phase: .sign))
            #expect(pki.mark == Rotation.Mark(rotation: "r1", phase: .sign))
        }
    }
}

@Suite("Texts of several certificates") struct PEMTests {
    @Test func blocksAreFoundAmongOtherAndFuzzedText() {
        let text = """
            subject=CN=x\r
            -----BEGIN CERTIFICATE-----\r
            AAAA\r
            -----END CERTIFICATE-----\r
            -----BEGIN PUBLIC KEY-----
            BBBB
            -----END PUBLIC KEY-----
            -----BEGIN CERTIFICATE-----
            CCCC
            -----END CERTIFICATE-----
            -----BEGIN CERTIFICATE-----
            DDDD
            """
        let blocks = PEM.blocks("CERTIFICATE", in: Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
        #expect(
            blocks == ["AAAA", "CCCC"].map { "-----BEGIN CERTIFICATE-----\n\($0)\n-----END CERTIFICATE-----\n" })
        #expect(PEM.blocks("CERTIFICATE", in: []) == [])
        var random = SplitMix64(seed: Fuzz.seed(12))
        for _ in 0..<Fuzz.runs(500) { _ = PEM.blocks("CERTIFICATE", in: Fuzz.spoiled(Array(text.utf8), &random)) }
    }
}
