internal import ArgumentParser
public import MartletHTTP
internal import MartletIO

/// Reading the PEM files that flags name.
public enum PEMFiles {
    /// A certificate with its chain, and its private key.
    /// - Throws: `ValidationError` that names the files.
    public static func identity(_ certificate: String, _ key: String) throws -> TLSIdentity {
        do {
            return try TLSIdentity(certificateChainPEM: try read(certificate), privateKeyPEM: try read(key))
        } catch let error as TLSError {
            throw ValidationError("\(certificate), \(key): \(error)")
        }
    }

    /// A file's bytes.
    /// - Throws: `ValidationError` that names the file.
    public static func read(_ path: String) throws -> [UInt8] {
        do { return try Files.read(path) } catch { throw ValidationError("\(path): \(error)") }
    }
}
