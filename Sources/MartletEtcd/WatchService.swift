internal import MartletBase
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore

/// `etcdserverpb.Watch`.
extension EtcdService {
    /// Serves one stream: its requests are taken here, its events are the hub's.
    func watch(_ call: GRPCServerCall) async throws {
        let id = await hub.open(call)
        do {
            while let bytes = try await call.next() {
                if bytes.count > limits.request { throw Refusal.tooLarge }
                switch try WatchRequest(bytes) {
                case .create(let options): try await create(options, id, call)
                case .cancel(let watch):
                    guard await hub.cancel(id, watch) else { continue }
                    try await call.send(WatchMessages.control(await header(), id: watch, canceled: true))
                case .progress:
                    let now = await header().revision
                    try await call.ready()
                    await hub.askProgress(id, now: now)
                case .nothing: continue
                }
            }
            // The client asks for nothing more; what it has asked for goes on until it leaves.
            await stay(call)
        } catch {
            await hub.close(id)
            throw error
        }
        await hub.close(id)
    }

    private func create(_ options: WatchOptions, _ id: UInt64, _ call: GRPCServerCall) async throws {
        var header = await header()
        do {
            if options.start < 0 { throw Refusal.compacted }
            header = try await look(call.context) { _, warrant in try warrant.need(.read, options.range) }.header
            let watch = try await hub.create(id, options, now: header.revision)
            // Told before its first event.
            try await call.send(WatchMessages.control(header, id: watch, created: true))
            await hub.start(id, watch, now: header.revision, term: header.term)
        } catch let refusal as Refusal {
            try await call.send(
                WatchMessages.control(header, id: -1, created: true, canceled: true, reason: refusal.reason))
        }
    }

    private func stay(_ call: GRPCServerCall) async {
        while !call.isOver, !Task.isCancelled {
            do { try await world.sleep(for: .seconds(10)) } catch { return }
        }
    }
}
