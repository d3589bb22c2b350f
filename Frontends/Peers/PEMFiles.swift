internal import ArgumentParser
internal import MartletBase
public import MartletHTTP
internal import MartletIO
internal import MartletObject
internal import MartletPKI

#if canImport(Glibc)
internal import Glibc
#endif

/// Reading the PEM files that flags name.
public enum PEMFiles {
    /// A certificate with its chain, and its private key. One that nobody would accept today is refused.
    /// - Throws: `ValidationError` that names the files.
    public static func identity(_ certificate: String, _ key: String) throws -> TLSIdentity {
        let pem = try read(certificate)
        let identity: TLSIdentity
        do { identity = try TLSIdentity(certificateChainPEM: pem, privateKeyPEM: try read(key)) } catch {
            guard let error = error as? TLSError else { throw error }
            throw ValidationError("\(certificate), \(key): \(error)")
        }
        let info: CertificateInfo
        do { info = try CertificateInfo(pem: pem) } catch { throw ValidationError("\(certificate): \(error)") }
        let now = WallTime(seconds: Int64(time(nil)))
        if info.notAfter <= now {
            throw ValidationError("\(certificate): the certificate expired at \(info.notAfter.rfc3339); renew it")
        }
        if now < info.notBefore {
            throw ValidationError(
                "\(certificate): the certificate is valid from \(info.notBefore.rfc3339) on, and this machine's clock "
                    + "says \(now.rfc3339); set the clock")
        }
        return identity
    }

    /// A file's bytes.
    /// - Throws: `ValidationError` that names the file.
    public static func read(_ path: String) throws -> [UInt8] {
        do { return try Files.read(path) } catch { throw ValidationError("\(path): \(error)") }
    }
}
