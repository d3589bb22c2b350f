import MartletBase
import MartletSimulation
import Testing

private func record(_ index: UInt64) -> LogRecord { LogRecord(index: index, payload: [UInt8(index % 256)]) }

@Suite struct ASimulatedDisk {
    @Test(arguments: UInt64(1)...50)
    func keepsWhatIsDurableAndAPrefixOfTheRest(seed: UInt64) throws {
        let world = SimWorld(seed: seed)
        try world.run {
            let disk = SimDisk("m1", in: world, seed: seed)
            let log = try disk.open()
            try await log.append((1...5).map(record))
            world.spawn { try? await log.append((6...10).map(record)) }
            await Task.yield()
            try await world.sleep(for: .microseconds(Int(seed * 20)))
            disk.crash()
            let again = try disk.open()
            let bounds = await again.bounds
            #expect(bounds.lowerBound == 1 && (6...11).contains(bounds.upperBound))
            let found = try await again.read(from: 1, limit: 100)
            #expect(found == (1..<bounds.upperBound).map(record))
            await #expect(throws: LogError.self) { try await log.append([record(bounds.upperBound)]) }
            try await again.append([record(bounds.upperBound)])
            try await again.truncatePrefix(before: 4)
            #expect(await again.bounds.lowerBound == 4)
            try await again.truncateSuffix(from: 6)
            #expect(try await again.read(from: 4, limit: 100) == [record(4), record(5)])
            try await again.truncatePrefix(before: 20)
            #expect(await again.bounds == 20..<20)
            try await again.append([record(20)])
        }
    }

    @Test func fails() throws {
        let world = SimWorld(seed: 1)
        try world.run {
            let disk = SimDisk("m1", in: world, seed: 1)
            let log = try disk.open()
            try await log.append([record(1)])
            disk.isFull = true
            await #expect(throws: LogError.refused(operation: "append", file: "m1/wal", .noSpace)) {
                try await log.append([record(2)])
            }
            disk.isFull = false
            try await log.append([record(2)])
            disk.failNextSync()
            await #expect(throws: LogError.self) { try await log.append([record(3)]) }
            await #expect(throws: LogError.self) { try await log.append([record(3)]) }
            disk.crash()
            _ = try disk.open()
            #expect(disk.rot())
            #expect(disk.isRotten)
            #expect(throws: LogError.self) { try disk.open() }
        }
    }

    @Test func losesWhatAMutationDoesNotSync() throws {
        let world = SimWorld(seed: 1)
        try world.run {
            var lost = 0
            for seed in UInt64(1)...20 {
                let disk = SimDisk("m1", in: world, seed: seed, mutation: .skipsFsync)
                try await disk.open().append([record(1), record(2)])
                disk.crash()
                lost += Int(3 - (await (try disk.open()).bounds.upperBound))
            }
            #expect(lost > 0)
        }
    }
}
