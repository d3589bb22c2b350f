import MartletGateway
import MartletObject
import Testing

/// Which kinds of addresses a Service gets.
@Suite struct ServiceFamilyTests {
    private func onDual(_ body: @escaping @Sendable (TestAPI) async throws -> Void) async throws {
        try await TestAPI.run(configure: { $0.serviceCIDR = "10.96.0.0/16,fd00:96::/108" }, body)
    }

    private func families(_ service: JSON) -> [String] {
        service["spec", "ipFamilies"]?.array?.compactMap(\.string) ?? []
    }
    private func addresses(_ service: JSON) -> [String] {
        service["spec", "clusterIPs"]?.array?.compactMap(\.string) ?? []
    }

    @Test func aServiceThatAsksForNothingGetsOneAddressOfTheFirstKind() async throws {
        try await onDual { api in
            let own = await api.get("\(Paths.services)/kubernetes").json
            #expect(addresses(own) == ["10.96.0.1"] && families(own) == ["IPv4"])
            let plain = await api.post(Paths.services, Samples.service("a")).json
            #expect(families(plain) == ["IPv4"] && addresses(plain).count == 1)
            #expect(plain["spec", "ipFamilyPolicy"] == "SingleStack")
            let six = await api.post(Paths.services, Samples.service("b", ["ipFamilies": ["IPv6"]])).json
            #expect(families(six) == ["IPv6"] && addresses(six).first?.hasPrefix("fd00:96::") == true)
            #expect(six["spec", "clusterIP"]?.string == addresses(six).first)
        }
    }

    @Test func aPolicyBringsBothKindsWhereTheClusterHasThem() async throws {
        try await onDual { api in
            let both = Samples.service("a", ["ipFamilyPolicy": "PreferDualStack"])
            let made = await api.post(Paths.services, both).json
            #expect(families(made) == ["IPv4", "IPv6"] && addresses(made).count == 2)
            let turned: JSON = ["ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]]
            let other = await api.post(Paths.services, Samples.service("b", turned)).json
            #expect(families(other) == ["IPv6", "IPv4"] && addresses(other).first?.contains(":") == true)
            let named: JSON = [
                "ipFamilyPolicy": "PreferDualStack", "clusterIPs": ["fd00:96::abc"], "clusterIP": "fd00:96::abc",
            ]
            let third = await api.post(Paths.services, Samples.service("c", named)).json
            #expect(families(third) == ["IPv6", "IPv4"] && addresses(third).first == "fd00:96::abc")
            let open: JSON = ["clusterIP": "None", "selector": [:]]
            let headless = await api.post(Paths.services, Samples.service("h", open)).json
            #expect(families(headless) == ["IPv4", "IPv6"] && addresses(headless) == ["None"])
        }
        try await TestAPI.run { api in
            let made = await api.post(Paths.services, Samples.service("a", ["ipFamilyPolicy": "PreferDualStack"])).json
            #expect(families(made) == ["IPv4"] && addresses(made).count == 1)
            let refused = await api.post(Paths.services, Samples.service("b", ["ipFamilyPolicy": "RequireDualStack"]))
            #expect(refused.code == 422 && refused.message.contains("not configured for dual-stack services"))
            let absent = await api.post(Paths.services, Samples.service("b", ["ipFamilies": ["IPv6"]]))
            #expect(absent.code == 422 && absent.message.contains("not configured on this cluster"))
        }
    }

    @Test func theSecondAddressComesAndGoesWithThePolicy() async throws {
        try await onDual { api in
            let path = "\(Paths.services)/a"
            let first = addresses(await api.post(Paths.services, Samples.service("a")).json)
            let grown = await api.put(path, Samples.service("a", ["ipFamilyPolicy": "PreferDualStack"])).json
            #expect(addresses(grown).first == first.first && addresses(grown).count == 2)
            let second = try #require(addresses(grown).last)
            // An update that says nothing of it keeps both.
            #expect(addresses(await api.put(path, Samples.service("a")).json) == addresses(grown))
            let taken: JSON = ["clusterIP": .string(second), "ipFamilies": ["IPv6"]]
            #expect(await api.post(Paths.services, Samples.service("b", taken)).code == 422)
            var shrunk = await api.get(path).json
            shrunk["spec", "ipFamilyPolicy"] = "SingleStack"
            let small = await api.put(path, shrunk).json
            #expect(addresses(small) == first && families(small) == ["IPv4"])
            #expect(await api.post(Paths.services, Samples.service("b", taken)).code == 201)
        }
    }

    @Test func addressesAndKindsThatContradictEachOtherAreRefused() async throws {
        try await onDual { api in
            for bad: JSON in [
                ["clusterIP": "10.96.0.9", "ipFamilies": ["IPv6"]],
                ["ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "SingleStack"],
                ["clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.8"]], ["clusterIP": "fd00:97::1"],
                [
                    "clusterIPs": ["10.96.0.8", "10.96.0.9"], "clusterIP": "10.96.0.8",
                    "ipFamilyPolicy": "PreferDualStack",
                ],
            ] {
                let answer = await api.post(Paths.services, Samples.service("x", bad))
                #expect(answer.code == 422, "\(bad): \(answer.code)")
            }
        }
    }
}
