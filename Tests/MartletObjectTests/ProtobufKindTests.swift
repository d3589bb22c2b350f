import FuzzSupport
import MartletBase
import Testing

@testable import MartletObject

/// Every kind that has a protobuf form is read from it. The bytes are made here, along the tables, as Go makes them.
@Suite struct ProtobufKindTests {
    private let tables = SchemaTables.all

    private func message(_ value: JSON, _ type: SchemaType) throws -> Message {
        try message(value, type, type.wire)
    }

    private func message(_ value: JSON, _ type: SchemaType, _ wire: WireFields) throws -> Message {
        var result = Message()
        for (number, entry) in wire.entries.sorted(by: { $0.key < $1.key }) {
            switch entry {
            case .inlined(let inner):
                let inside = try message(value, type, inner)
                if !inside.bytes.isEmpty { result = result.message(number, inside) }
            case .field(let place):
                let field = type.fields[place]
                guard let member = value[field.name] else { continue }
                result = try append(member, tables.resolved(field.type), number, to: result)
            }
        }
        return result
    }

    private func append(_ value: JSON, _ type: FieldType, _ number: Int, to message: Message) throws -> Message {
        switch type {
        case .string: return message.text(number, value.string ?? "")
        case .bool: return message.number(number, value.bool == true ? 1 : 0)
        case .int32, .int64: return message.number(number, Int64(value.int ?? 0))
        case .bytes: return message.raw(number, try #require(Base64.decode(value.string ?? "")))
        case .quantity: return message.message(number, Message().text(1, value.string ?? ""))
        case .intOrString:
            let text = value.string
            let inner = Message().number(1, text == nil ? 0 : 1).number(2, Int64(value.int ?? 0)).text(3, text ?? "")
            return message.message(number, inner)
        case .time, .microTime:
            let time = try #require(WallTime(rfc3339: value.string ?? ""))
            let whole = time.nanoseconds / 1_000_000_000
            return message.message(
                number, Message().number(1, whole).number(2, time.nanoseconds - whole * 1_000_000_000))
        case .any: return message.message(number, Message().raw(1, value.encoded()))
        case .double: return message
        case .list(let element):
            return try (value.array ?? []).reduce(message) {
                try append($1, tables.resolved(element), number, to: $0)
            }
        case .map(let element):
            return try value.members.reduce(message) { message, member in
                let entry = try append(member.value, tables.resolved(element), 2, to: Message().text(1, member.key))
                return message.message(number, entry)
            }
        case .named(let place): return message.message(number, try self.message(value, tables.types[place]))
        }
    }

    @Test func everyKindIsReadFromItsBytes() throws {
        for kind in ResourceKind.all where kind.verbs.contains("list") && kind.group != ResourceKind.gateway.group {
            let label = "\(kind.apiVersion) \(kind.kind)"
            let text = try #require(KindSamples.text(apiVersion: kind.apiVersion, kind: kind.kind))
            let object = try admitted(text, kind)
            let type = tables.types[try #require(tables.place(of: kind.kind, in: kind.apiVersion))]
            let body = try message(object, type).body(kind.apiVersion, kind.kind)
            var (read, unknown) = try Schema.conform(try ProtobufBody.decode(body), to: kind)
            #expect(unknown == [], "\(label)")
            // A claim in a template does not say in protobuf what it is; defaults do.
            Defaults.apply(to: &read, kind: kind)
            #expect(read == object, "\(label)")
        }
    }

    @Test func everyFieldButTheGatewayAPIsHasANumber() {
        for type in tables.types where !type.package.hasPrefix("io.k8s.networking.gateway") {
            for field in type.fields where field.numbers.isEmpty {
                #expect(type.isKind && ["apiVersion", "kind"].contains(field.name), "\(type.name).\(field.name)")
            }
        }
    }
}
