public import MartletBase
internal import Synchronization

/// Carries the bytes of an upgraded connection.
public enum Splice {
    /// Bytes taken at once. One read is passed on before the next, so a slow side slows the other down.
    private static let piece = 64 * 1024

    /// Both ways until both sides have ended. A side that breaks takes the other with it, after what it has said. Both
    /// are ended when nothing has moved either way for `idle`, `farewell` after the server has ended its side (what a
    /// client says then moves nobody, and one that is hung would hold both for ever), or when the task is cancelled.
    public static func run(
        _ client: any ByteStream, _ server: any ByteStream, idle: Duration, farewell: Duration, in world: any World
    ) async {
        let cut: @Sendable () -> Void = {
            client.close()
            server.close()
        }
        await watched(idle: idle, in: world, cut: cut) { moved in
            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await pump(from: client, to: server, moved)
                    return false
                }
                group.addTask {
                    await pump(from: server, to: client, moved)
                    return true
                }
                guard await group.next() == true else { return }
                group.addTask {
                    try? await world.sleep(for: farewell)
                    return true
                }
                _ = await group.next()
                cut()
                group.cancelAll()
            }
        }
        cut()
    }

    /// Runs `body`, which says when something moves, and calls `cut` when nothing has for `idle`, or the task is
    /// cancelled.
    public static func watched(
        idle: Duration, in world: any World, cut: @escaping @Sendable () -> Void,
        _ body: @escaping @Sendable (_ moved: @escaping @Sendable (Int) -> Void) async -> Void
    ) async {
        let last = LastMove(world.now())
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await withTaskCancellationHandler {
                    await body { _ in last.time.withLock { $0 = world.now() } }
                } onCancel: {
                    cut()
                }
                return true
            }
            group.addTask {
                while true {
                    let deadline = last.time.withLock { $0 } + idle
                    if world.now() >= deadline { return false }
                    guard (try? await world.sleep(until: deadline)) != nil else { return false }
                }
            }
            _ = await group.next()
            group.cancelAll()
        }
    }

    private static func pump(
        from source: any ByteStream, to sink: any ByteStream, _ moved: @Sendable (Int) -> Void
    ) async {
        while true {
            do {
                let bytes = try await source.read(atMost: piece)
                if bytes.isEmpty { return await sink.closeWrite() }
                moved(bytes.count)
                // One that takes no more may have spoken its last words already: the other way carries them and ends.
                guard (try? await sink.write(bytes)) != nil else { return }
                moved(bytes.count)
            } catch {
                source.close()
                sink.close()
                return
            }
        }
    }
}

/// When something last moved.
private final class LastMove: Sendable {
    let time: Mutex<MonotonicTime>
    init(_ time: MonotonicTime) { self.time = Mutex(time) }
}
