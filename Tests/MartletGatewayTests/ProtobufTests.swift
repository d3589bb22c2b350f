import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

/// Bodies in protobuf's form, as newer clients send them, over the gateway.
@Suite struct ProtobufTests {
    private static let media = "application/vnd.kubernetes.protobuf"

    /// An object's envelope: its kind, and its message.
    private func body(_ apiVersion: String, _ kind: String, _ message: [UInt8]) -> [UInt8] {
        let meta = field(1, Array(apiVersion.utf8)) + field(2, Array(kind.utf8))
        return ProtobufBody.magic + field(1, meta) + field(2, message)
    }
    /// A counted field of a message, of less than 128 bytes.
    private func field(_ number: UInt8, _ value: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(value.count)] + value }
    private func named(_ name: String) -> [UInt8] { field(1, field(1, Array(name.utf8))) }
    private func configMap(_ name: String, _ value: String) -> [UInt8] {
        body("v1", "ConfigMap", named(name) + field(2, field(1, Array("a".utf8)) + field(2, Array(value.utf8))))
    }

    @Test func objectsAreCreatedChangedAndDeletedInProtobufAndServedAsJSON() async throws {
        try await TestAPI.run { api in
            let accept = "\(Self.media),application/json"
            let created = await api.send(
                .post, "\(Paths.configMaps)?fieldValidation=Strict", configMap("a", "b"), accept: accept,
                type: Self.media)
            #expect(created.code == 201 && created.json["data"] == ["a": "b"])
            #expect(created.head.headerFields[.contentType] == "application/json")
            let changed = await api.send(
                .put, "\(Paths.configMaps)/a", configMap("a", "c"), accept: accept, type: Self.media)
            #expect(changed.code == 200)
            #expect(await api.get("\(Paths.configMaps)/a").json["data"] == ["a": "c"])
            let options = body("v1", "DeleteOptions", field(2, field(1, Array("other".utf8))))
            #expect(await api.send(.delete, "\(Paths.configMaps)/a", options, type: Self.media).code == 409)
            let none = body("v1", "DeleteOptions", [])
            #expect(await api.send(.delete, "\(Paths.configMaps)/a", none, type: Self.media).code == 200)
            #expect(await api.get("\(Paths.configMaps)/a").code == 404)
        }
    }

    @Test func whatIsNoProtobufOrOfAnotherKindIsRefused() async throws {
        try await TestAPI.run { api in
            let json = await api.send(.post, Paths.configMaps, Array("{}".utf8), type: Self.media)
            #expect(json.code == 400 && json.message.contains("k8s"))
            let secret = await api.send(
                .post, Paths.configMaps, body("v1", "Secret", named("a")), type: Self.media)
            #expect(secret.message == "Secret in version \"v1\" cannot be handled as a ConfigMap")
            let cbor = await api.send(.post, Paths.configMaps, [0xA0], type: "application/cbor")
            #expect(cbor.code == 415 && cbor.message.hasSuffix("application/json, application/yaml, \(Self.media)"))
        }
    }
}
