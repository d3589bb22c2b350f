import FuzzSupport
import MartletBase
import MartletObject
import Testing

@testable import MartletRoutes

/// A responder in a test's hands: it is asked by name and tells records in words.
struct DNSTeller {
    var responder: DNSResponder
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wishes: [DNSForwarder.Wish] = []
    private var ticket: UInt64 = 0

    init(
        _ objects: [(ResourceKind, JSON)] = [], upstreams: [Endpoint] = [], podNames: DNSZone.PodNames = .insecure,
        isComplete: Bool = true
    ) {
        var zone = DNSZone(domain: "cluster.local", address: "169.254.20.10", podNames: podNames)!
        for (kind, object) in objects { zone.put(object, kind: kind) }
        if isComplete { zone.isComplete = true }
        responder = DNSResponder(zone: zone, forwarder: DNSForwarder(upstreams: upstreams))
    }

    /// The bytes of a question, with letters as they are.
    static func question(
        _ name: String, _ type: UInt16 = DNSType.a, id: UInt16 = 7, recordClass: UInt16 = 1, size: UInt16? = nil,
        flags: UInt16 = 0x0100
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in [id, flags, 1, 0, 0, size == nil ? 0 : 1] { DNSBytes.append(value, to: &bytes) }
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes.append(0)
        DNSBytes.append(type, to: &bytes)
        DNSBytes.append(recordClass, to: &bytes)
        if let size {
            bytes.append(0)
            for value in [DNSType.opt, size, 0, 0, 0] { DNSBytes.append(value, to: &bytes) }
        }
        return bytes
    }

    /// The answer to these bytes; empty when there is none.
    mutating func send(_ bytes: [UInt8], overTCP: Bool = false) -> [UInt8] {
        var answer: [UInt8] = []
        ticket += 1
        wishes = responder.receive(
            bytes.span, ticket: ticket, overTCP: overTCP, at: now, chance: { 42 }, into: &answer)
        return answer
    }

    /// The records of the answer in words, after its code where that is not "no error".
    mutating func ask(_ name: String, _ type: UInt16 = DNSType.a, overTCP: Bool = true) -> [String] {
        let bytes = send(Self.question(name, type), overTCP: overTCP)
        guard let message = try? DNSMessage(bytes) else { return ["unreadable"] }
        let code = DNSCode(rawValue: message.code)!
        return (code == .noError ? [] : ["\(code)"]) + message.sections[0].map(Self.words)
    }

    static func words(_ record: DNSRecord) -> String {
        let name = { (bytes: ArraySlice<UInt8>) in DNSName(unchecked: Array(bytes)).description }
        switch record.type {
        case DNSType.a: return record.data.map(String.init).joined(separator: ".")
        case DNSType.aaaa: return record.data.map { String($0, radix: 16) }.joined(separator: ":")
        case DNSType.cname, DNSType.ptr, DNSType.ns: return name(record.data[...])
        case DNSType.srv:
            return "\(Int(record.data[4]) << 8 | Int(record.data[5])) \(name(record.data[6...]))"
        default: return String(decoding: record.data.dropFirst(), as: UTF8.self)
        }
    }
}

private func service(_ name: String, _ spec: JSON) -> (ResourceKind, JSON) {
    (.service, ["metadata": ["name": .string(name), "namespace": "default"], "spec": spec])
}

private func slice(_ service: String, _ endpoints: JSON, name: String = "1") -> (ResourceKind, JSON) {
    (
        .endpointSlice,
        [
            "metadata": [
                "name": .string(service + "-" + name), "namespace": "default",
                "labels": ["kubernetes.io/service-name": .string(service)],
            ],
            "endpoints": endpoints, "ports": [["name": "http", "port": 8080, "protocol": "TCP"]],
        ]
    )
}

private let space: (ResourceKind, JSON) = (.namespace, ["metadata": ["name": "default"]])
private let web = service(
    "web",
    [
        "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00::9"],
        "ports": [["name": "http", "port": 80, "protocol": "TCP"], ["port": 53, "protocol": "UDP"]],
    ])
private let headless = service("db", ["clusterIP": "None", "ports": [["name": "http", "port": 80]]])
private let threePods: JSON = [
    ["addresses": ["10.244.0.5"], "hostname": "a"], ["addresses": ["10.244.0.6"]],
    ["addresses": ["10.244.0.7"], "conditions": ["ready": false]],
]

@Suite("The cluster's names") struct DNSZoneTests {
    @Test("a Service has its addresses, its named ports and a name for each address")
    func clusterAddress() {
        var dns = DNSTeller([web])
        #expect(dns.ask("web.default.svc.cluster.local") == ["10.96.0.9"])
        #expect(dns.ask("web.default.svc.cluster.local", DNSType.aaaa) == ["fd:0:0:0:0:0:0:0:0:0:0:0:0:0:0:9"])
        #expect(
            dns.ask("_http._tcp.web.default.svc.cluster.local", DNSType.srv) == ["80 web.default.svc.cluster.local."])
        #expect(dns.ask("9.0.96.10.in-addr.arpa", DNSType.ptr) == ["web.default.svc.cluster.local."])
        let six = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"
        #expect(dns.ask(six, DNSType.ptr) == ["web.default.svc.cluster.local."])
        #expect(dns.ask("dns-version.cluster.local", DNSType.txt) == ["1.1.0"])
    }

    @Test("a headless Service is its ready pods, each by its host name or its address")
    func headlessService() {
        var dns = DNSTeller([headless, slice("db", threePods)])
        #expect(dns.ask("db.default.svc.cluster.local").sorted() == ["10.244.0.5", "10.244.0.6"])
        #expect(dns.ask("a.db.default.svc.cluster.local") == ["10.244.0.5"])
        #expect(dns.ask("10-244-0-6.db.default.svc.cluster.local") == ["10.244.0.6"])
        #expect(dns.ask("10-244-0-7.db.default.svc.cluster.local") == ["noName"])
        let ports = ["8080 10-244-0-6.db.default.svc.cluster.local.", "8080 a.db.default.svc.cluster.local."]
        #expect(dns.ask("_http._tcp.db.default.svc.cluster.local", DNSType.srv).sorted() == ports)
        #expect(dns.ask("5.0.244.10.in-addr.arpa", DNSType.ptr) == ["a.db.default.svc.cluster.local."])
    }

    @Test("pods that are not ready are shown by a Service that says so")
    func notReady() {
        let all = service("db", ["clusterIP": "None", "publishNotReadyAddresses": true])
        var dns = DNSTeller([all, slice("db", threePods)])
        #expect(dns.ask("db.default.svc.cluster.local").count == 3)
    }

    @Test("a headless Service without ready pods is no name; a type that a name does not have is no error")
    func absence() {
        var dns = DNSTeller([headless, web, space])
        #expect(dns.ask("db.default.svc.cluster.local") == ["noName"])
        #expect(dns.ask("web.default.svc.cluster.local", DNSType.txt) == [])
        for between in ["default.svc.cluster.local", "svc.cluster.local", "_tcp.web.default.svc.cluster.local"] {
            #expect(dns.ask(between) == [], "\(between)")
        }
        #expect(dns.ask("web.other.svc.cluster.local") == ["noName"])
        #expect(dns.ask("xcluster.local") == ["refused"])
        let message = try? DNSMessage(dns.send(DNSTeller.question("nobody.cluster.local")))
        #expect(message?.sections[1].map(\.type) == [DNSType.soa])
    }

    @Test("changes of slices, Services and namespaces change their names and no others")
    func changes() {
        var dns = DNSTeller([headless, web, slice("db", threePods), space])
        let key = { (kind: ResourceKind, name: String) in ObjectKey(kind, namespace: "default", name: name) }
        dns.responder.zone.put(
            slice("db", [["addresses": ["10.244.0.8"]]], name: "2").1, kind: .endpointSlice)
        #expect(dns.ask("db.default.svc.cluster.local").count == 3)
        dns.responder.zone.remove(key(.endpointSlice, "db-1"))
        #expect(dns.ask("db.default.svc.cluster.local") == ["10.244.0.8"])
        #expect(dns.ask("a.db.default.svc.cluster.local") == ["noName"])
        dns.responder.zone.remove(key(.service, "db"))
        dns.responder.zone.remove(key(.service, "web"))
        #expect(dns.ask("web.default.svc.cluster.local") == ["noName"])
        #expect(dns.ask("9.0.96.10.in-addr.arpa", DNSType.ptr) == ["refused"])
        #expect(dns.ask("default.svc.cluster.local") == [])
        dns.responder.zone.remove(ObjectKey(.namespace, namespace: "", name: "default"))
        #expect(dns.ask("default.svc.cluster.local") == ["noName"])
        #expect(dns.ask("svc.cluster.local") == [])
    }

    @Test("names of pods are addresses in a namespace that is there, or pods that are there")
    func podNames() {
        var dns = DNSTeller([space])
        #expect(dns.ask("10-1-2-3.default.pod.cluster.local") == ["10.1.2.3"])
        #expect(dns.ask("fd00--1.default.pod.cluster.local", DNSType.aaaa).count == 1)
        #expect(dns.ask("fd00--1.default.pod.cluster.local") == [])
        #expect(dns.ask("10-1-2-3.other.pod.cluster.local") == ["noName"])
        #expect(dns.ask("10-1-2-300.default.pod.cluster.local") == ["noName"])
        let pod: JSON = ["metadata": ["name": "p", "namespace": "default"], "status": ["podIP": "10.1.2.3"]]
        var verified = DNSTeller([space, (.pod, pod)], podNames: .verified)
        #expect(verified.ask("10-1-2-3.default.pod.cluster.local") == ["10.1.2.3"])
        #expect(verified.ask("10-1-2-4.default.pod.cluster.local") == ["noName"])
        verified.responder.zone.remove(ObjectKey(.pod, namespace: "default", name: "p"))
        #expect(verified.ask("10-1-2-3.default.pod.cluster.local") == ["noName"])
    }

    @Test("an ExternalName is an alias, which is followed inside of the zone")
    func alias() {
        let inside = service(
            "inside", ["type": "ExternalName", "externalName": "web.default.svc.cluster.local"])
        let circle = service("circle", ["type": "ExternalName", "externalName": "circle.default.svc.cluster.local"])
        var dns = DNSTeller([web, inside, circle])
        #expect(
            dns.ask("inside.default.svc.cluster.local") == ["web.default.svc.cluster.local.", "10.96.0.9"])
        #expect(dns.ask("inside.default.svc.cluster.local", DNSType.cname) == ["web.default.svc.cluster.local."])
        #expect(dns.ask("circle.default.svc.cluster.local").first == "serverFailure")
    }

    @Test("nothing is said of the zone before all of it is known")
    func incomplete() {
        var dns = DNSTeller([web], isComplete: false)
        #expect(dns.ask("web.default.svc.cluster.local") == ["serverFailure"])
        #expect(dns.ask("9.0.96.10.in-addr.arpa", DNSType.ptr) == ["serverFailure"])
        dns.responder.zone.isComplete = true
        #expect(dns.ask("web.default.svc.cluster.local") == ["10.96.0.9"])
    }
}

@Suite("Answers of the cluster's DNS") struct DNSAnswerTests {
    private static func many(_ count: Int) -> JSON {
        .array((0..<count).map { ["addresses": [.string("10.244.\($0 / 250).\($0 % 250 + 1)")]] })
    }

    @Test("the letters of the question come back as they were")
    func letters() {
        var dns = DNSTeller([web])
        let question = DNSTeller.question("WeB.Default.svc.Cluster.local")
        let answer = dns.send(question)
        #expect(answer[12..<question.count].elementsEqual(question[12...]))
        #expect(answer[3] & 15 == 0 && answer[7] == 1)
    }

    @Test("each of several addresses is the first in its turn")
    func rotation() {
        var dns = DNSTeller([headless, slice("db", Self.many(3))])
        let firsts = (0..<6).map { _ in dns.ask("db.default.svc.cluster.local")[0] }
        #expect(Set(firsts).count == 3)
    }

    @Test("what does not fit in a datagram is left out, and TCP has all of it")
    func truncation() throws {
        var dns = DNSTeller([headless, slice("db", Self.many(300))])
        let cases: [(size: UInt16?, most: Int)] = [(nil, 512), (100, 512), (1000, 1000), (60_000, 1232)]
        for (size, most) in cases {
            let answer = dns.send(DNSTeller.question("db.default.svc.cluster.local", size: size))
            #expect(answer.count <= most && answer.count > most - 32)
            #expect(answer[2] & 2 == 2)
        }
        #expect(dns.ask("db.default.svc.cluster.local").count == 300)
    }

    @Test("what is no question gets no answer, and what cannot be read a short one")
    func badMessages() {
        var dns = DNSTeller([web])
        let good = DNSTeller.question("web.default.svc.cluster.local")
        #expect(dns.send([]) == [])
        #expect(dns.send(Array(good.prefix(11))) == [])
        #expect(dns.send([0, 7, 0x81] + good.dropFirst(3)) == [])
        #expect(dns.send(Array(good.dropLast())) == [0, 7, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(dns.send(DNSTeller.question("a", flags: 0x2800)).count == 12)
        var pointer = good
        pointer.replaceSubrange(12..<14, with: [0xc0, 12])
        #expect(dns.send(pointer)[3] & 15 == DNSCode.formatError.rawValue)
        #expect(dns.ask("web.default.svc.cluster.local", 252) == ["refused"])
    }

    @Test("a version of EDNS that is not spoken is refused by that name")
    func badVersion() {
        var dns = DNSTeller([web])
        var question = DNSTeller.question("web.default.svc.cluster.local", size: 1232)
        question[question.count - 5] = 1
        let answer = dns.send(question)
        #expect(answer[answer.count - 6] == 1 && answer[7] == 0)
    }

    @Test("no bytes stop it, none are answered that are an answer, and little is said of what cannot be read")
    func fuzz() {
        var random = SplitMix64(seed: Fuzz.seed(5))
        var dns = DNSTeller([web, headless, slice("db", threePods)], upstreams: [.ip("192.0.2.1", port: 53)])
        let names = [
            "web.default.svc.cluster.local", "db.default.svc.cluster.local", "a.b", "1-2-3-4.x.pod.cluster.local",
        ]
        for _ in 0..<Fuzz.runs(5000) {
            let name = names.randomElement(using: &random)!
            let good = DNSTeller.question(name, [1, 28, 33, 255].randomElement(using: &random)!, size: 1232)
            let bytes = Fuzz.spoiled(good, &random)
            let answer = dns.send(bytes)
            if bytes.count < 12 || bytes[2] & 0x80 != 0 { #expect(answer.isEmpty) }
            if answer.count > 3, answer[3] & 15 == DNSCode.formatError.rawValue { #expect(answer.count == 12) }
            for case .ask(let number, _, let message, _) in dns.wishes {
                var reply = message
                reply[2] |= 0x80
                reply[7] = 1
                reply += [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4]
                _ = dns.responder.forwarder.heard(
                    Fuzz.spoiled(reply, &random), number: number, at: dns.now, chance: { random.next() })
            }
            dns.now = dns.now + .milliseconds(100)
            _ = dns.responder.forwarder.expire(at: dns.now, chance: { random.next() })
            _ = try? DNSMessage(bytes)
        }
        #expect(dns.responder.forwarder.inFlight < 100)
    }
}
