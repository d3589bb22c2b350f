internal import MartletBase

/// The bytes inside a PEM text.
enum PEMText {
    /// The DER of the first block of a PEM text that is itself given in base64; nil when it is none.
    static func bytes(ofBase64 text: String) -> [UInt8]? {
        guard let pem = Base64.decode(text) else { return nil }
        let lines = String(decoding: pem, as: UTF8.self).split(whereSeparator: \.isNewline)
        guard let begin = lines.firstIndex(where: { $0.hasPrefix("-----BEGIN ") }),
            let end = lines[begin...].firstIndex(where: { $0.hasPrefix("-----END ") })
        else { return nil }
        return Base64.decode(lines[(begin + 1)..<end].joined())
    }
}
