internal import Glibc
internal import MartletObject

/// What an archive of images holds, as far as its own lists say: an OCI image layout in a tar (image-spec 1.0), or what
/// `docker save` writes. Only headers and lists are read, not the layers.
struct ImageArchive {
    /// One of its images.
    struct Image: Hashable {
        /// What it is called.
        var reference: String
        /// The digests of its configurations, one for each platform: a runtime calls it by one of them.
        var ids: Set<String>
    }
    /// Reads so many bytes from an offset; nil when there are not so many.
    typealias Reader = (_ offset: Int, _ count: Int) -> [UInt8]?

    /// An archive of more entries is not looked through.
    static let entryLimit = 10_000
    /// A longer list is not read.
    static let listLimit = 4 << 20

    private static let block = 512
    private let read: Reader
    private var files: [String: Range<Int>] = [:]

    /// The images of an archive; nil when it does not say which they are.
    static func images(ofFile path: String) -> [Image]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return images { offset, count in
            var bytes = [UInt8](repeating: 0, count: count)
            return pread(file, &bytes, count, offset) == count ? bytes : nil
        }
    }

    /// The images of an archive that is read so; nil when it does not say which they are.
    static func images(_ read: @escaping Reader) -> [Image]? {
        guard let archive = ImageArchive(read) else { return nil }
        // The one that containerd goes by where an archive has both.
        if archive.files["oci-layout"] != nil { return archive.layoutImages }
        return archive.dockerImages
    }

    /// Finds the files; nil for what is no tar.
    private init?(_ read: @escaping Reader) {
        self.read = read
        var offset = 0
        for _ in 0..<Self.entryLimit {
            guard let header = read(offset, Self.block), header.contains(where: { $0 != 0 }) else { return }
            guard Self.isWhole(header), let size = Self.octal(header[124..<136]) else { return nil }
            offset += Self.block
            // A file's type is "0", or nothing in old archives.
            if header[156] == UInt8(ascii: "0") || header[156] == 0 {
                files[Self.name(in: header)] = offset..<offset + size
            }
            offset += (size + Self.block - 1) / Self.block * Self.block
        }
        return nil
    }

    // MARK: Lists

    private var layoutImages: [Image]? {
        guard let entries = list("index.json")?["manifests"]?.array, !entries.isEmpty else { return nil }
        var images: [Image] = []
        for entry in entries {
            guard let name = entry["annotations", "io.containerd.image.name"]?.string,
                let manifest = blob(entry["digest"])
            else { return nil }
            // One for each platform, of which an archive need not hold all.
            let manifests = manifest["manifests"]?.array?.compactMap { blob($0["digest"]) } ?? [manifest]
            let ids = manifests.compactMap { $0["config", "digest"]?.string }
            images.append(Image(reference: name, ids: Set(ids)))
        }
        return images
    }

    private var dockerImages: [Image]? {
        guard let entries = list("manifest.json")?.array, !entries.isEmpty else { return nil }
        var images: [Image] = []
        for entry in entries {
            guard let config = entry["Config"]?.string, let names = entry["RepoTags"]?.array, !names.isEmpty else {
                return nil
            }
            // `DIGEST.json`, or `blobs/sha256/DIGEST`.
            let digest = (config.split(separator: "/").last ?? "").prefix { $0 != "." }
            images += names.compactMap(\.string).map { Image(reference: $0, ids: ["sha256:\(digest)"]) }
        }
        return images
    }

    private func blob(_ digest: JSON?) -> JSON? {
        guard let words = digest?.string?.split(separator: ":"), words.count == 2 else { return nil }
        return list("blobs/\(words[0])/\(words[1])")
    }

    private func list(_ name: String) -> JSON? {
        guard let range = files[name], range.count <= Self.listLimit else { return nil }
        return read(range.lowerBound, range.count).flatMap { try? JSON(parsing: $0) }
    }

    // MARK: Headers

    private static func name(in header: [UInt8]) -> String {
        func text(_ range: Range<Int>) -> String { String(decoding: header[range].prefix { $0 != 0 }, as: UTF8.self) }
        let isUstar = header[257..<262].elementsEqual("ustar".utf8)
        let prefix = isUstar ? text(345..<500) : ""
        let name = prefix.isEmpty ? text(0..<100) : "\(prefix)/\(text(0..<100))"
        return name.hasPrefix("./") ? String(name.dropFirst(2)) : name
    }

    /// Whether the sum of the header's bytes is what it says; its own field counts as blanks.
    private static func isWhole(_ header: [UInt8]) -> Bool {
        let sum = header.indices.reduce(0) { $0 + ((148..<156).contains($1) ? 0x20 : Int(header[$1])) }
        return octal(header[148..<156]) == sum
    }

    /// A number of at most twelve digits; nil for what is none. Sizes of 8 GiB and more are written otherwise.
    private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
        let digits = field.drop { $0 == 0x20 }.prefix { (0x30...0x37).contains($0) }
        guard !digits.isEmpty else { return nil }
        return digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
    }
}
