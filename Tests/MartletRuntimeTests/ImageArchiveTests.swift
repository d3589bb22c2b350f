import FuzzSupport
import MartletBase
import MartletIO
import MartletObject
import Testing

@testable import MartletRuntime

@Suite("What an archive says of its images") struct ImageArchiveTests {
    private func images(_ bytes: [UInt8]) -> [ImageArchive.Image]? {
        ImageArchive.images { offset, count in
            offset + count <= bytes.count ? Array(bytes[offset..<offset + count]) : nil
        }
    }

    private func tar(_ files: [(String, JSON)]) throws -> [UInt8] {
        var tar = TarWriter()
        for (name, content) in files { try tar.add(file: name, content.encoded(), mode: 0o644) }
        return tar.finish()
    }

    private func sample() throws -> [UInt8] {
        var image = ImageBuilder(reference: "martlet.local/sample:3")
        image.add(file: "blob", [UInt8](repeating: 7, count: 5000))
        return try image.archive()
    }

    @Test("An image layout's are known by the digests of their configurations, without a look at the layers")
    func layout() throws {
        let bytes = try sample()
        let all = try #require(images(bytes))
        #expect(all.map(\.reference) == ["martlet.local/sample:3"])
        let id = try #require(all.first?.ids.first)
        #expect(all.first?.ids.count == 1 && id.hasPrefix("sha256:"))
        // A file that has this digest is in it, and says what a configuration says.
        let name = Array("blobs/sha256/\(id.dropFirst(7))".utf8)
        #expect(bytes.indices.contains { bytes[$0...].starts(with: name) })
        #expect(images(Array(bytes.prefix(bytes.count - 5000))) == all)
        let file = try Files.makeTemporaryDirectory()
        defer { try? Files.remove(file) }
        try Files.write(bytes, to: file + "/a.tar")
        #expect(ImageArchive.images(ofFile: file + "/a.tar") == all)
        #expect(ImageArchive.images(ofFile: file + "/b.tar") == nil)
    }

    @Test("Of an image for several platforms each configuration in the archive counts")
    func platforms() throws {
        let index: JSON = [
            "manifests": [
                ["digest": "sha256:aa", "annotations": ["io.containerd.image.name": "a:1"]]
            ]
        ]
        let bytes = try tar([
            ("oci-layout", [:]), ("index.json", index),
            (
                "blobs/sha256/aa",
                ["manifests": [["digest": "sha256:bb"], ["digest": "sha256:cc"], ["digest": "sha256:absent"]]]
            ),
            ("blobs/sha256/bb", ["config": ["digest": "sha256:b"]]),
            ("blobs/sha256/cc", ["config": ["digest": "sha256:c"]]),
        ])
        #expect(images(bytes) == [ImageArchive.Image(reference: "a:1", ids: ["sha256:b", "sha256:c"])])
    }

    @Test("Those of docker save are known, in its older and newer form")
    func docker() throws {
        let bytes = try tar([
            (
                "manifest.json",
                [
                    ["Config": "00ff.json", "RepoTags": ["a:1", "a:2"], "Layers": []],
                    ["Config": "blobs/sha256/00ee", "RepoTags": ["b:1"], "Layers": []],
                ]
            )
        ])
        #expect(
            images(bytes) == [
                ImageArchive.Image(reference: "a:1", ids: ["sha256:00ff"]),
                ImageArchive.Image(reference: "a:2", ids: ["sha256:00ff"]),
                ImageArchive.Image(reference: "b:1", ids: ["sha256:00ee"]),
            ])
    }

    @Test("An archive that does not say it, or is none, says nothing")
    func nothing() throws {
        #expect(images([]) == nil && images(Array("no archive".utf8)) == nil)
        #expect(images([UInt8](repeating: 1, count: 2000)) == nil)
        #expect(try images(tar([("oci-layout", [:]), ("index.json", ["manifests": []])])) == nil)
        // Without a name it is imported under one that nobody can know.
        let nameless: JSON = ["manifests": [["digest": "sha256:aa"]]]
        #expect(try images(tar([("oci-layout", [:]), ("index.json", nameless), ("blobs/sha256/aa", [:])])) == nil)
        #expect(try images(tar([("manifest.json", [["Config": "aa.json", "RepoTags": .null]])])) == nil)
    }

    @Test("Spoiled archives do not trap") func fuzz() throws {
        var random = SplitMix64(seed: Fuzz.seed(7))
        let good = try sample()
        for _ in 0..<Fuzz.runs(2_000) { _ = images(Fuzz.spoiled(good, &random)) }
    }
}
