import MartletBase
import MartletObject
import MartletRoutes
import Testing

@Suite("Whose word about a client is believed") struct TrustedEdgesTests {
    private func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }
    private let begin = MonotonicTime(nanoseconds: 1_000_000_000)

    private func slice(
        _ addresses: [String], of service: String = "kubernetes", namespace: String = "default", name: String = "one"
    ) -> JSON {
        [
            "metadata": [
                "name": .string(name), "namespace": .string(namespace),
                "labels": ["kubernetes.io/service-name": .string(service)],
            ],
            "endpoints": .array(addresses.map { ["addresses": [.string($0)]] }),
        ]
    }

    private func edges() -> TrustedEdges { TrustedEdges(own: [address("127.0.0.1"), address("10.0.0.21")]) }

    @Test("without slices only the machine itself is")
    func onlyItself() {
        let edges = edges()
        #expect(edges.contains(address("127.0.0.1"), at: begin) && edges.contains(address("10.0.0.21"), at: begin))
        #expect(!edges.contains(address("10.0.0.11"), at: begin))
    }

    @Test("the masters are, in all slices of their Service, in either kind of addresses")
    func masters() {
        var edges = edges()
        edges.put(slice(["10.0.0.11", "10.0.0.12"]), at: begin)
        edges.put(slice(["fd00::13"], name: "two"), at: begin)
        for text in ["10.0.0.11", "10.0.0.12", "fd00:0::13"] { #expect(edges.contains(address(text), at: begin)) }
        #expect(!edges.contains(address("10.0.0.13"), at: begin))
    }

    @Test("what other slices name is not: another Service, another namespace, words that are no addresses")
    func others() {
        var edges = edges()
        edges.put(slice(["10.0.0.66"], of: "web"), at: begin)
        edges.put(slice(["10.0.0.66"], namespace: "evil"), at: begin)
        edges.put(slice(["evil", "10.0.0.66:80", ""]), at: begin)
        edges.put(["metadata": ["name": "one", "namespace": "default"], "endpoints": "10.0.0.66"], at: begin)
        #expect(!edges.contains(address("10.0.0.66"), at: begin))
    }

    @Test("a master that has left is believed for its time, one that comes back for good")
    func leaves() {
        var edges = edges()
        edges.put(slice(["10.0.0.11", "10.0.0.12"]), at: begin)
        edges.put(slice(["10.0.0.12"]), at: begin)
        let end = begin + TrustedEdges.memory
        #expect(edges.contains(address("10.0.0.11"), at: begin + .seconds(1)))
        #expect(!edges.contains(address("10.0.0.11"), at: end))
        #expect(edges.contains(address("10.0.0.12"), at: end))
        edges.put(slice(["10.0.0.11"]), at: begin + .seconds(2))
        #expect(edges.contains(address("10.0.0.11"), at: end + .seconds(9)))
        edges.remove(ObjectKey(.endpointSlice, namespace: "default", name: "one"), at: end)
        #expect(edges.contains(address("10.0.0.11"), at: end))
        #expect(!edges.contains(address("10.0.0.11"), at: end + TrustedEdges.memory))
    }

    @Test("a slice that becomes another Service's names masters no longer")
    func changesHands() {
        var edges = edges()
        edges.put(slice(["10.0.0.11"]), at: begin)
        edges.put(slice(["10.0.0.66"], of: "web"), at: begin)
        #expect(!edges.contains(address("10.0.0.66"), at: begin))
        #expect(!edges.contains(address("10.0.0.11"), at: begin + TrustedEdges.memory))
    }

    @Test("of those that have left only so many are remembered")
    func bounded() {
        var edges = edges()
        for number in 0..<200 { edges.put(slice(["10.0.1.\(number)"]), at: begin + .seconds(number)) }
        let now = begin + .seconds(200)
        let known = (0..<200).filter { edges.contains(address("10.0.1.\($0)"), at: now) }
        #expect(known == Array(135..<200))
    }
}
