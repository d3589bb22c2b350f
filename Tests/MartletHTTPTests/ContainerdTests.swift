import MartletBase
import MartletIO
import Testing

@testable import MartletHTTP

#if canImport(Glibc)
import Glibc
#else
import Musl
#endif

/// Talks to a real containerd: needs root and its program, and is skipped where they are not.
@Suite(.enabled(if: getuid() == 0 && ChildProcess.find("containerd") != nil, "needs root and containerd"))
struct ContainerdSpeaks {
    @Test func theRuntimeTellsItsVersion() async throws {
        let world = try Reactor(name: "test")
        let folder = "/tmp/martlet-grpc-\(world.random())"
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let config = """
            version = 2
            root = "\(folder)/root"
            state = "\(folder)/state"
            [grpc]
              address = "\(folder)/s"
            [plugins."io.containerd.internal.v1.opt"]
              path = "\(folder)/opt"
            """
        try Files.write(Array(config.utf8), to: "\(folder)/config.toml")
        let program = try #require(ChildProcess.find("containerd"))
        let daemon = try ChildProcess(program, ["--config", "\(folder)/config.toml"], in: world)
        let channel = GRPCChannel(endpoint: .unix("\(folder)/s"), authority: "localhost", in: world)
        let answer = await world.spawnValue { await firstAnswer(of: channel, in: world) }
        daemon.signal(SIGTERM)
        _ = await daemon.wait()
        // The answer's second field is the runtime's name (VersionResponse.runtime_name).
        let text = String(decoding: answer ?? [], as: UTF8.self)
        #expect(text.contains("containerd"))
        // The daemon is gone: the next call finds nobody, and says so.
        let status = await world.spawnValue { () -> Int? in
            do {
                _ = try await channel.unary("/runtime.v1.RuntimeService/Version", [], timeout: .seconds(5))
                return nil
            } catch let status as GRPCStatus {
                return status.code
            } catch {
                return nil
            }
        }
        #expect(status == 14)
    }
}

/// Calls until the daemon listens, for at most 20 seconds.
private func firstAnswer(of channel: GRPCChannel, in world: any World) async -> [UInt8]? {
    let deadline = world.now() + .seconds(20)
    while world.now() < deadline {
        do {
            return try await channel.unary("/runtime.v1.RuntimeService/Version", [], timeout: .seconds(5))
        } catch {
            try? await world.sleep(for: .milliseconds(50))
        }
    }
    return nil
}

extension World {
    /// Runs `operation` on this world and waits for what it gives.
    func spawnValue<Value: Sendable>(_ operation: @escaping @Sendable () async -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            spawn { continuation.resume(returning: await operation()) }
        }
    }
}
