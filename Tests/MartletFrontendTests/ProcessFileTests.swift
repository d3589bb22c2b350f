import Foundation
import MartletFrontend
import Testing

@Suite("Whose data folder it is") struct ProcessFileTests {
    @Test func anOldFileNamesNobody() throws {
        let folder = NSTemporaryDirectory() + "martlet-process-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = ProcessFile(dataDirectory: folder)
        #expect(file.owner == nil)
        // A process that runs, and has nothing to do with it.
        try "\(getpid())\n".write(toFile: file.path, atomically: true, encoding: .utf8)
        #expect(file.owner == nil)
    }
}
