internal import HTTPTypes
internal import MartletHTTP

extension Response {
    /// Whether its body outlives the call that made it: it is long, or still to come.
    var isHeld: Bool {
        switch body {
        case .bytes(let bytes): bytes.count > Limits.heldAnswer
        case .stream, .upgrade: true
        }
    }

    /// Keeps a place, or room, until the body has been sent.
    mutating func hold(_ holder: (some AnyObject & Sendable)?) {
        guard let holder, isHeld else { return }
        switch body {
        case .bytes(let bytes):
            head.headerFields[.contentLength] = "\(bytes.count)"
            body = .stream { writer in
                defer { withExtendedLifetime(holder) {} }
                try await writer.write(bytes)
            }
        case .stream(let write):
            body = .stream { writer in
                defer { withExtendedLifetime(holder) {} }
                try await write(writer)
            }
        case .upgrade(let run):
            body = .upgrade { stream in
                defer { withExtendedLifetime(holder) {} }
                await run(stream)
            }
        }
    }
}
