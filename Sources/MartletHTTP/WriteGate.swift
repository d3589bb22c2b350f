internal import MartletBase

/// Lets several tasks write to one stream: whole pieces, one after the other, in the order of their coming.
actor WriteGate {
    private let stream: any ByteStream
    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ stream: any ByteStream) { self.stream = stream }

    /// Writes what `make` gives when its turn has come.
    /// - Throws: what the stream throws.
    func write(_ make: @Sendable () -> [UInt8]) async throws {
        if isBusy {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            isBusy = true
        }
        defer { if waiting.isEmpty { isBusy = false } else { waiting.removeFirst().resume() } }
        try await stream.write(make())
    }
}
