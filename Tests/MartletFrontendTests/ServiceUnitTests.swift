import Foundation
import MartletFrontend
import Testing

@Suite("The systemd unit") struct ServiceUnitTests {
    static let command = ["/usr/local/bin/martletd", "--data-dir", "/var/lib/martlet", "--images=/srv/a b/100%"]

    @Test(arguments: [true, false]) func itStartsTheDaemonAndLeavesContainersAlone(runsPods: Bool) {
        let unit = ServiceUnit(command: Self.command, dataDirectory: "/var/lib/martlet", runsPods: runsPods)
        let lines = unit.text.split(separator: "\n")
        let start = #"ExecStart="/usr/local/bin/martletd" "--data-dir" "/var/lib/martlet" "--images=/srv/a b/100%%""#
        #expect(lines.contains(Substring(start)))
        for line in ["Type=notify", "KillMode=process", "Delegate=yes", "Restart=always"] {
            #expect(lines.contains(Substring(line)))
        }
        // What a container would inherit is not taken from the daemon: sudo in a pod needs it.
        #expect(lines.contains("NoNewPrivileges=yes") == !runsPods)
    }

    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: analyze)), arguments: [true, false])
    func systemdTakesIt(runsPods: Bool) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-unit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: ServiceUnit.name)
        let unit = ServiceUnit(command: ["/bin/true"], dataDirectory: "/var/lib/martlet", runsPods: runsPods)
        try unit.text.write(to: file, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: analyze)
        process.arguments = ["verify", "--man=no", file.path]
        let output = Pipe()
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(!text.contains(ServiceUnit.name), "\(text)")
    }
}

private let analyze = "/usr/bin/systemd-analyze"
