internal import MartletBase
internal import MartletObject

extension Strategy {
    /// `stringData` is for writing only: it is merged into `data`, in base64.
    static let secret = Strategy(
        prepareForCreate: { fold(&$0) },
        prepareForUpdate: { secret, _ in fold(&secret) })

    private static func fold(_ secret: inout JSON) {
        for (name, text) in secret["stringData"]?.stringMap ?? [:] {
            secret["data", name] = .string(Base64.encode(text.utf8))
        }
        secret["stringData"] = nil
    }
}
