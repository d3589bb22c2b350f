import HTTPTypes
import MartletObject
import Testing

@testable import MartletGateway

/// Reads the wire format of protocol buffers, knowing nothing of the messages.
private struct Fields {
    /// The values of each field: the bytes of text and messages, the bits of numbers.
    private(set) var bytes: [Int: [[UInt8]]] = [:]
    private(set) var numbers: [Int: [UInt64]] = [:]

    /// Nil when the bytes are no message.
    init?(_ message: [UInt8]?) {
        guard var rest = message?[...] else { return nil }
        while !rest.isEmpty {
            guard let key = Self.varint(&rest) else { return nil }
            let number = Int(key >> 3)
            switch key & 7 {
            case 0:
                guard let value = Self.varint(&rest) else { return nil }
                numbers[number, default: []].append(value)
            case 1:
                guard rest.count >= 8 else { return nil }
                numbers[number, default: []].append(rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })
                rest.removeFirst(8)
            case 2:
                guard let count = Self.varint(&rest), count <= rest.count else { return nil }
                bytes[number, default: []].append(Array(rest.prefix(Int(count))))
                rest.removeFirst(Int(count))
            default: return nil
            }
        }
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    subscript(_ number: Int) -> Fields? { Fields(bytes[number]?.first) }
    func all(_ number: Int) -> [Fields] { (bytes[number] ?? []).compactMap { Fields($0) } }
    func text(_ number: Int) -> String? { bytes[number]?.first.map { String(decoding: $0, as: UTF8.self) } }
    /// The value of the `NamedX` called `name`, in a repeated field.
    func named(_ name: String, in number: Int) -> Fields? { all(number).first { $0.text(1) == name }?[2] }
}

@Suite struct OpenAPIProtobufTests {
    @Test func aSmallDocumentIsWrittenByteForByte() {
        let document: JSON = [
            "swagger": "2.0", "paths": ["/a": ["get": ["deprecated": true, "x-k": ["a": 1]]]],
        ]
        let yaml: [UInt8] = [0x12, 7] + "{\"a\":1}".utf8  // Any.yaml = 2
        let vendor: [UInt8] = [0x0A, 3] + "x-k".utf8 + [0x12, 9] + yaml  // NamedAny: name = 1, value = 2
        let get: [UInt8] = [0x58, 1] + [0x6A, 16] + vendor  // Operation: deprecated = 11, vendor_extension = 13
        let named: [UInt8] = [0x0A, 2] + "/a".utf8 + [0x12, 22] + [0x12, 20] + get  // PathItem.get = 2
        let paths: [UInt8] = [0x42, 30] + [0x12, 28] + named  // Document.paths = 8, Paths.path = 2
        #expect(OpenAPIProtobuf.encode(document) == [0x0A, 3] + "2.0".utf8 + paths)
    }

    @Test func aSchemaKeepsItsNumbersFlagsListsAndNestedSchemas() throws {
        let schema: JSON = [
            "type": "object", "required": ["a", "b"], "maximum": 1.5, "minItems": 300, "readOnly": false,
            "enum": ["x", 2], "additionalProperties": false, "items": ["type": "string"],
            "properties": ["a": ["additionalProperties": ["$ref": "#/definitions/B"]]],
        ]
        var encoder = OpenAPIProtobuf()
        let fields = try #require(Fields(encoder.encode(schema, as: .schema)))
        #expect(fields[22]?.text(1) == "object")
        #expect(fields.bytes[19] == [Array("a".utf8), Array("b".utf8)])
        #expect(fields.numbers[7] == [(1.5).bitPattern])
        #expect(fields.numbers[15] == [300])
        #expect(fields.numbers[27] == [0])
        #expect(fields.all(20).map { $0.text(2) } == ["\"x\"", "2"])
        #expect(fields[21]?.numbers[2] == [0])
        #expect(fields[23]?[1]?[22]?.text(1) == "string")
        #expect(fields[25]?.named("a", in: 1)?[21]?[1]?.text(1) == "#/definitions/B")
        #expect(encoder.unknown.isEmpty)
    }

    @Test func aMemberWithoutAFieldIsLeftOutAndTold() {
        var encoder = OpenAPIProtobuf()
        #expect(encoder.encode(["moon": "full"], as: .schema).isEmpty)
        #expect(encoder.unknown == ["schema.moon"])
    }

    @Test func theServedDocumentSaysInBothFormsTheSame() async throws {
        var encoder = OpenAPIProtobuf()
        let json = OpenAPI.v2()
        let document = try #require(Fields(encoder.encode(json, as: .document)))
        #expect(encoder.unknown.isEmpty)
        let paths = try #require(document[8])
        #expect(paths.all(2).map { $0.text(1) } == (json["paths"]?.members ?? []).map(\.key))
        let definitions = try #require(document[9]).all(1)
        #expect(definitions.map { $0.text(1) } == (json["definitions"]?.members ?? []).map(\.key))
        // What kubectl looks for: whether a kind's patch checks fields.
        let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        let patch = try #require(paths.named(path, in: 2)?[8])
        let kind = patch.named("x-kubernetes-group-version-kind", in: 13)?.text(2)
        #expect(kind == "{\"group\":\"apps\",\"version\":\"v1\",\"kind\":\"Deployment\"}")
        let queries = patch.all(8).compactMap { $0[1]?[2]?[3]?.text(4) }
        #expect(queries == ["dryRun", "fieldManager", "fieldValidation", "force"])
        #expect(patch.all(8).compactMap { $0[1]?[1]?.text(2) } == ["body"])
        #expect(paths.named(path, in: 2)?.all(9).compactMap { $0[1]?[2]?[4]?.text(4) } == ["name", "namespace"])
        let answer = patch[9]?.named("200", in: 1)?[1]?[2]?[1]?.text(1)
        #expect(answer == "#/definitions/io.k8s.api.apps.v1.Deployment")
    }

    @Test func theThirdVersionSaysInBothFormsTheSame() async throws {
        var encoder = OpenAPIProtobuf()
        let json = try #require(OpenAPI.v3(group: "apps", version: "v1"))
        let document = try #require(Fields(encoder.encode(json, as: .document3)))
        #expect(encoder.unknown.isEmpty)
        #expect(document.text(1) == "3.0.0")
        let paths = try #require(document[4])
        #expect(paths.all(1).map { $0.text(1) } == (json["paths"]?.members ?? []).map(\.key))
        let schemas = try #require(document[5]?[1])
        #expect(schemas.all(1).map { $0.text(1) } == (json["components", "schemas"]?.members ?? []).map(\.key))
        let spec = try #require(schemas.named("io.k8s.api.apps.v1.DeploymentSpec", in: 1)?[1])
        #expect(spec.text(25) == "object")
        let replicas = spec[31]?.named("replicas", in: 1)?[1]
        #expect(replicas?.text(25) == "integer" && replicas?.text(35) == "int32")
        let selector = spec[31]?.named("selector", in: 1)?[1]?[26]?[2]?.text(1)
        #expect(selector == "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector")
        let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        let patch = try #require(paths.named(path, in: 1)?[10])
        #expect(patch.text(5) == "patchAppsV1NamespacedDeployment")
        #expect(patch.all(6).compactMap { $0[1]?.text(1) } == ["dryRun", "fieldManager", "fieldValidation", "force"])
        let answer = patch[8]?.named("200", in: 2)?[1]?[3]?.named("application/json", in: 1)?[1]?[2]?.text(1)
        #expect(answer == "#/components/schemas/io.k8s.api.apps.v1.Deployment")
    }

    @Test func theThirdVersionIsServedInBothForms() async throws {
        try await TestAPI.run { api in
            let type = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
            let path = "/openapi/v3/apis/apps/v1"
            let encoded = await api.get(path, accept: "application/com.github.proto-openapi.spec.v3@v1.0+protobuf")
            #expect(encoded.head.headerFields[.contentType] == type)
            #expect(Fields(encoded.bytes)?.text(1) == "3.0.0")
            #expect(await api.get(path, accept: "application/json").json["openapi"] == "3.0.0")
        }
    }

    @Test func theFormIsChosenByTheAcceptHeader() async throws {
        try await TestAPI.run { api in
            let old = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
            let new = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
            for accept in [old, new, "\(new),application/json;q=0.5"] {
                let reply = await api.get("/openapi/v2", accept: accept)
                #expect(reply.code == 200 && reply.head.headerFields[.contentType] == new, "\(accept)")
                #expect(Fields(reply.bytes)?.text(1) == "2.0", "\(accept)")
            }
            for accept in [nil, "*/*", "application/json", "application/json,\(new)"] {
                let reply = await api.get("/openapi/v2", accept: accept)
                #expect(reply.head.headerFields[.contentType] == "application/json", "\(accept ?? "none")")
                #expect(reply.json["swagger"] == "2.0")
            }
            #expect(await api.get("/openapi/v2", accept: "text/html").code == 406)
        }
    }

    @Test func definitionsOfCustomResourcesAreAKindLikeOthers() async throws {
        try await TestAPI.run { api in
            let list = await api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?limit=500")
            #expect(list.json.kind == "CustomResourceDefinitionList" && list.json["items"] == [])
        }
    }
}
