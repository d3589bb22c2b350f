internal import MartletBase

/// Texts that hold certificates and keys, one behind the other (RFC 7468).
public enum PEM {
    /// The blocks of a kind (`CERTIFICATE`, `PUBLIC KEY`), each with its first and last line and nothing around.
    /// Outside bytes: a block without an end is left out.
    public static func blocks(_ kind: String, in text: [UInt8]) -> [[UInt8]] {
        let (first, last) = (Array("-----BEGIN \(kind)-----".utf8), Array("-----END \(kind)-----".utf8))
        var blocks: [[UInt8]] = []
        var open: [UInt8]?
        for line in text.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
            let line = line.reversed().drop { $0 == 32 || $0 == 9 }.reversed()
            if line.elementsEqual(first) { open = [] }
            open?.append(contentsOf: Array(line) + [10])
            if line.elementsEqual(last), let whole = open {
                blocks.append(whole)
                open = nil
            }
        }
        return blocks
    }

    /// What the first block of a kind holds; nil when there is none, or it is no base64.
    static func content(_ kind: String, of text: [UInt8]) -> [UInt8]? {
        guard let block = blocks(kind, in: text).first else { return nil }
        let lines = block.split(separator: 10).dropFirst().dropLast()
        return Base64.decode(Array(lines.joined()))
    }
}
