public import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletObject

/// Why an image could not be built.
public struct ImageError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}

/// Builds an image of one layer from files in memory, as an OCI image archive (image-spec 1.0, image layout in a tar):
/// for machines without a registry. The same content gives the same bytes, and so the same digests.
public struct ImageBuilder: Sendable {
    /// What the image is called, with its registry and tag, as `martlet.local/busybox:1`.
    public var reference: String
    /// Starts a container, before its arguments.
    public var entrypoint: [String] = []
    /// Arguments of containers that give none.
    public var command: [String] = []
    /// Variables of every container.
    public var environment: [(name: String, value: String)] = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    ]
    /// Where containers start; empty for `/`.
    public var workingDirectory = ""
    /// As `SIGQUIT`; empty for SIGTERM.
    public var stopSignal = ""

    private enum Entry: Sendable {
        case file([UInt8], mode: UInt32)
        case link(target: String)
        case directory(mode: UInt32)
    }
    private var entries: [(path: String, entry: Entry)] = []

    /// An image of nothing but what is added.
    public init(reference: String) { self.reference = reference }

    /// Adds a file; `path` counts from the root, with or without a leading slash.
    public mutating func add(file path: String, _ content: [UInt8], mode: UInt32 = 0o644) {
        entries.append((Self.relative(path), .file(content, mode: mode)))
    }
    /// Adds a symbolic link.
    public mutating func add(link path: String, to target: String) {
        entries.append((Self.relative(path), .link(target: target)))
    }
    /// Adds a folder; those above files come by themselves.
    public mutating func add(directory path: String, mode: UInt32 = 0o755) {
        entries.append((Self.relative(path), .directory(mode: mode)))
    }

    /// Adds BusyBox with a link per applet, and the few files that programs expect of a system.
    public mutating func add(_ busybox: BusyBox) {
        for folder in ["dev", "etc", "proc", "root", "run", "sys", "var"] { add(directory: folder) }
        add(directory: "tmp", mode: 0o1777)
        add(file: "etc/passwd", Array("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n".utf8))
        add(file: "etc/group", Array("root:x:0:\nnogroup:x:65534:\n".utf8))
        add(file: "bin/busybox", busybox.program, mode: 0o755)
        for applet in busybox.applets.sorted() where applet != "busybox" { add(link: "bin/\(applet)", to: "busybox") }
    }

    /// The archive.
    /// - Throws: ``ImageError`` when a path does not fit.
    public func archive() throws(ImageError) -> [UInt8] {
        let layer = try Blob(layer())
        let config = Blob(self.config(layer: layer).encoded())
        let manifest: JSON = [
            "schemaVersion": 2, "mediaType": .string(MediaType.manifest),
            "config": config.descriptor(MediaType.config), "layers": [layer.descriptor(MediaType.layer)],
        ]
        let manifestBlob = Blob(manifest.encoded())
        var entry = manifestBlob.descriptor(MediaType.manifest)
        entry["platform"] = ["architecture": .string(Self.architecture), "os": "linux"]
        entry["annotations"] = [
            "io.containerd.image.name": .string(reference),
            "org.opencontainers.image.ref.name": .string(tag),
        ]
        let index: JSON = ["schemaVersion": 2, "mediaType": .string(MediaType.index), "manifests": [entry]]
        let layout: JSON = ["imageLayoutVersion": "1.0.0"]
        var tar = TarWriter()
        try tar.add(file: "oci-layout", layout.encoded(), mode: 0o644)
        try tar.add(file: "index.json", index.encoded(), mode: 0o644)
        for blob in [manifestBlob, config, layer] {
            try tar.add(file: "blobs/sha256/\(blob.digest)", blob.bytes, mode: 0o644)
        }
        return tar.finish()
    }

    // MARK: Inside

    private enum MediaType {
        static let manifest = "application/vnd.oci.image.manifest.v1+json"
        static let config = "application/vnd.oci.image.config.v1+json"
        static let layer = "application/vnd.oci.image.layer.v1.tar"
        static let index = "application/vnd.oci.image.index.v1+json"
    }

    private struct Blob {
        var bytes: [UInt8]
        var digest: String
        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            digest = Digest.hex(Digest.sha256(bytes))
        }
        func descriptor(_ type: String) -> JSON {
            ["mediaType": .string(type), "digest": .string("sha256:\(digest)"), "size": .int(Int64(bytes.count))]
        }
    }

    private static func relative(_ path: String) -> String {
        path.split(separator: "/").filter { $0 != "." && $0 != ".." }.joined(separator: "/")
    }

    private var tag: String {
        let name = reference.split(separator: "/").last ?? ""
        return name.split(separator: ":").dropFirst().first.map(String.init) ?? "latest"
    }

    /// This machine's architecture, as Go names it.
    private static var architecture: String {
        #if arch(arm64)
        "arm64"
        #else
        "amd64"
        #endif
    }

    private func layer() throws(ImageError) -> [UInt8] {
        var tar = TarWriter()
        for (path, entry) in entries {
            switch entry {
            case .file(let content, let mode): try tar.add(file: path, content, mode: mode)
            case .link(let target): try tar.add(link: path, to: target)
            case .directory(let mode): try tar.add(directory: path, mode: mode)
            }
        }
        return tar.finish()
    }

    private func config(layer: Blob) -> JSON {
        func list(_ words: [String]) -> JSON { .array(words.map { .string($0) }) }
        var run: JSON = ["Env": list(environment.map { "\($0.name)=\($0.value)" })]
        if !entrypoint.isEmpty { run["Entrypoint"] = list(entrypoint) }
        if !command.isEmpty { run["Cmd"] = list(command) }
        if !workingDirectory.isEmpty { run["WorkingDir"] = .string(workingDirectory) }
        if !stopSignal.isEmpty { run["StopSignal"] = .string(stopSignal) }
        return [
            "created": "1970-01-01T00:00:00Z", "architecture": .string(Self.architecture), "os": "linux",
            "config": run, "rootfs": ["type": "layers", "diff_ids": [.string("sha256:\(layer.digest)")]],
            "history": [["created": "1970-01-01T00:00:00Z", "created_by": "martlet"]],
        ]
    }
}

/// BusyBox in one static file, as Debian's package busybox-static installs it.
public struct BusyBox: Sendable {
    /// The program.
    public var program: [UInt8]
    /// Names that it answers to.
    public var applets: [String]

    /// BusyBox from its parts.
    public init(program: [UInt8], applets: [String]) {
        self.program = program
        self.applets = applets
    }

    /// Reads the host's.
    /// - Throws: ``ImageError`` when it is not there.
    public static func ofHost(in world: any World) async throws -> BusyBox {
        guard let path = ChildProcess.find("busybox") else {
            throw ImageError("busybox is missing: install the Debian package busybox-static")
        }
        let listed = try await ChildProcess.run(path, ["--list"], timeout: .seconds(10), in: world)
        let applets = String(decoding: listed.output, as: UTF8.self).split(separator: "\n").map(String.init)
        guard listed.status == 0, applets.contains("sh") else {
            throw ImageError("\(path) --list does not name its applets: install the Debian package busybox-static")
        }
        return BusyBox(program: try Files.read(path), applets: applets)
    }
}

/// The image of the process that holds a pod's namespaces.
public enum PauseImage {
    /// What it is called.
    public static let reference = "martlet.local/pause:1"

    /// As process 1 of its namespace it takes up orphans (the shell waits for any child) and ends when asked.
    public static let script = """
        #!/bin/sh
        trap 'exit 0' TERM INT
        while :; do
          sleep 2147483647 &
          wait
        done

        """

    /// The image, of the host's BusyBox.
    public static func image(_ busybox: BusyBox) -> ImageBuilder {
        var image = ImageBuilder(reference: reference)
        image.add(file: "bin/busybox", busybox.program, mode: 0o755)
        for applet in ["sh", "sleep"] { image.add(link: "bin/\(applet)", to: "busybox") }
        image.add(file: "pause", Array(script.utf8), mode: 0o755)
        image.entrypoint = ["/pause"]
        return image
    }
}
