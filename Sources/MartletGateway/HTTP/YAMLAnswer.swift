internal import HTTPTypes
internal import MartletHTTP
internal import MartletObject
internal import Synchronization

extension Response {
    /// The same answer in YAML, when it is in JSON: written anew while it is sent, so that a long list takes no more
    /// memory than in JSON.
    var inYAML: Response {
        let type = head.headerFields[.contentType] ?? ""
        guard type.hasPrefix("application/json") else { return self }
        var answer = self
        switch body {
        case .bytes(let bytes):
            if bytes.isEmpty { return self }
            var output: [UInt8] = []
            var writer = YAMLWriter()
            writer.write(bytes, into: &output)
            writer.finish(into: &output)
            answer.body = .bytes(output)
        case .stream(let write):
            answer.body = .stream { writer in
                let yaml = YAMLBodyWriter(writer)
                try await write(yaml)
                try await yaml.finish()
            }
        case .upgrade: return self
        }
        answer.head.headerFields[.contentType] = MediaRange.yaml
        answer.head.headerFields[.contentLength] = nil
        return answer
    }
}

/// Writes the pieces of a body in JSON as YAML.
private final class YAMLBodyWriter: BodyWriter {
    private let writer: any BodyWriter
    private let yaml = Mutex(YAMLWriter())

    init(_ writer: any BodyWriter) { self.writer = writer }

    func write(_ bytes: [UInt8]) async throws { try await send { $0.write(bytes, into: &$1) } }

    func finish() async throws { try await send { $0.finish(into: &$1) } }

    private func send(_ step: (inout YAMLWriter, inout [UInt8]) -> Void) async throws {
        let output = yaml.withLock { yaml in
            var output: [UInt8] = []
            step(&yaml, &output)
            return output
        }
        if !output.isEmpty { try await writer.write(output) }
    }
}
