import HTTPTypes
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

/// What keeps long answers within bounds of memory.
@Suite struct MemoryTests {
    private static func large(_ name: String, bytes: Int = 1_000_000) -> JSON {
        ["metadata": ["name": .string(name)], "data": ["text": .string(String(repeating: "a", count: bytes))]]
    }

    /// Twelve objects that fill more than one page.
    private static func fill(_ api: TestAPI) async {
        for index in 0..<12 {
            let made = await api.post(Paths.configMaps, large("m\(index + 10)"))
            #expect(made.code == 201, "\(made.message)")
        }
    }

    @Test func aPageEndsEarlyWhenItsObjectsAreLarge() async throws {
        try await TestAPI.run { api in
            await Self.fill(api)
            for accept in [nil, "application/json;as=Table;v=v1;g=meta.k8s.io"] {
                let query = "limit=500&includeObject=Object"
                let first = await api.get("\(Paths.configMaps)?\(query)", accept: accept)
                #expect(first.bytes.count < Limits.page + 1_100_000)
                let token = try #require(first.json["metadata", "continue"]?.string)
                let rest = await api.get("\(Paths.configMaps)?\(query)&continue=\(token)", accept: accept)
                #expect(rest.json["metadata", "continue"] == nil)
                let names = [first, rest].flatMap { page in
                    (page.json["items"] ?? page.json["rows"])?.array?.map { ($0["object"] ?? $0).name } ?? []
                }
                #expect(names == (10..<22).map { "m\($0)" })
                #expect(first.json["metadata", "resourceVersion"] == rest.json["metadata", "resourceVersion"])
            }
        }
    }

    @Test func aWholeListIsTheSameInEveryFormAndNeverHeld() async throws {
        try await TestAPI.run { api in
            for index in 0..<400 { _ = await api.post(Paths.configMaps, Self.large("m\(1000 + index)", bytes: 1000)) }
            let table = "application/json;as=Table;v=v1;g=meta.k8s.io"
            let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
            let forms: [(accept: String?, query: String)] = [
                (nil, ""), (nil, "?pretty=true"), (table, "?includeObject=Object"), (metadata, ""),
            ]
            for (accept, query) in forms {
                let path = "\(Paths.configMaps)\(query)"
                let response = await api.gateway.serve(api.request(.get, path, [], accept), as: TestAPI.admin)
                if case .bytes = response.body { Issue.record("\(path) is held whole") }
                let whole = await TestAPI.collect(response)
                let items = (whole.json["items"] ?? whole.json["rows"])?.array ?? []
                #expect(items.map { ($0["object"] ?? $0).name } == (0..<400).map { "m\(1000 + $0)" })
                let page = await api.get("\(path)\(query.isEmpty ? "?" : "&")limit=1000", accept: accept)
                // Ages go on between the two.
                #expect(accept == table || page.bytes == whole.bytes)
            }
        }
    }

    @Test func aLongAnswerKeepsItsPlaceUntilItIsSent() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Self.large("long"))
            _ = await api.post(Paths.configMaps, Self.large("short", bytes: 100))
            let inFlight = { api.gateway.admittance.inFlight.reads }
            let request = api.request(.get, "\(Paths.configMaps)/long")
            var held: Response? = await api.gateway.serve(request, as: TestAPI.admin)
            #expect(inFlight() == 1)
            let length = held?.head.headerFields[.contentLength].flatMap { Int($0) }
            let reply = await TestAPI.collect(try #require(held))
            #expect(reply.json.name == "long" && reply.bytes.count == length)
            held = nil
            #expect(inFlight() == 0)
            let short = await api.gateway.serve(api.request(.get, "\(Paths.configMaps)/short"), as: TestAPI.admin)
            #expect(inFlight() == 0)
            withExtendedLifetime(short) {}
            // In YAML it is another length.
            let yaml = await api.gateway.serve(
                api.request(.get, "\(Paths.configMaps)/long", [], "application/yaml"), as: TestAPI.admin)
            #expect(yaml.head.headerFields[.contentLength] == nil)
        }
    }

    @Test func whenTooMuchIsBeingSentLongAnswersAreTurnedAwayAndShortOnesAreNot() async throws {
        try await TestAPI.run { api in
            await Self.fill(api)
            // As nobody of the cluster's own.
            let jane = Identity(user: "jane", groups: ["system:authenticated"])
            await api.allow("get,list", "configmaps", to: [("User", "jane")])
            _ = await api.post(Paths.configMaps, Self.large("short", bytes: 100))
            var full = api.gateway.admittance.full(.answers, .others, but: 100_000)
            for path in ["\(Paths.configMaps)/m10", "\(Paths.configMaps)?limit=500"] {
                let refused = await api.send(.get, path, as: jane)
                #expect(refused.code == 429 && refused.reason == "TooManyRequests")
                #expect(refused.head.headerFields[.retryAfter] == "1")
                #expect(await api.get(path).code == 200)
            }
            #expect(await api.send(.get, "\(Paths.configMaps)/short", as: jane).code == 200)
            // A whole list is written while it is read, and takes no room.
            #expect(await api.send(.get, Paths.configMaps, as: jane).code == 200)
            full.removeAll()
            #expect(await api.send(.get, "\(Paths.configMaps)/m10", as: jane).code == 200)
        }
    }

    @Test func aCollectionThatFillsMoreThanAPageIsDeletedWhole() async throws {
        try await TestAPI.run { api in
            await Self.fill(api)
            let reply = await api.delete(Paths.configMaps)
            #expect(reply.code == 200 && reply.json["status"] == "Success")
            #expect(await api.get(Paths.configMaps).names.isEmpty)
        }
    }

    @Test func whatIsLaidOutForPeopleDoesNotDependOnItsPieces() throws {
        let value: JSON = ["a": [:], "b": [[], [1, ["c": "x,{\\\"}"]]], "d": ["e": .null, "f": ["g"]]]
        let bytes = value.encoded()
        let whole = PrettyPrinter.indented(bytes)
        #expect(try JSON(parsing: whole) == value)
        #expect(
            String(decoding: whole, as: UTF8.self).hasPrefix("{\n  \"a\": {},\n  \"b\": [\n    [],\n    [\n      1,\n"))
        for size in 1...5 {
            var printer = PrettyPrinter()
            var out: [UInt8] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                printer.write(Array(bytes[start..<min(start + size, bytes.count)]), into: &out)
            }
            printer.finish(into: &out)
            #expect(out == whole)
        }
    }
}
