import HTTPTypes
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

/// Long answers in gzip. That gzip comes back whole is `DeflaterTests`' to show; here its trailer tells whether all of
/// the answer went in, and nothing else.
@Suite struct CompressionTests {
    private static let maps = "/api/v1/namespaces/default/configmaps"

    /// A ConfigMap of so many bytes that do not repeat at once.
    private static func map(_ name: String, bytes: Int) -> JSON {
        let text = (0..<bytes / 8).map { String(10_000_000 + $0) }.joined()
        return ["metadata": ["name": .string(name)], "data": ["text": .string(text)]]
    }

    private static func get(
        _ api: TestAPI, _ path: String, _ encoding: String?, accept: String? = nil
    ) async -> Reply {
        var request = api.request(.get, path, [], accept)
        request.head.headerFields[.acceptEncoding] = encoding
        return await TestAPI.collect(await api.gateway.serve(request, as: TestAPI.admin))
    }

    @Test func longAnswersAreDeflatedForWhoTakesThat() async throws {
        try await TestAPI.run { api in
            for index in 0..<8 { _ = await api.post(Self.maps, Self.map("m\(index)", bytes: 100_000)) }
            _ = await api.post(Self.maps, Self.map("long", bytes: 300_000))
            // A Table has ages, which go on.
            let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
            let reads: [(path: String, accept: String?)] = [
                (Self.maps, nil), ("\(Self.maps)/long", nil), ("\(Self.maps)?limit=3", nil),
                (Self.maps, "application/yaml"),
            ]
            #expect(await Self.get(api, Self.maps, "gzip", accept: metadata).head.headerFields[.contentEncoding] == nil)
            for (path, accept) in reads {
                let plain = await Self.get(api, path, nil, accept: accept)
                #expect(plain.head.headerFields[.contentEncoding] == nil)
                for encoding in ["gzip", "deflate, gzip;q=0.5, br", "gzip, identity"] {
                    let gzip = await Self.get(api, path, encoding, accept: accept)
                    #expect(gzip.code == 200)
                    #expect(gzip.head.headerFields[.contentEncoding] == "gzip")
                    #expect(gzip.head.headerFields[.vary] == "Accept-Encoding")
                    #expect(gzip.head.headerFields[.contentType] == plain.head.headerFields[.contentType])
                    #expect(gzip.bytes.prefix(3) == [0x1F, 0x8B, 8])
                    #expect(gzip.bytes.count < plain.bytes.count / 2)
                    #expect(Array(gzip.bytes.suffix(8)) == Trailer.of(plain.bytes))
                }
                for encoding in ["gzip;q=0", "identity", "gzip;q=0.0, *;q=0", "br", ""] {
                    let reply = await Self.get(api, path, encoding, accept: accept)
                    #expect(reply.head.headerFields[.contentEncoding] == nil)
                    #expect(reply.bytes == plain.bytes)
                }
            }
        }
    }

    @Test func documentsOfOpenAPIAreKeptDeflated() async throws {
        try await TestAPI.run { api in
            for (path, accept) in [
                ("/openapi/v2", nil), ("/openapi/v3", nil), ("/openapi/v3/apis/apps/v1", nil),
                ("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"),
            ] {
                let plain = await Self.get(api, path, "gzip;q=0", accept: accept)
                #expect(plain.code == 200 && plain.head.headerFields[.contentEncoding] == nil)
                for _ in 0..<2 {
                    let gzip = await Self.get(api, path, "gzip", accept: accept)
                    #expect(gzip.head.headerFields[.contentEncoding] == "gzip")
                    #expect(gzip.head.headerFields[.vary] == "Accept, Accept-Encoding")
                    #expect(gzip.head.headerFields[.eTag] == plain.head.headerFields[.eTag])
                    #expect(Array(gzip.bytes.suffix(8)) == Trailer.of(plain.bytes))
                }
            }
        }
    }

    @Test func whatIsShortOrNotAReadStaysPlain() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Self.maps, Self.map("short", bytes: 1000))
            for path in [Self.maps, "\(Self.maps)/short", "\(Self.maps)/none"] {
                #expect(await Self.get(api, path, "gzip").head.headerFields[.contentEncoding] == nil)
            }
            let long = Self.map("long", bytes: 300_000).encoded()
            var create = api.request(.post, Self.maps, long)
            create.head.headerFields[.acceptEncoding] = "gzip"
            let made = await TestAPI.collect(await api.gateway.serve(create, as: TestAPI.admin))
            #expect(made.code == 201)
            #expect(made.head.headerFields[.contentEncoding] == nil)
            var watch = api.request(.get, "\(Self.maps)?watch=true&timeoutSeconds=1")
            watch.head.headerFields[.acceptEncoding] = "gzip"
            let events = await api.gateway.serve(watch, as: TestAPI.admin)
            #expect(events.head.status == .ok)
            #expect(events.head.headerFields[.contentEncoding] == nil)
        }
    }

    @Test func whenManyAreBeingDeflatedTheNextOnesGoAsTheyAre() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Self.maps, Self.map("long", bytes: 300_000))
            var request = api.request(.get, "\(Self.maps)/long")
            request.head.headerFields[.acceptEncoding] = "gzip"
            var held: [Response] = []
            for _ in 0..<Limits.compressions { held.append(await api.gateway.serve(request, as: TestAPI.admin)) }
            #expect(held.allSatisfy { $0.head.headerFields[.contentEncoding] == "gzip" })
            let plain = await TestAPI.collect(await api.gateway.serve(request, as: TestAPI.admin))
            #expect(plain.head.headerFields[.contentEncoding] == nil)
            #expect(plain.json.name == "long")
            // Nobody took them: their places are free again.
            held = []
            let next = await api.gateway.serve(request, as: TestAPI.admin)
            #expect(next.head.headerFields[.contentEncoding] == "gzip")
        }
    }
}

/// The end of a gzip stream (RFC 1952): the CRC-32 of what was deflated, and its length.
private enum Trailer {
    static func of(_ bytes: [UInt8]) -> [UInt8] {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return [~crc, UInt32(truncatingIfNeeded: bytes.count)].flatMap { word in
            (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
    }
}
